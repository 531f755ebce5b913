// Package httpclient is the HTTP part of an output: settings for TLS, proxy, authentication and
// headers, a connection pool made from them, and explanations of what fails.
//
// Answers and errors become a pipeline.SendError by their status alone; outputs that understand
// more of an answer refine it. Redirects are not followed, as they would repeat the body and its
// credentials elsewhere. URLs in messages have no user, password or query, any of which may be
// secret.
package httpclient

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Settings are those that the outputs over HTTP have in common: a config embeds them. The zero
// value works.
type Settings struct {
	Auth    Auth                       `yaml:"auth" doc:"Authentication by user, token or OAuth2."`
	TLS     tlsfiles.Client            `yaml:"tls" doc:"Certificates for https."`
	Proxy   string                     `yaml:"proxy" doc:"URL of a proxy, or none; by default HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment."`
	Headers map[string]pipeline.Secret `yaml:"headers" doc:"Additional headers of every request. Their values are never shown."`
	// Timeout bounds one request, including its answer. Each config has its own, with a default. It
	// is for the caller's context: see Client.Timeout.
	Timeout pipeline.Duration
}

// reservedHeaders are those that a setting would break.
var reservedHeaders = []string{"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Transfer-Encoding"}

// Check returns what is invalid in the settings and the files they name.
func (s *Settings) Check() []pipeline.Problem {
	problems := append(s.TLS.Check("tls"), s.Auth.Check("auth")...)
	if _, err := proxyFunc(s.Proxy); err != nil {
		problems = append(problems, pipeline.Problem{Path: "proxy", Message: err.Error()})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		if why := s.badHeader(name); why != "" {
			problems = append(problems, pipeline.Problem{Path: "headers." + name, Message: why})
		}
	}
	return problems
}

func (s *Settings) badHeader(name string) string {
	switch canonical := http.CanonicalHeaderKey(name); {
	case !validHeaderName(name):
		return "is not a header name; letters, digits and - are"
	case slices.Contains(reservedHeaders, canonical):
		return "is set by longshore itself; take it out"
	case canonical == "Authorization" && s.Auth.methods() > 0:
		return "would overwrite what auth sets; use one of the two"
	case !validHeaderValue(s.Headers[name].Reveal()):
		return "has a value with control characters, such as a line end; take them out"
	}
	return ""
}

func validHeaderName(name string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return name != "" && strings.Trim(name, token) == ""
}

func validHeaderValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// CheckURL returns what is invalid in a destination's URL. The path is the setting's name. Auth is
// the output's, as a URL may name a user too.
func CheckURL(path, raw string, auth *Auth) []pipeline.Problem {
	u, err := ParseURL(raw)
	if err != nil {
		return []pipeline.Problem{{Path: path, Message: err.Error()}}
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return []pipeline.Problem{{Path: path, Message: "has an invalid query; special characters in it must be " +
			"written as %XX"}}
	}
	if u.User != nil && auth.methods() > 0 {
		return []pipeline.Problem{{Path: path, Message: "names a user, and auth is set too; use one of the two"}}
	}
	return nil
}

// ParseURL parses a destination's URL. The error does not repeat the URL, which may contain a
// password.
func ParseURL(raw string) (*url.URL, error) {
	return parseURL(raw, "http", "https")
}

// hostPort matches an address without its scheme, which url.Parse takes for one.
var hostPort = regexp.MustCompile(`^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$`)

func parseURL(raw string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil && strings.Contains(raw, "@") {
		return nil, fmt.Errorf("is not a URL; special characters in its password must be written as %%XX")
	}
	if hostPort.MatchString(strings.TrimSpace(raw)) {
		return nil, fmt.Errorf("is not a URL; write it like %s://%s", schemes[0], strings.TrimSpace(raw))
	}
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" {
		return nil, fmt.Errorf("is not a URL; write it like %s://host:port", schemes[0])
	}
	return u, nil
}

func proxyFunc(proxy string) (func(*http.Request) (*url.URL, error), error) {
	switch proxy {
	case "":
		return http.ProxyFromEnvironment, nil
	case "none":
		return nil, nil
	}
	u, err := parseURL(proxy, "http", "https", "socks5", "socks5h")
	if err != nil {
		return nil, err
	}
	return http.ProxyURL(u), nil
}

// WithQuery returns the query of a configured URL with a request's own parameters, which replace
// those of the same name.
func WithQuery(configured string, own url.Values) string {
	if configured == "" {
		return own.Encode()
	}
	all, err := url.ParseQuery(configured)
	if err != nil {
		return own.Encode() // CheckURL has rejected it
	}
	maps.Copy(all, own)
	return all.Encode()
}

// Location returns a URL for people: without user, password, query and fragment, any of which may
// be secret.
func Location(u *url.URL) string {
	if u == nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
