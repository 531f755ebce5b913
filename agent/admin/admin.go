// Package admin is the HTTP server: the page, /health, /ready, /metrics, the API (/api/v1/) and
// /debug/pprof/, so that a binary in the field can show where its time and memory go.
//
// Other machines need a token for all but /health, /ready, /metrics and the page itself, which has
// no data. Where only this machine can connect and there is no token, requests must name a loopback
// host: a browser's page whose name was made to mean this machine (DNS rebinding) is not answered.
// Nor is, but for /health, /ready and /metrics, any page of another origin, whatever it sends. What
// changes something needs the token everywhere.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/longshore/longshore/agent/admin/page"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds on what one client may take.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = time.Minute
	closeTimeout  = 5 * time.Second
	reloadTimeout = 5 * time.Minute
	maxHeader     = 8 << 10
	maxScrapes    = 4
)

// A Server serves one address. /health, /ready and /metrics are open to everyone who can reach it:
// they contain no secrets and change nothing. See Options.Token for the rest.
type Server struct {
	listener net.Listener
	http     *http.Server
	serving  context.Context    // of streams
	stopping context.CancelFunc // ends them
	handler  atomic.Pointer[http.Handler]
	tls      atomic.Pointer[tls.Config] // nil for none
}

// Options of a server. All but Token, TLS, Recent and Console must be set.
type Options struct {
	Address string // host:port; port 0 takes a free one
	// OrFree takes a free port where the address is in use, and warns.
	OrFree bool
	// Token opens /api/ and /debug/ to other machines. Without one they are closed to them.
	Token pipeline.Secret
	// TLS is what connections are encrypted by; nil for none. With Mutual, all but /health and
	// /ready is for clients that have shown a certificate.
	TLS     *tls.Config
	Mutual  bool
	Metrics prometheus.Gatherer
	Health  *Health
	// Status returns what /api/v1/status encodes as JSON.
	Status func() any
	// Recent is what /api/v1/logs shows; nil where nothing is kept.
	Recent *recent.Store
	// Console answers the rest of the API; nil for none.
	Console Console
	// Reload reloads the config, and returns what was done, to be encoded as JSON.
	Reload func() (any, error)
	Log    *slog.Logger
}

// Listen binds the address; Run serves it.
func Listen(o Options) (*Server, error) {
	listener, err := listen(o)
	if err != nil {
		return nil, listenError(o.Address, err)
	}
	serving, stopping := context.WithCancel(context.Background())
	s := &Server{
		listener: listener,
		serving:  serving,
		stopping: stopping,
		http: &http.Server{
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		},
	}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*s.handler.Load()).ServeHTTP(w, r)
	})
	s.Update(o)
	return s, nil
}

// A listener is that of a server, for package http alone.
type listener struct{ *Server }

func (l listener) Addr() net.Addr { return l.listener.Addr() }
func (l listener) Close() error   { return l.listener.Close() }

func listen(o Options) (net.Listener, error) {
	listener, err := net.Listen("tcp", o.Address)
	if !o.OrFree || !errors.Is(err, syscall.EADDRINUSE) {
		return listener, err
	}
	host, _, _ := net.SplitHostPort(o.Address) // it is valid, if it is in use
	listener, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err == nil {
		o.Log.Warn("the default address of the HTTP server is in use by another program (another longshore?): using "+
			"another one; set http.listen to choose it", "in_use", o.Address, "using", listener.Addr().String())
	}
	return listener, err
}

// Update has the server go on by other options, but at its address.
func (s *Server) Update(o Options) {
	h := handler(o, isLoopback(s.listener.Addr()), s.serving)
	if o.Mutual {
		h = onlyShown(h)
	}
	s.tls.Store(o.TLS)
	s.handler.Store(&h)
}

// Accept implements net.Listener: a connection is encrypted or not, as the options say just then.
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	if config := l.tls.Load(); config != nil {
		return tls.Server(conn, config), nil
	}
	return conn, nil
}

// onlyShown lets those in who have shown a certificate. Who asks only whether the agent is alive
// need not: kubelet and Docker have none.
func onlyShown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" && r.URL.Path != "/ready" && !tlsfiles.Showed(r.TLS) {
			http.Error(w, "show a client certificate that is signed by an authority in http.tls.client_ca_file",
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening on %s: the address is in use by another program (another longshore?); set "+
			"http.listen to a free one", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s: not permitted; set http.listen to a port from 1024 up", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listening on %s: this host has no such address; set http.listen to one it has", address)
	}
	return fmt.Errorf("listening on %s (http.listen): %w", address, err)
}

