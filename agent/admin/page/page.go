// Package page is the agent's web page: plain HTML, CSS and JavaScript modules, as they stand in
// this folder, in the binary. It shows what the API of package admin answers, and asks for nothing
// from anywhere else. It has no data in itself, and so is open to everyone who can reach it.
package page

import (
	"embed"
	"net/http"
	"path"
)

//go:embed index.html *.css *.js *.svg
var files embed.FS

// policy lets the page load and ask nothing but what this server serves, and nothing in it run that
// does not stand in these files, whatever a log line says.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
	"trusted-types 'none'"

// types do not depend on the machine's tables.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Register adds the page to a mux: / and its files below /page/.
func Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { serve(w, "index.html") })
	mux.HandleFunc("GET /page/{name}", func(w http.ResponseWriter, r *http.Request) { serve(w, r.PathValue("name")) })
}

func serve(w http.ResponseWriter, name string) {
	content, err := files.ReadFile(name)
	if err != nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(name)])
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	_, _ = w.Write(content) // fails if the client is gone
}
