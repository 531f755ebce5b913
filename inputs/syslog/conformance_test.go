package syslog

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A sendingHost sends to an input that runs.
type sendingHost struct {
	in  *input
	at  chan net.Addr
	way string

	mu   sync.Mutex
	conn net.Conn
}

func newHost(t testing.TB, way, settings string) *sendingHost {
	t.Helper()
	at := way + "://127.0.0.1:0"
	if way == overUnix {
		at = "unix://" + t.TempDir() + "/log"
	}
	c := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("listen: [%q]\n%s", at, settings))
	in, err := c.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	h := &sendingHost{in: in.(*input), at: make(chan net.Addr, 1), way: way}
	h.in.listening = func(_ address, at net.Addr) { h.at <- at }
	return h
}

// address waits until the input listens.
func (h *sendingHost) address(t testing.TB) string {
	t.Helper()
	select {
	case at := <-h.at:
		h.at <- at
		return at.String()
	case <-t.Context().Done():
		t.Fatal("it does not listen")
		return ""
	}
}

func (h *sendingHost) dial(t testing.TB) net.Conn {
	t.Helper()
	network := map[string]string{overUDP: "udp", overTCP: "tcp", overTLS: "tcp", overUnix: "unixgram"}[h.way]
	conn, err := net.Dial(network, h.address(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// write writes messages over one connection.
func (h *sendingHost) write(t testing.TB, frames ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		h.conn = h.dial(t)
	}
	for _, frame := range frames {
		if _, err := h.conn.Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
}

// messages is the input, of which only what is behind the priority is sent.
type messages struct{ pipeline.Input }

func (m messages) Run(ctx context.Context, feed pipeline.Feed) error {
	return m.Input.Run(ctx, messageFeed{feed})
}

type messageFeed struct{ pipeline.Feed }

func (m messageFeed) Send(ctx context.Context, b *event.Batch) error {
	for i := range b.Records {
		_, message, _ := strings.Cut(string(b.Line(i)), ">")
		message, _ = strings.CutSuffix(message, "|")
		b.Records[i].Line = b.PutString(message)
	}
	return m.Feed.Send(ctx, b)
}

// TestConformance sends each line as a frame with its length, so that any bytes can be in it. A
// line end at the end of a message is none of it, so there is something behind each.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		var host *sendingHost
		return pipetest.InputHarness{
			New: func(t testing.TB) pipeline.Input {
				host = newHost(t, overTCP, "max_message_size: 16MiB")
				return messages{host.in}
			},
			Write: func(t testing.TB, lines ...string) {
				var frames strings.Builder
				for _, line := range lines {
					fmt.Fprintf(&frames, "%d <13>%s|", len(line)+5, line)
				}
				host.write(t, frames.String())
			},
		}
	})
}