// Addr returns the address, with the port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close gives the address up, if Run will not be called.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends; then it finishes pending requests, within 5 seconds, and returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.stopping()
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(listener{s}) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.stopping()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if s.http.Shutdown(limit) != nil {
		_ = s.http.Close() // clients had their time
	}
	<-failed
	return nil
}

// handler answers for all paths; streams end with serving.
func handler(o Options, local bool, serving context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, o.Health) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { answerReady(w, o.Health) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             writeTimeout / 2,
		EnableOpenMetrics:   true,
	}))
	api := http.NewServeMux()
	api.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter,
		_ *http.Request) {
		write(w, http.StatusOK, o.Status())
	})
	(&logs{o.Recent, serving}).register(api)
	if o.Console != nil {
		serveConsole(api, o.Console, o.Token)
	}
	api.Handle("POST /api/v1/reload", changing(o.Token, func(w http.ResponseWriter, _ *http.Request) {
		answerReload(w, o.Reload)
	}))
	mux.Handle("/api/", guard(api, o.Token, local))
	mux.Handle("/debug/pprof/", guard(profiles(), o.Token, local))
	page.Register(mux)
	if local && o.Token == "" {
		return headers(onlyLoopback(mux, o.Address))
	}
	return headers(mux)
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// onlyLoopback answers requests to loopback addresses and names alone, and to the host that the
// config says to listen on.
func onlyLoopback(next http.Handler, address string) http.Handler {
	own := hostName(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostName(r.Host); host != own && !isLoopbackHost(host) {
			http.Error(w, "closed to this host name; use localhost or 127.0.0.1, or set http.token",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName returns the host of host:port in lower case.
func hostName(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		hostPort = host
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(hostPort, "[]"), "."))
}

// isLoopbackHost reports whether a host is this machine by an address or name that no name server
// decides about (RFC 6761, 6.3). HTTP/1.0 needs none.
func isLoopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// guard requires the token, unless there is none and only this machine can connect.
func guard(next http.Handler, token pipeline.Secret, local bool) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		switch {
		case isForeign(r):
			http.Error(w, "closed to pages of other origins", http.StatusForbidden)
		case token == "" && !local:
			http.Error(w, "closed, as http.listen can be reached from other machines; set http.token to open the API",
				http.StatusForbidden)
		case token != "" && subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "send the token of http.token as: Authorization: Bearer TOKEN", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isForeign reports whether a page of another origin makes a browser send the request, be it one of
// another port of this machine.
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	origin := r.Header.Get("Origin") // from browsers that are older
	if origin == "" {
		return false
	}
	of, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(of.Host, r.Host)
}

// answerReload reloads the config, and says what that has come to.
func answerReload(w http.ResponseWriter, reload func() (any, error)) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(reloadTimeout)) // else it is writeTimeout
	done, err := reload()
	if err != nil {
		write(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	write(w, http.StatusOK, done)
}

// headers keeps responses from being cached, or taken for another type.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// profiles serves "go tool pprof".
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	for _, name := range []string{"allocs", "goroutine", "heap"} {
		mux.Handle("GET /debug/pprof/"+name, pprof.Handler(name))
	}
	return mux
}

// An answer is the response of /health and /ready.
type answer struct {
	Status   string    `json:"status"`
	Problems []Problem `json:"problems"`
}

func answerHealth(w http.ResponseWriter, health *Health) {
	problems := health.Vitals()
	if len(problems) > 0 {
		write(w, http.StatusServiceUnavailable, answer{"degraded", problems})
		return
	}
	write(w, http.StatusOK, answer{"alive", problems})
}

func answerReady(w http.ResponseWriter, health *Health) {
	started, problems := health.Readiness()
	switch {
	case len(problems) > 0:
		write(w, http.StatusServiceUnavailable, answer{"degraded", problems})
	case !started:
		write(w, http.StatusServiceUnavailable, answer{"starting or stopping", problems})
	default:
		write(w, http.StatusOK, answer{"ready", problems})
	}
}

func write(w http.ResponseWriter, status int, a any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(a) // fails if the client is gone
}
