// Package httppipe serves HTTP over pipes in memory, for tests with testing/synctest, which cannot
// wait for a network.
package httppipe

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Dial serves a handler, and returns what connects to it whatever the address. The server ends with
// the test; connections are the client's to close.
func Dial(t testing.TB, handler http.Handler) func(context.Context, string, string) (net.Conn, error) {
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A listener's connections are pipes.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{} }
