package stdin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newInput(t testing.TB, settings string, r io.Reader) pipeline.Input {
	return pipetest.Config[*Config](t, Spec(), settings).From(r, pipetest.Env(t))
}

func show(got []pipetest.Got) (lines []string) {
	for _, g := range got {
		mark := ""
		if g.Flags&event.Truncated != 0 {
			mark = "!"
		}
		lines = append(lines, fmt.Sprintf("%d:%s%s", g.Pos, g.Line, mark))
	}
	return lines
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"lines", "one\r\n\ntwo\n", []string{"0:one", "5:", "6:two"}},
		{"last line without end", "one\ntwo", []string{"0:one", "4:two"}},
		{
			"long line", "one\n" + strings.Repeat("x", 100) + "\ntwo",
			[]string{"0:one", "4:" + strings.Repeat("x", 32) + "!", "105:two"},
		},
		{"garbage", "\x00\xff\n", []string{"0:\x00\xff"}},
	} {
		for how, r := range map[string]io.Reader{
			"at once":       strings.NewReader(tt.text),
			"byte by byte":  iotest.OneByteReader(strings.NewReader(tt.text)),
			"data with EOF": iotest.DataErrReader(strings.NewReader(tt.text)),
		} {
			feed := pipetest.NewFeed(t)
			if err := newInput(t, "max_line_size: 32B", r).Run(t.Context(), feed); err != nil {
				t.Errorf("%s, %s: %v", tt.name, how, err)
			}
			if diff := cmp.Diff(tt.want, show(feed.Got())); diff != "" {
				t.Errorf("%s, %s (-want +got)\n%s", tt.name, how, diff)
			}
			feed.Ack()
			if known := feed.Restart().Known(); len(known) != 0 {
				t.Errorf("%s, %s: the ledger still knows %v", tt.name, how, known)
			}
		}
	}
}

func TestTenMegabyteLine(t *testing.T) {
	feed := pipetest.NewFeed(t)
	text := strings.Repeat("x", 10<<20) + "\nend\n"
	if err := newInput(t, "", strings.NewReader(text)).Run(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	got := feed.Got()
	if len(got) != 2 || len(got[0].Line) != 1<<20 || got[0].Flags&event.Truncated == 0 || got[1].Line != "end" {
		t.Errorf("%d lines", len(got))
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	feed := pipetest.NewFeed(t)
	r := io.MultiReader(strings.NewReader("one\ntwo"), iotest.ErrReader(broken))
	err := newInput(t, "", r).Run(t.Context(), feed)
	if !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff([]string{"one", "two"}, feed.Lines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A pipe to which nobody writes must not hold up the end.
func TestStopsWhileNothingComes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	feed := pipetest.NewFeed(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newInput(t, "", r).Run(ctx, feed) }()
	fmt.Fprint(w, "one\ntw")
	limit, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	feed.WaitFor(limit, 1)
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-limit.Done():
		t.Fatal("it does not stop")
	}
	if feed.IsOpen("stdin") {
		t.Error("the source is still open")
	}
}

func TestPipeToItsEnd(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		for i := range 10_000 {
			fmt.Fprintf(w, "line %d\n", i)
		}
		w.Close()
	}()
	feed := pipetest.NewFeed(t)
	if err := newInput(t, "", r).Run(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	if n := len(feed.Lines()); n != 10_000 {
		t.Errorf("%d lines", n)
	}
}

func TestStopsUnderBackpressure(t *testing.T) {
	feed := pipetest.NewFeed(t)
	feed.Block(true)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newInput(t, "", strings.NewReader("one\n")).Run(ctx, feed) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEarlierRunsAreForgotten(t *testing.T) {
	feed := pipetest.NewFeed(t)
	if _, err := feed.Open(0, "stdin", nil); err != nil { // and then it was killed
		t.Fatal(err)
	}
	feed = feed.Restart()
	if err := newInput(t, "", strings.NewReader("one\n")).Run(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	feed.Ack()
	if known := feed.Restart().Known(); len(known) != 0 {
		t.Errorf("the ledger still knows %v", known)
	}
}
