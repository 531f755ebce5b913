package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
)

// stopGrace is how long what was read may take to be handed on when the program is told to stop.
const stopGrace = time.Second

type input struct {
	config    Config
	addresses []address
	env       pipeline.Env
	metrics   *metrics

	grace time.Duration // stopGrace, but in tests

	// listening is told the address of a listener, whose port the system may have chosen.
	listening func(address, net.Addr)
}

// A run is what the goroutines of one Run share.
type run struct {
	*input
	feed        pipeline.Feed
	senders     *senders
	connections *connections
	health      *health
	sending     context.Context // it ends a little after that of Run
}

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	if err := forgetEarlier(feed); err != nil {
		return err
	}
	secure, err := in.secure()
	if err != nil {
		return err
	}
	sending, endSending := withGrace(ctx, in.grace)
	defer endSending()
	r := &run{
		input: in, feed: feed, sending: sending, health: newHealth(in.env),
		senders:     newSenders(feed, in.config.MaxSenders),
		connections: &connections{max: in.config.MaxConnections, open: map[*connection]bool{}},
	}
	in.metrics.observe(r)
	defer in.metrics.observe(nil)
	var all sync.WaitGroup
	for _, a := range in.addresses {
		all.Go(func() {
			defer in.env.Panicked.Contain()
			r.serve(ctx, a, secure)
		})
	}
	all.Go(func() {
		defer in.env.Panicked.Contain()
		r.lookAfter(ctx)
	})
	in.env.Found("syslog at " + strings.Join(in.config.Listen, ", "))
	all.Wait()
	r.senders.closeAll()
	return nil
}

// forgetEarlier closes the sources of earlier runs: nothing of them can be read again.
func forgetEarlier(feed pipeline.Feed) error {
	for _, k := range feed.Known() {
		src, err := feed.Open(k.ID, k.Key, nil)
		if err != nil {
			return fmt.Errorf("ending the source of an earlier run: %w", err)
		}
		feed.Close(src, true)
	}
	return nil
}

// secure returns the configuration of tls://, nil without one. Who must show a certificate is
// turned away without, and no protocol of HTTP is asked for.
func (in *input) secure() (*tls.Config, error) {
	server := in.config.TLS.server()
	if !server.On() {
		return nil, nil
	}
	config, err := server.Config(in.env.Log)
	if err != nil {
		return nil, err
	}
	current := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := current(hello)
		if err != nil {
			return nil, err
		}
		c = c.Clone()
		c.NextProtos = nil
		if c.ClientCAs != nil {
			c.ClientAuth = tls.RequireAnyClientCert // VerifyConnection looks at it
		}
		return c, nil
	}
	return config, nil
}

// serve listens at an address until ctx ends, and tries again where it cannot.
func (r *run) serve(ctx context.Context, a address, secure *tls.Config) {
	failures := backoff.Failures(0)
	for ctx.Err() == nil {
		err := r.listen(ctx, a, secure, failures.Reset)
		if ctx.Err() != nil {
			return
		}
		r.health.set(a.String(), advised(a, err))
		_ = backoff.Sleep(ctx, failures.Next(200*time.Millisecond, 30*time.Second), nil)
	}
}

// advised adds to an error of listening what to do.
func advised(a address, err error) error {
	if errors.Is(err, fs.ErrPermission) && a.over != overUnix {
		return fmt.Errorf("%w; ports below 1024 need CAP_NET_BIND_SERVICE: give it to the agent, or listen at "+
			"another port", err)
	}
	return err
}

// listen listens until the listener fails or ctx ends.
func (r *run) listen(ctx context.Context, a address, secure *tls.Config, works func()) error {
	switch a.over {
	case overTCP, overTLS:
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.at)
		if err != nil {
			return err
		}
		defer closeAtEnd(ctx, l.Close)()
		r.works(a, l.Addr(), works)
		if a.over == overTCP {
			secure = nil
		}
		return r.serveStreams(ctx, l, secure)
	case overUnix:
		conn, err := listenUnix(a.at)
		if err != nil {
			return err
		}
		defer closeAtEnd(ctx, conn.Close)()
		r.works(a, conn.LocalAddr(), works)
		return r.serveDatagrams(ctx, conn, r.readUnix(conn))
	}
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", a.at)
	if err != nil {
		return err
	}
	defer closeAtEnd(ctx, conn.Close)()
	udp := conn.(*net.UDPConn)
	enlarge(udp, int(r.config.ReceiveBuffer))
	forget := r.metrics.watchDrops(udp)
	defer forget()
	r.works(a, conn.LocalAddr(), works)
	return r.serveDatagrams(ctx, conn, r.readUDP(conn))
}

func (r *run) works(a address, at net.Addr, works func()) {
	works()
	r.health.set(a.String(), nil)
	r.env.Log.Info("listening for syslog", "address", a.String())
	if r.listening != nil {
		r.listening(a, at)
	}
}

// listenUnix makes a socket for everybody on this host. One that a run before has left is replaced.
func listenUnix(path string) (*net.UnixConn, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if conn, err := net.Dial("unixgram", path); err == nil {
			conn.Close()
			return nil, fmt.Errorf("listening at %s: another program does", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replacing an earlier socket: %w", err)
		}
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// lookAfter does what is due from time to time, until ctx ends.
func (r *run) lookAfter(ctx context.Context) {
	for tick := 1; backoff.Sleep(ctx, time.Second, nil) == nil; tick++ {
		if n := r.metrics.lookForDrops(); n > 0 {
			r.env.Log.Warn("the kernel dropped datagrams, as its buffer was full", "datagrams", n)
			r.health.note("drops", errDrops(n))
		}
		r.health.fade()
		if tick%60 == 0 {
			r.senders.sweep()
		}
	}
}
