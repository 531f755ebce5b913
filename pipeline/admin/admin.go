// Package admin is the HTTP server for health and metrics: /health, /ready and /metrics.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

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
	maxHeader     = 8 << 10
	maxScrapes    = 4
)

// A Server answers on one address. All its answers are open to whoever can
// reach that, so they hold no secrets and change nothing.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Listen takes the address (host:port; port 0 takes a free one), and answers
// once Run is called. The server must be run or closed.
func Listen(address string, metrics *prometheus.Registry, health *Health, log *slog.Logger) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, listenError(address, err)
	}
	return &Server{
		listener: listener,
		http: &http.Server{
			Handler:           handler(metrics, health, log),
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening on %s: another program has this address (another longshore?); set http.listen to a free one", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s: not permitted; set http.listen to a port from 1024 up", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listening on %s: this host has no such address; set http.listen to one it has", address)
	}
	return fmt.Errorf("listening on %s (http.listen): %w", address, err)
}

// Addr gives the address that is listened on, with its port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close gives the address up without having run.
func (s *Server) Close() error { return s.listener.Close() }

// Run answers until ctx ends; then it finishes what it is answering, within 5
// seconds, and returns nil.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if s.http.Shutdown(limit) != nil {
		_ = s.http.Close() // whoever is still asking has had its time
	}
	<-failed
	return nil
}

func handler(metrics *prometheus.Registry, health *Health, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, health) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { answerReady(w, health) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             writeTimeout / 2,
		EnableOpenMetrics:   true,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "longshore: /health /ready /metrics\n")
	})
	return headers(mux)
}

// headers keep answers from being stored, or taken for something else.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// An answer is what /health and /ready say.
type answer struct {
	Status string    `json:"status"`
	Ill    []Illness `json:"ill"`
}

func answerHealth(w http.ResponseWriter, health *Health) {
	ill := health.Alive()
	if len(ill) > 0 {
		write(w, http.StatusServiceUnavailable, answer{"ill", ill})
		return
	}
	write(w, http.StatusOK, answer{"alive", ill})
}

func answerReady(w http.ResponseWriter, health *Health) {
	started, ill := health.Waiting()
	switch {
	case len(ill) > 0:
		write(w, http.StatusServiceUnavailable, answer{"ill", ill})
	case !started:
		write(w, http.StatusServiceUnavailable, answer{"starting or stopping", ill})
	default:
		write(w, http.StatusOK, answer{"ready", ill})
	}
}

func write(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(a) // the client is gone
}
