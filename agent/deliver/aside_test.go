package deliver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// slow takes a while for each request, so that a crash finds some under way.
type slow struct{ *firewall }

func (s slow) Send(ctx context.Context, b *pipeline.Body) error {
	time.Sleep(30 * time.Millisecond)
	return s.firewall.Send(ctx, b)
}

// refuseInto runs a deliverer whose aside is a folder, on lines of one source.
func refuseInto(t *testing.T, to *firewall, dir string) *rig {
	r := newRig(t, to.destination, nil)
	o := r.d.Options
	o.Output = slow{to}
	o.Aside = NewDeadLetterFile(dir, "out")
	r.d = New(o)
	return r
}

// TestAsideSurvivesACrash copies what is on disk at many moments, also while refused records are
// sent again, and goes on with that: what the source had not been told to be done comes again.
// Each record is stored once.
func TestAsideSurvivesACrash(t *testing.T) {
	lines := numbered(40)
	for _, i := range []int{0, 7, 8, 30} {
		lines[i] = "bad " + lines[i]
	}
	slices.Sort(lines)
	for crash := range 30 {
		for _, acknowledged := range []bool{true, false} {
			dir, copied := t.TempDir(), t.TempDir()
			to := &firewall{library: &library{destination: &destination{}}, refusal: refusals["403"]}
			var done map[uint64]bool
			synctest.Test(t, func(t *testing.T) {
				r := refuseInto(t, to, dir)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { r.d.Run(ctx); close(ended) }()
				src := source(1)
				r.put(ctx, src, lines...)
				time.Sleep(time.Duration(crash) * 343 * time.Millisecond)
				synctest.Wait()
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				done = r.tracks[src].done
				stop()
				<-ended
			})
			to.lift()
			synctest.Test(t, func(t *testing.T) {
				r := refuseInto(t, to, copied)
				src := source(1)
				again := &track{t: t, done: map[uint64]bool{}, skip: map[uint64]bool{}, unsure: map[uint64]bool{}}
				for pos := range uint64(400) {
					again.skip[pos] = acknowledged && done[pos]
					again.unsure[pos] = true
				}
				r.tracks[src] = again
				r.run(func(ctx context.Context) {
					r.put(ctx, src, lines...)
					time.Sleep(5 * time.Minute)
					synctest.Wait()
				})
				r.allDone()
			})
			if diff := cmp.Diff(lines, slices.Sorted(slices.Values(to.stored))); diff != "" {
				t.Fatalf("crash %d, acknowledged %v: -want +got\n%s", crash, acknowledged, diff)
			}
		}
	}
}

// TestStopAmidARound: what was not dealt with goes back, and what was is not sent again in the next
// run, though the destination cannot be asked.
func TestStopAmidARound(t *testing.T) {
	for after := range 40 {
		dir := t.TempDir()
		to := &destination{limits: pipeline.Limits{Records: 1}}
		letters := NewDeadLetterFile(dir, "out")
		want := numbered(12)
		for i, line := range want {
			if err := letters.Write([]DeadLetter{{Record: line, Encoded: []byte(line), Source: "1", Position: uint64(i),
				Reason: "blocked"}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, until := range []time.Duration{asideFirst + time.Duration(after)*10*time.Millisecond, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, to, nil)
				o := r.d.Options
				o.Aside = letters
				o.Output = hasty{to}
				r.d = New(o)
				ctx, stop := context.WithTimeout(t.Context(), until)
				defer stop()
				r.d.Run(ctx)
			})
		}
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(to.stored))); diff != "" {
			t.Fatalf("stopped after %d: -want +got\n%s", after, diff)
		}
		left, err := filepath.Glob(filepath.Join(dir, "*.jsonl*"))
		left = slices.DeleteFunc(left, func(name string) bool { return strings.HasSuffix(name, ".lock") })
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
}

// hasty answers whether or not it is stopped, and takes one record at a time.
type hasty struct{ *destination }

func (h hasty) Send(ctx context.Context, b *pipeline.Body) error {
	time.Sleep(15 * time.Millisecond)
	if len(b.Items) > 1 {
		return &pipeline.SendError{Outcome: pipeline.Split, Reason: "one at a time"}
	}
	return h.destination.Send(ctx, b)
}

// TestARoundEndsEarly: of very many refused records, few are sent in one round, and all have their
// turn.
func TestARoundEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newFirewall(t, false, refusals["403"], nil)
		file := r.d.Aside
		for i := range 60 {
			line := fmt.Sprintf("bad %03d", i)
			if err := file.Write([]DeadLetter{{Record: line, Encoded: []byte(line), Source: "1", Position: uint64(i),
				Reason: "blocked"}}); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]bool{}
		to.answer = func(_ int, lines []string) error { return nil }
		r.run(func(ctx context.Context) {
			for i := range 20 * 60 {
				r.put(ctx, source(1), fmt.Sprint("good ", i))
				time.Sleep(time.Second)
			}
			synctest.Wait()
			to.turn(func() {
				if to.tries > 20*60+20*100 {
					t.Errorf("%d requests in twenty minutes", to.tries)
				}
				for _, body := range to.refused {
					seen[body] = true
				}
			})
			if len(seen) != 60 {
				t.Errorf("%d of 60 had their turn", len(seen))
			}
			to.lift()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
		})
		if len(to.stored) != 20*60+60 {
			t.Errorf("%d are stored", len(to.stored))
		}
	})
}

// TestDiskFailsUnderTheAside: where what waits cannot be put back, it is tried again, and nothing
// is lost or sent twice.
func TestDiskFailsUnderTheAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, r := newFirewall(t, false, refusals["403"], nil)
		lock := r.d.Aside.Path() + ".lock" // a folder in its place keeps everybody out
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "a", "bad 1", "b", "bad 2", "c")
			for i := range 300 {
				time.Sleep(time.Second)
				r.put(ctx, source(1), fmt.Sprint("good ", i))
				err := os.RemoveAll(lock)
				if i/7%2 == 1 && i < 290 {
					err = errors.Join(err, os.Mkdir(lock, 0o750))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			to.lift()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
		})
		r.allDone()
		if got := slices.Compact(slices.Sorted(slices.Values(to.stored))); len(got) != 305 || len(to.stored) != 305 {
			t.Errorf("%d of 305 are stored, %d different ones", len(to.stored), len(got))
		}
	})
}
