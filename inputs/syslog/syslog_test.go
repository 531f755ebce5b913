package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
	"github.com/longshore/longshore/pipeline/tlsfiles/tlstest"
)

// start runs the input, until the test ends or stop is called.
func (h *sendingHost) start(t testing.TB, feed *pipetest.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.in.Run(ctx, feed) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if open := feed.OpenSources(); len(open) > 0 {
			t.Errorf("left open: %v", open)
		}
	})
	t.Cleanup(stop)
	return stop
}

func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestDatagrams(t *testing.T) {
	for _, way := range []string{overUDP, overUnix} {
		t.Run(way, func(t *testing.T) {
			h, feed := newHost(t, way, "max_message_size: 480B"), pipetest.NewFeed(t)
			stop := h.start(t, feed)
			h.write(t, "<13>one\n\x00", "", "<13>\x00\xff two\nlines", "<13>"+strings.Repeat("x", 1000))
			for i := range 100 {
				h.write(t, fmt.Sprintf("<13>%d", i))
			}
			got := feed.WaitFor(limit(t), 103)
			stop()
			if got[0].Line != "<13>one" || got[1].Line != "<13>\x00\xff two\nlines" {
				t.Errorf("%q and %q came first", got[0].Line, got[1].Line)
			}
			if len(got[2].Line) != 480 || got[2].Flags&event.Truncated == 0 {
				t.Errorf("the long one has %d bytes, flags %b", len(got[2].Line), got[2].Flags)
			}
			if name, _ := os.Hostname(); got[0].Source.Label(event.LabelHost) != name {
				t.Errorf("labels are %v", got[0].Source.Labels)
			}
		})
	}
}

// TestUnixSocketIsReplaced: one that a killed run has left is; one that is listened at is not.
func TestUnixSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	left, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "another program does") {
		t.Errorf("error %v", err)
	}
	left.Close() // its file stays
	conn, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestEndOfConnection: what is there of a last message is one.
func TestEndOfConnection(t *testing.T) {
	h, feed := newHost(t, overTCP, ""), pipetest.NewFeed(t)
	h.start(t, feed)
	h.write(t, "<13>one\n<13>tw")
	h.conn.Close()
	if diff := cmp.Diff([]string{"<13>one", "<13>tw"}, lines(feed.WaitFor(limit(t), 2))); diff != "" {
		t.Error(diff)
	}
}

func lines(got []pipetest.Got) (all []string) {
	for _, g := range got {
		all = append(all, g.Line)
	}
	return all
}

// TestReadIsHandedOn: what was read before the stop is sent, though nothing is read any more.
func TestReadIsHandedOn(t *testing.T) {
	for _, way := range []string{overTCP, overUDP} {
		h, feed := newHost(t, way, ""), pipetest.NewFeed(t)
		h.in.grace = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.in.Run(ctx, feed) }()
		feed.Block(true)
		h.write(t, "<13>one\n")
		feed.WaitBlocked(limit(t))
		cancel()
		feed.Block(false)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"<13>one"}, lines(feed.Got())); diff != "" {
			t.Errorf("%s: %s", way, diff)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	h, feed := newHost(t, overTCP, "max_connections: 2"), pipetest.NewFeed(t)
	var mu sync.Mutex
	var said error
	h.in.env.Health = func(err error) { mu.Lock(); said = errors.Join(said, err); mu.Unlock() }
	h.start(t, feed)
	one, two := h.dial(t), h.dial(t)
	fmt.Fprint(one, "<13>one\n")
	fmt.Fprint(two, "<13>two\n")
	feed.WaitFor(limit(t), 2)
	three := h.dial(t)
	if _, err := three.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is kept")
	}
	mu.Lock()
	defer mu.Unlock()
	if said == nil || !strings.Contains(said.Error(), "more than 2 connections are open") {
		t.Errorf("health is %v", said)
	}
}

// TestSilentConnectionGivesWay: one that has said nothing for a minute does so for another.
func TestSilentConnectionGivesWay(t *testing.T) {
	pair := func() *connection {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		return &connection{Conn: a}
	}
	c := connections{max: 2, open: map[*connection]bool{}}
	one, two, three := pair(), pair(), pair()
	one.heard.Store(time.Now().Add(-2 * time.Minute).UnixNano())
	two.heard.Store(time.Now().UnixNano())
	if !c.add(one) || !c.add(two) || !c.add(three) {
		t.Fatal("there was no room")
	}
	if c.open[one] || !c.open[two] || !c.open[three] {
		t.Error("the wrong one was closed")
	}
	if _, err := one.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it is not closed: %v", err)
	}
}

func TestIdleTimeout(t *testing.T) {
	h, feed := newHost(t, overTCP, "idle_timeout: 1s"), pipetest.NewFeed(t)
	h.start(t, feed)
	h.write(t, "<13>one\n<13>tw")
	if _, err := h.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ends with %v", err)
	}
	if diff := cmp.Diff([]string{"<13>one", "<13>tw"}, lines(feed.WaitFor(limit(t), 2))); diff != "" {
		t.Error(diff)
	}
}

