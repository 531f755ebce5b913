package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline/backoff"
)

// Sizes of a connection's buffer, and how reads are gathered.
const (
	smallBuffer = 4 << 10
	fullBuffer  = 128 << 10
	gatherFor   = 10 * time.Millisecond
)

// handshakeLimit bounds a TLS handshake.
const handshakeLimit = 10 * time.Second

// connections are those that are open, of all listeners.
type connections struct {
	max int

	mu   sync.Mutex
	open map[*connection]bool
}

// A connection is one that is read.
type connection struct {
	net.Conn
	heard atomic.Int64 // when it last said something, in Unix nanoseconds
}

// add adds a connection, if need be instead of the one that has been silent for longest, and
// reports whether there was room.
func (c *connections) add(conn *connection) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.max && !c.closeSilent(time.Now().Add(-takenAfter)) {
		return false
	}
	c.open[conn] = true
	return true
}

func (c *connections) closeSilent(since time.Time) bool {
	var oldest *connection
	for conn := range c.open {
		if oldest == nil || conn.heard.Load() < oldest.heard.Load() {
			oldest = conn
		}
	}
	if oldest == nil || oldest.heard.Load() > since.UnixNano() {
		return false
	}
	oldest.Close()
	delete(c.open, oldest)
	return true
}

func (c *connections) remove(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// serveStreams accepts connections until the listener is closed, and waits for them to end.
func (r *run) serveStreams(ctx context.Context, l net.Listener, secure *tls.Config) error {
	var all sync.WaitGroup
	defer all.Wait()
	failures := backoff.Failures(0)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // no more descriptors, say
			r.health.set("accept", err)
			_ = backoff.Sleep(ctx, failures.Next(5*time.Millisecond, time.Second), nil)
			continue
		}
		failures.Reset()
		r.health.set("accept", nil)
		all.Go(func() {
			defer r.env.Panicked.Contain()
			r.connection(ctx, conn, secure)
		})
	}
}

// connection reads a connection to its end.
func (r *run) connection(ctx context.Context, conn net.Conn, secure *tls.Config) {
	defer closeAtEnd(ctx, conn.Close)()
	c := &connection{Conn: conn}
	c.heard.Store(time.Now().UnixNano())
	if !r.connections.add(c) {
		r.metrics.refused.Inc()
		r.health.note("connections", errTooMany(r.config.MaxConnections))
		return
	}
	defer r.connections.remove(c)
	remote := remoteOf(conn)
	if secure != nil {
		var err error
		if conn, err = handshake(ctx, conn, secure); err != nil {
			r.metrics.failed.Inc()
			r.env.Log.Warn("a TLS handshake has failed", "from", remote, "error", err)
			return
		}
	}
	from, err := r.senders.acquire(remote)
	if err != nil {
		r.health.set("sources", err)
		return
	}
	defer r.senders.release(from)
	s := &stream{run: r, from: from, conn: conn, of: c, framer: framer{max: int(r.config.MaxMessageSize)}}
	if err := s.read(ctx); err != nil && ctx.Err() == nil {
		r.env.Log.Debug("a connection has ended", "from", remote, "error", err)
	}
}

func handshake(ctx context.Context, conn net.Conn, secure *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	over := tls.Server(conn, secure)
	return over, over.HandshakeContext(ctx)
}

func remoteOf(conn net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}

// A stream is what comes over one connection.
type stream struct {
	*run
	from   *sender
	conn   net.Conn
	of     *connection
	framer framer

	buf  []byte // read, and not yet sent
	last int    // how much the last read brought

	filled bool // there was more than found room
}

// read reads to the end of the connection. What is there of a last frame is a message, too.
func (s *stream) read(ctx context.Context) error {
	for {
		err := s.fill()
		if sendErr := s.send(err != nil); sendErr != nil {
			return sendErr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.last < smallBuffer {
			_ = backoff.Sleep(ctx, gatherFor, nil) // its end closes the connection, too
		}
	}
}

// fill reads once.
func (s *stream) fill() error {
	s.fit()
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Duration(s.config.IdleTimeout))); err != nil {
		return err
	}
	n, err := s.conn.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	s.last, s.filled = n, len(s.buf) == cap(s.buf)
	if n > 0 {
		s.of.heard.Store(time.Now().UnixNano())
	}
	return err
}

// fit makes the buffer as large as what comes needs it: there may be very many connections.
func (s *stream) fit() {
	size := cap(s.buf)
	switch {
	case size-len(s.buf) < smallBuffer/2 || s.filled && size < fullBuffer:
		size = max(2*size, smallBuffer)
	case len(s.buf) < smallBuffer/2 && s.last < size/8 && size > smallBuffer:
		size = max(size/2, smallBuffer)
	default:
		return
	}
	s.buf = append(make([]byte, 0, size), s.buf...)
}

// send sends the messages that were read; with ended, also what is there of one more.
func (s *stream) send(ended bool) error {
	if len(s.buf) == 0 {
		return nil
	}
	b, now := s.feed.Batch(s.from.src), time.Now().UnixNano()
	used := s.framer.split(b, s.buf, now)
	if ended {
		s.framer.last(b, s.buf[used:], now)
		used = len(s.buf)
	}
	s.buf = s.buf[:copy(s.buf, s.buf[used:])]
	s.metrics.truncated.Add(float64(s.framer.truncatedBytes))
	s.framer.truncatedBytes = 0
	return s.from.send(s.sending, s.feed, b)
}
