package file

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// at returns the records that came, each with its position.
func (r *rig) at() (got []string) {
	for _, g := range r.feed.Got() {
		got = append(got, fmt.Sprintf("%d:%s", g.Pos, g.Line))
	}
	return got
}

func (r *rig) wantAt(records ...string) {
	r.t.Helper()
	if diff := cmp.Diff(records, r.at()); diff != "" {
		r.t.Errorf("records (-want +got)\n%s", diff)
	}
}

// TestLastLineWithoutEnd: it is sent after a while, and what comes then is what follows it, whether
// all was acknowledged, nothing, or Longshore ran on.
func TestLastLineWithoutEnd(t *testing.T) {
	for _, tt := range []struct {
		then string
		want []string
	}{
		{"\n", nil},
		{"\r\n", nil},
		{"\nnext\n", []string{"8:next"}},
		{"\r\nnext\n", []string{"9:next"}},
		{"\n\n", []string{"8:"}},
		{" and more\n", []string{"7: and more"}},
		{" and more", []string{"7: and more"}},
	} {
		for _, between := range []string{"nothing", "stop", "crash"} {
			poll(t, func(r *rig) {
				r.write("app.log", "one\ntwo")
				r.start()
				r.pass(pollTime)
				r.wantAt("0:one")
				r.pass(quietTime)
				r.wantAt("0:one", "4:two")
				want := append([]string{"0:one", "4:two"}, tt.want...)
				switch between {
				case "stop":
					r.feed.Ack()
					want = tt.want
					r.restart(func() { r.append("app.log", tt.then) })
				case "crash":
					r.restart(func() { r.append("app.log", tt.then) })
				default:
					r.append("app.log", tt.then)
				}
				r.pass(quietTime)
				r.wantAt(want...)
				r.wantLog("")
				if t.Failed() {
					t.Fatalf("that was %q after: %s", tt.then, between)
				}
			})
		}
	}
}

// TestLastLineInPieces: a writer that is slow, but not too slow, is waited for.
func TestLastLineInPieces(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		for _, piece := range []string{"a ", "line ", "in ", "pieces"} {
			r.append("app.log", piece)
			r.pass(3 * time.Second)
		}
		r.want()
		r.append("app.log", "\n")
		r.pass(pollTime)
		r.want("a line in pieces")
	})
}

func TestLineTimeout(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.LineTimeout = pipeline.Duration(time.Minute)
		r.write("app.log", "one\ntwo")
		r.start()
		r.pass(50 * time.Second)
		r.want("one")
		r.pass(15 * time.Second)
		r.want("one", "two")
	})
}

// TestHalfALineEnd: the CR of a line that was sent is neither a line nor lost.
func TestHalfALineEnd(t *testing.T) {
	for _, crash := range []bool{false, true} {
		poll(t, func(r *rig) {
			r.write("app.log", "one")
			r.start()
			r.pass(quietTime)
			r.append("app.log", "\r")
			r.pass(quietTime)
			if crash {
				r.restart(nil)
				r.pass(quietTime)
			}
			r.append("app.log", "\ntwo\n")
			r.pass(pollTime)
			r.wantAt("0:one", "5:two")
		})
	}
}

// TestSeveralBoundaries: a line that came with long pauses is split at each of them, and at the
// same positions after a crash.
func TestSeveralBoundaries(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		for _, piece := range []string{"zero\na", "b", "c", "d\nnext"} {
			r.append("app.log", piece)
			r.pass(quietTime)
		}
		want := []string{"0:zero", "5:a", "6:b", "7:c", "8:d", "10:next"}
		r.wantAt(want...)
		for acked := range 6 {
			r.restart(func() { r.append("app.log", "!") })
			r.pass(quietTime)
			want = append(want, fmt.Sprintf("%d:!", 14+acked))
			r.wantAt(want...)
			r.feed.AckBatch()
			want = want[len(want)-len(r.unacknowledged()):]
		}
	})
}

// unacknowledged returns the records that come again after a crash.
func (r *rig) unacknowledged() (left []string) {
	for _, g := range r.feed.Got() {
		if g.Pos >= r.feed.Restart().Known()[0].Cursor.Pos {
			left = append(left, g.Line)
		}
	}
	return left
}

// TestBoundaryOfARotatedFile: the file counted as complete, and is written to again while Longshore
// is stopped.
func TestBoundaryOfARotatedFile(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\ntwo")
		r.start()
		r.pass(pollTime)
		r.rename("app.log", "app.log.1")
		r.pass(quietTime)
		r.wantAt("0:one", "4:two")
		r.restart(func() { r.append("app.log.1", " and more\n") })
		r.pass(quietTime)
		r.wantAt("0:one", "4:two", "7: and more")
	})
}

func TestLastLineOfOtherEncodings(t *testing.T) {
	for _, name := range []string{"utf-16le", "utf-16be"} {
		wide := func(text string) string { return encoded(t, name, text) }
		poll(t, func(r *rig) {
			r.config.Encoding = name
			end := wide("\r\n")
			r.write("app.log", wide("one\ntwö")+wide("x")[:1])
			r.start()
			r.pass(quietTime)
			r.wantAt("0:one", "8:twö")
			r.restart(nil)
			r.pass(quietTime)
			r.append("app.log", wide("x")[1:]+end[:1])
			r.pass(quietTime)
			r.wantAt("0:one", "8:twö", "14:x")
			for i := 1; i < len(end); i++ {
				r.append("app.log", end[i:i+1])
				r.pass(quietTime)
			}
			r.append("app.log", wide("next\n"))
			r.restart(nil)
			r.pass(quietTime)
			r.wantAt("0:one", "8:twö", "14:x", "20:next")
		})
	}
}

// TestLastLineThatMayBecomeABOM: the first bytes of a byte-order mark are no text.
func TestLastLineThatMayBecomeABOM(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "\xff")
		r.start()
		r.pass(quietTime)
		r.append("app.log", "\xfe"+encoded(t, "utf-16le", "one"))
		r.pass(quietTime)
		r.wantAt("2:one")
	})
}

// TestLastLineThatIsLong: the rest of a truncated line is no line.
func TestLastLineThatIsLong(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.MaxLineSize = 16
		r.write("app.log", strings.Repeat("x", 100))
		r.start()
		r.pass(quietTime)
		r.append("app.log", strings.Repeat("y", 100))
		r.pass(quietTime)
		r.restart(nil)
		r.pass(quietTime)
		r.append("app.log", "\nshort")
		r.pass(quietTime)
		r.wantAt("0:"+strings.Repeat("x", 16), "201:short")
		if got := r.feed.Got(); got[0].Flags&event.Truncated == 0 || got[1].Flags&event.Truncated != 0 {
			t.Error("the wrong line is marked as truncated")
		}
	})
}

// TestLastLineOfACompressedFile: a member that is appended later continues the line, but the line
// was sent.
func TestLastLineOfACompressedFile(t *testing.T) {
	for _, crash := range []bool{false, true} {
		poll(t, func(r *rig) {
			r.config.Paths = []string{r.path("*.gz")}
			r.write("app.log.gz", gzipped("one\ntwo"))
			r.start()
			r.pass(pollTime)
			r.wantAt("0:one", "4:two")
			if crash {
				r.restart(func() { r.append("app.log.gz", gzipped(" and more\nthree\n")) })
			} else {
				r.append("app.log.gz", gzipped(" and more\nthree\n"))
			}
			r.pass(quietTime)
			r.wantAt("0:one", "4:two", "7: and more", "17:three")
		})
	}
}