func TestSenders(t *testing.T) {
	feed, now := pipetest.NewFeed(t), time.Unix(1e9, 0)
	s := newSenders(feed, 2)
	s.now = func() time.Time { return now }
	get := func(addr string) *sender {
		from, err := s.acquire(netip.MustParseAddr(addr))
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	a, b := get("10.0.0.1"), get("fe80::1%eth0")
	if got := a.src.Label(event.LabelHost) + " " + b.src.Label(event.LabelHost); got != "10.0.0.1 fe80::1" {
		t.Errorf("hosts are %s", got)
	}
	if get("::ffff:10.0.0.1") != a {
		t.Error("an address that is mapped is another host")
	}
	c := get("10.0.0.3")
	if c != get("10.0.0.4") || c.src.Key != "other hosts" || c.src.Label(event.LabelHost) != "" {
		t.Errorf("hosts that are too many have %s with %v", c.src.Key, c.src.Labels)
	}
	s.release(b)
	now = now.Add(takenAfter)
	if d := get("10.0.0.5"); d == c || d.src.Key != "10.0.0.5" {
		t.Error("a silent host does not make room")
	}
	s.release(a)
	s.release(a)
	now = now.Add(silentFor)
	s.sweep()
	if s.count() != 1 { // 10.0.0.5 is in use
		t.Errorf("%d hosts are left", s.count())
	}
	s.closeAll()
	if open := feed.OpenSources(); len(open) > 0 {
		t.Errorf("left open: %v", open)
	}
}

func TestEarlierRunsAreForgotten(t *testing.T) {
	feed := pipetest.NewFeed(t)
	if _, err := feed.Open(0, "10.0.0.1", nil); err != nil { // and then it was killed
		t.Fatal(err)
	}
	feed = feed.Restart()
	h := newHost(t, overTCP, "")
	stop := h.start(t, feed)
	h.write(t, "<13>one\n")
	feed.WaitFor(limit(t), 1)
	stop()
	feed.Ack()
	if known := feed.Restart().Known(); len(known) != 0 {
		t.Errorf("the ledger still knows %v", known)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	authority, other := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	authority.Issue(t, "localhost", file("tls.crt"), file("tls.key"))
	authority.Issue(t, "sender", file("sender.crt"), file("sender.key"))
	other.Issue(t, "stranger", file("stranger.crt"), file("stranger.key"))
	certs := fmt.Sprintf("tls: {cert_file: %q, key_file: %q", file("tls.crt"), file("tls.key"))
	for name, tt := range map[string]struct {
		settings, shows string
		in              bool
	}{
		"anybody":             {certs + "}", "", true},
		"mutual":              {certs + ", client_ca_file: " + authority.File + "}", "sender", true},
		"mutual, a stranger":  {certs + ", client_ca_file: " + authority.File + "}", "stranger", false},
		"mutual, without any": {certs + ", client_ca_file: " + authority.File + "}", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			h, feed := newHost(t, overTLS, tt.settings), pipetest.NewFeed(t)
			h.start(t, feed)
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"syslog"}}
			if tt.shows != "" {
				pair, err := tls.LoadX509KeyPair(file(tt.shows+".crt"), file(tt.shows+".key"))
				if err != nil {
					t.Fatal(err)
				}
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &pair, nil
				}
			}
			conn := tls.Client(h.dial(t), config)
			_, err := io.WriteString(conn, "9 <13>hello")
			if tt.in {
				if diff := cmp.Diff([]string{"<13>hello"}, h.oneLine(t, conn, feed)); diff != "" {
					t.Error(err, diff)
				}
				return
			}
			if _, err := io.ReadAll(conn); err == nil {
				t.Error("it is let in")
			}
			if n := len(feed.Got()); n > 0 {
				t.Errorf("%d messages came", n)
			}
		})
	}
}

// oneLine ends the message and waits for it.
func (h *sendingHost) oneLine(t testing.TB, conn *tls.Conn, feed *pipetest.Feed) []string {
	conn.Close()
	return lines(feed.WaitFor(limit(t), 1))
}

func TestDropsAreCounted(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	udp := conn.(*net.UDPConn)
	if _, ok := dropsOf(udp); !ok {
		t.Skip("this system does not say what it drops")
	}
	if err := udp.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	m := newMetrics(pipetest.Env(t).Metrics)
	defer m.watchDrops(udp)()
	to, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for range 100 {
		if _, err := to.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.lookForDrops(); n < 80 || n >= 100 {
		t.Errorf("%d datagrams of 100 were dropped", n)
	}
	if n := m.lookForDrops(); n != 0 {
		t.Errorf("%d were dropped again", n)
	}
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		"udp://:514": "", "tcp://10.0.0.5:601": "", "unix:///dev/log": "", "tcp://[::1]:514": "",
		"tls://:6514": "needs tls.cert_file", ":514": "is no address", "514": "must begin with",
		"http://x:1": "must begin", "udp://x": "needs a port", "tcp://:99999": "port 99999",
		"unix://dev/log": "absolute path", "tcp://x:1/y": "path",
	} {
		got := ""
		for _, p := range (&Config{Listen: []string{text}}).Check() {
			got += p.Message
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestExamine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := fmt.Sprintf("listen: ['udp://127.0.0.1:0', 'tcp://%s', 'unix:///none/log', 'tcp://192.0.2.1:1']",
		taken.Addr())
	in, err := pipetest.Config[*Config](t, Spec(), text).Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	in.(pipeline.Examiner).Examine(t.Context(), func(f pipeline.Finding) { states = append(states, f.State.String()) })
	if diff := cmp.Diff([]string{"ok", "warning", "failed", "failed"}, states); diff != "" {
		t.Error(diff)
	}
}

func TestQueueHoldsBack(t *testing.T) {
	q := newQueue(10)
	q.put(make([]byte, 8), datagram{})
	second := make(chan bool)
	go func() { second <- q.put(make([]byte, 8), datagram{}) }()
	if full, ok := q.take(block{}); !ok || len(full.items) != 1 {
		t.Errorf("%d items", len(full.items))
	}
	if !<-second {
		t.Error("the second was not taken")
	}
	q.close()
	if full, ok := q.take(block{}); !ok || len(full.items) != 1 {
		t.Error("what was there before the end is gone")
	}
	if _, ok := q.take(block{}); ok || q.put(nil, datagram{}) {
		t.Error("it goes on after its end")
	}
}
