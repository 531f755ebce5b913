// Command sample-app stands for an application in the examples: it plays a small
// web shop, and logs JSON lines with levels and trace ids, a few a second.
//
// It writes to standard output, or to the file that LOG_FILE names.
// "sample-app healthcheck" asks a running one how it is.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// address is where a running app answers its health check; nothing outside its
// container reaches it.
const address = "127.0.0.1:8081"

func main() {
	run := serve
	if len(os.Args) > 1 && os.Args[1] == "healthcheck" {
		run = healthcheck
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sample-app:", err)
		os.Exit(1)
	}
}

func healthcheck() error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get("http://" + address + "/health")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("http://%s/health answered %s", address, answer.Status)
	}
	return nil
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	out, err := output(os.Getenv("LOG_FILE"))
	if err != nil {
		return err
	}
	defer out.Close()

	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for health checks: %w", err)
	}
	health := http.Server{Handler: http.HandlerFunc(healthy), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- health.Serve(listener) }()

	(&shop{logger(out)}).run(ctx)

	health.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func healthy(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

func output(path string) (*os.File, error) {
	if path == "" {
		return os.Stdout, nil
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
}

func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// A shop is a few services that answer the requests of made-up customers.
type shop struct{ log *slog.Logger }

// pause is the mean time between two requests. One makes three lines or so.
const pause = 1200 * time.Millisecond

func (s *shop) run(ctx context.Context) {
	s.log.Info("shop is open", "service", "gateway")
	for n := 1; ; n++ {
		s.request(n)
		select {
		case <-ctx.Done():
			s.log.Info("shop is closed", "service", "gateway", "requests", n)
			return
		case <-time.After(pause/2 + mathrand.N(pause)):
		}
	}
}

// request plays the n-th request. Of each kind there is one every so often, so that
// whoever waits for an error need not wait for luck.
func (s *shop) request(n int) {
	r := request{s.log, hexID(16)}
	switch {
	case n%20 == 0:
		r.paymentFails()
	case n%7 == 0:
		r.isSlow()
	case n%3 == 0:
		r.buys()
	default:
		r.browses()
	}
}

// A request passes through several services; its trace id ties their lines together.
type request struct {
	log   *slog.Logger
	trace string
}

// says logs a line of one service on behalf of the request.
func (r request) says(level slog.Level, service, message string, fields ...any) {
	fields = append(fields, "service", service, "trace_id", r.trace, "span_id", hexID(8))
	r.log.Log(context.Background(), level, message, fields...)
}

func (r request) browses() {
	r.says(slog.LevelDebug, "catalog", "cache hit", "key", fmt.Sprint("product:", 1+mathrand.N(500)))
	r.says(slog.LevelInfo, "gateway", "request served", "method", "GET", "path", "/products", "status", 200,
		"duration_ms", 2+mathrand.N(20))
}

func (r request) buys() {
	order := 10000 + mathrand.N(90000)
	r.says(slog.LevelInfo, "checkout", "order placed", "order", order, "items", 1+mathrand.N(5))
	r.says(slog.LevelInfo, "payment", "card charged", "order", order, "amount", float64(mathrand.N(20000))/100,
		"currency", "EUR")
	r.says(slog.LevelInfo, "gateway", "request served", "method", "POST", "path", "/orders", "status", 201,
		"duration_ms", 40+mathrand.N(200))
}

func (r request) isSlow() {
	r.says(slog.LevelWarn, "catalog", "slow query", "table", "products", "duration_ms", 900+mathrand.N(3000))
	r.says(slog.LevelInfo, "gateway", "request served", "method", "GET", "path", "/search", "status", 200,
		"duration_ms", 1000+mathrand.N(3000))
}

func (r request) paymentFails() {
	order := 10000 + mathrand.N(90000)
	r.says(slog.LevelError, "payment", "card could not be charged", "order", order,
		slog.Group("error",
			"type", "*bank.TimeoutError",
			"message", "no answer from the bank within 5s",
			"stack", "bank.(*Client).Charge\n\tbank/client.go:118\n"+
				"payment.(*Service).Pay\n\tpayment/service.go:64\nmain.main\n\tmain.go:31",
			"retryable", true,
			"attempts", 3,
		))
	r.says(slog.LevelWarn, "checkout", "order put on hold", "order", order)
	r.says(slog.LevelError, "gateway", "request failed", "method", "POST", "path", "/orders", "status", 502,
		"duration_ms", 5000+mathrand.N(100))
}

// hexID gives n random bytes in hex.
func hexID(n int) string {
	id := make([]byte, n)
	rand.Read(id)
	return hex.EncodeToString(id)
}
