package receive

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Settings are those of every input that listens for HTTP, beside its own.
type Settings struct {
	TLS            tlsfiles.Server `yaml:"tls" doc:"Certificate of the server, for https, and those of clients."`
	Token          pipeline.Secret `yaml:"token" doc:"What clients must send: as Authorization: Bearer TOKEN, ApiKey TOKEN, or as the password of any name (basic authentication)."`
	MaxBodySize    pipeline.Size   `yaml:"max_body_size" default:"16MiB" min:"64KiB" max:"256MiB" doc:"Largest body of a request, unpacked. A larger one is answered with 413."`
	MaxConnections int             `yaml:"max_connections" default:"1024" min:"1" max:"100000" doc:"Most connections at the same time. More wait until one is free."`
}

// Check finds what is wrong in the settings.
func (s *Settings) Check(listen string) (problems []pipeline.Problem) {
	if _, port, err := net.SplitHostPort(listen); err != nil || port == "" {
		problems = append(problems, pipeline.Problem{Path: "listen",
			Message: fmt.Sprintf("%q is no address; write it like 127.0.0.1:3500, or :3500 for all addresses", listen)})
	}
	return append(problems, s.TLS.Check("tls")...)
}

// Warnings finds what may not be meant.
func (s *Settings) Warnings(listen string) (problems []pipeline.Problem) {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if err != nil || host == "localhost" || ip != nil && ip.IsLoopback() || s.TLS.ClientCAFile != "" {
		return nil
	}
	if s.Token == "" {
		return []pipeline.Problem{{Path: "listen", Message: "lets everyone who reaches it send records; set token, " +
			"or tls.client_ca_file, or listen on 127.0.0.1"}}
	}
	if !s.TLS.On() {
		return []pipeline.Problem{{Path: "tls", Message: "is not set, so records and the token can be read on the " +
			"way; set tls.cert_file and tls.key_file, or keep it within a network of your own"}}
	}
	return nil
}

// A Server is an HTTP server over a Hub.
type Server struct {
	Hub      *Hub
	Listen   string // host:port
	Settings *Settings
	Handler  http.Handler
	// Open are paths that need no token.
	Open []string
	Env  pipeline.Env
	// HTTP2 has it also take HTTP/2 without TLS, as gRPC does.
	HTTP2 bool
}

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	maxStreams    = 250 // of a connection of HTTP/2
	// retryListen is how long to wait with an address that is taken: the last run may have it yet.
	retryListen = time.Second
)

// Run serves until ctx ends: then it takes nothing more, waits a while for what was taken, and
// returns. Begin and End of the Hub are its caller's. An error is that it cannot listen at all.
func (s *Server) Run(ctx context.Context) error {
	var config *tls.Config
	if s.Settings.TLS.On() {
		var err error
		if config, err = s.Settings.TLS.Config(s.Env.Log); err != nil {
			return fmt.Errorf("reading the certificate of %s: %w", s.Listen, err)
		}
		if s.HTTP2 {
			config = offerHTTP2(config)
		}
	}
	listener, err := s.listen(ctx)
	if err != nil || listener == nil {
		return err
	}
	s.Env.Found("listening on " + listener.Addr().String())
	limited := &limitListener{Listener: listener, room: make(chan struct{}, s.Settings.MaxConnections)}
	server := &http.Server{
		Handler: s.guarded(), TLSConfig: config, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog:  slog.NewLogLogger(s.Env.Log.Handler(), slog.LevelDebug),
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(config != nil)
	server.Protocols.SetUnencryptedHTTP2(s.HTTP2)
	ended := make(chan error, 1)
	go func() {
		defer s.Env.Panicked.Contain()
		if config != nil {
			ended <- server.ServeTLS(limited, "", "")
			return
		}
		ended <- server.Serve(limited)
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		s.end(server)
		err = <-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving %s: %w", s.Listen, err)
}

// offerHTTP2 returns the configuration with HTTP/2 in every handshake.
func offerHTTP2(config *tls.Config) *tls.Config {
	current := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := current(hello)
		if err != nil || now == nil {
			return now, err
		}
		now = now.Clone()
		now.NextProtos = []string{"h2", "http/1.1"}
		return now, nil
	}
	return config
}

// listen waits for an address that is taken, and says so.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	var of net.ListenConfig
	for failed := false; ; failed = true {
		listener, err := of.Listen(ctx, "tcp", s.Listen)
		if err == nil {
			s.Env.Health(nil)
			return listener, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		err = fmt.Errorf("listening on %s: %w; another program may have the address: stop it, or set listen", s.Listen,
			err)
		s.Env.Health(err)
		if !failed {
			s.Env.Log.Error("nothing can be received, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(retryListen):
		}
	}
}

// end takes nothing more, and gives what was taken some time.
func (s *Server) end(server *http.Server) {
	grace, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	if server.Shutdown(grace) == nil {
		return
	}
	s.Hub.StopWaiting()
	answering, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	if server.Shutdown(answering) != nil {
		server.Close()
	}
}

// guarded lets only those in that have the token.
func (s *Server) guarded() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if panicked := recover(); panicked != nil && panicked != http.ErrAbortHandler {
				s.Env.Log.Error("a request has panicked, which is a bug; nothing of it is answered", "path", r.URL.Path,
					"panic", panicked, "stacks", pipeline.Stacks())
				panic(http.ErrAbortHandler)
			}
		}()
		for _, path := range s.Open {
			if r.URL.Path == path {
				s.Handler.ServeHTTP(w, r)
				return
			}
		}
		if s.Settings.TLS.ClientCAFile != "" && !tlsfiles.Showed(r.TLS) {
			http.Error(w, "show a certificate that is signed by an authority of tls.client_ca_file",
				http.StatusForbidden)
			return
		}
		if token := s.Settings.Token.Reveal(); token != "" && !sends(r, token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="longshore"`)
			http.Error(w, "send the token of this input as: Authorization: Bearer TOKEN, or as a password",
				http.StatusUnauthorized)
			return
		}
		s.Handler.ServeHTTP(w, r)
	})
}

// sends reports whether a request has a token, in constant time.
func sends(r *http.Request, token string) bool {
	got := ""
	if _, password, ok := r.BasicAuth(); ok {
		got = password
	} else if kind, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		switch strings.ToLower(kind) {
		case "bearer", "apikey", "splunk":
			got = strings.TrimSpace(value)
		}
	}
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// RetryAfter is when clients that are refused for now are to come again, in seconds.
const RetryAfter = 1

// Fail answers with an error, in plain text. It answers nothing where nobody waits any more.
func Fail(w http.ResponseWriter, err error) {
	status, ok := StatusOf(err)
	if !ok {
		return
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(RetryAfter))
	}
	http.Error(w, err.Error(), status)
}

// limitListener accepts no more connections than there is room for.
type limitListener struct {
	net.Listener
	room chan struct{}
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &limitedConn{Conn: conn, free: sync.OnceFunc(func() { <-l.room })}, nil
}

type limitedConn struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
