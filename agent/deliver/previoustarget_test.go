package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// relocatable is a destination with several targets; at a previous one lines have its name before
// them.
type relocatable struct {
	*library
	previous map[string][]string // what is stored, by target
	asked    []string
	fails    func(asks int) error
}

func (m *relocatable) Target() []byte { return []byte("now") }

func (m *relocatable) AtTarget(target []byte) (pipeline.PreviousTarget, error) {
	if string(target) == "lost" {
		return nil, errors.New("nobody knows that target")
	}
	return &previousTarget{m, string(target)}, nil
}

type previousTarget struct {
	of   *relocatable
	name string
}

func (f *previousTarget) Encoder() pipeline.Encoder { return f }

func (f *previousTarget) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = fmt.Appendf(dst.Bytes, "%s/%s", f.name, b.Line(i))
	return 0, nil
}

func (f *previousTarget) Stored(_ context.Context, b *pipeline.Body, stored []bool) error {
	f.of.asks++
	if f.of.fails != nil {
		if err := f.of.fails(f.of.asks); err != nil {
			return err
		}
	}
	for i := range b.Items {
		f.of.asked = append(f.of.asked, string(b.Item(i)))
		stored[i] = slices.Contains(f.of.previous[f.name], string(b.Item(i)))
	}
	return nil
}

// relocatedTrack has been at other targets below some positions.
type relocatedTrack struct {
	*track
	until map[string]uint64
}

func (k *relocatedTrack) AtTarget(pos uint64) (targets [][]byte) {
	for _, name := range []string{"old", "older", "lost"} {
		if pos < k.until[name] {
			targets = append(targets, []byte(name))
		}
	}
	return targets
}

// TestPreviousTargets: what is found where the config said before is not sent.
func TestPreviousTargets(t *testing.T) {
	unknowable := fmt.Errorf("queries are off: %w", pipeline.ErrUnknowable)
	tests := map[string]struct {
		until map[string]uint64
		fails func(int) error
		want  []string
		asked []string
	}{
		"never elsewhere": {nil, nil, []string{"a", "b", "c", "d"}, nil},
		"one target":      {map[string]uint64{"old": 30}, nil, []string{"b", "d"}, []string{"old/a", "old/b", "old/c"}},
		"in part":         {map[string]uint64{"old": 10}, nil, []string{"b", "c", "d"}, []string{"old/a"}},
		"two targets": {map[string]uint64{"old": 10, "older": 30}, nil, []string{"c", "d"},
			[]string{"old/a", "older/a", "older/b", "older/c"}},
		"a lost target": {map[string]uint64{"lost": 30}, nil, []string{"a", "b", "c", "d"}, nil},
		"it takes a while": {map[string]uint64{"old": 30}, func(asks int) error {
			if asks < 4 {
				return errors.New("busy")
			}
			return nil
		}, []string{"b", "d"}, []string{"old/a", "old/b", "old/c"}},
		"it may not be asked": {map[string]uint64{"old": 30}, func(int) error { return unknowable },
			[]string{"a", "b", "c", "d"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to, r := newLibrary(t, nil)
				m := &relocatable{library: to, previous: map[string][]string{"old": {"old/a", "old/c"},
					"older": {"older/b"}}, fails: test.fails}
				o := r.d.Options
				o.Output = m
				r.d = New(o)
				src := source(1)
				b := &event.Batch{}
				b.Reset(src)
				for i, line := range []string{"a", "b", "c", "d"} {
					b.Add(uint64(10*i)+5, 1, b.PutString(line))
				}
				b.To = 40
				k := &relocatedTrack{&track{t: t, done: map[uint64]bool{},
					unsure: map[uint64]bool{5: true, 15: true, 25: true}}, test.until}
				r.d.Expect(len(b.Records))
				r.run(func(ctx context.Context) { _ = r.d.Put(ctx, Share(b, 1, func(*event.Batch) {}), k) })
				slices.Sort(m.asked)
				if diff := cmp.Diff(test.want, to.destination.stored); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(test.asked, m.asked); diff != "" {
					t.Error(diff)
				}
				if len(k.done) != 40 {
					t.Errorf("%d positions are done, want 40", len(k.done))
				}
			})
		})
	}
}
