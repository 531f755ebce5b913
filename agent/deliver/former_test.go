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

// mover is a destination with several places; at a former one lines have its name
// before them.
type mover struct {
	*library
	former map[string][]string // what is stored, by place
	asked  []string
	fails  func(asks int) error
}

func (m *mover) Target() []byte { return []byte("now") }

func (m *mover) AtTarget(place []byte) (pipeline.PreviousTarget, error) {
	if string(place) == "lost" {
		return nil, errors.New("nobody knows that place")
	}
	return &formerPlace{m, string(place)}, nil
}

type formerPlace struct {
	of   *mover
	name string
}

func (f *formerPlace) Encoder() pipeline.Encoder { return f }

func (f *formerPlace) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = fmt.Appendf(dst.Bytes, "%s/%s", f.name, b.Line(i))
	return 0, nil
}

func (f *formerPlace) Stored(_ context.Context, b *pipeline.Body, stored []bool) error {
	f.of.asks++
	if f.of.fails != nil {
		if err := f.of.fails(f.of.asks); err != nil {
			return err
		}
	}
	for i := range b.Items {
		f.of.asked = append(f.of.asked, string(b.Item(i)))
		stored[i] = slices.Contains(f.of.former[f.name], string(b.Item(i)))
	}
	return nil
}

// movedTrack has been at other places below some positions.
type movedTrack struct {
	*track
	until map[string]uint64
}

func (k *movedTrack) AtTarget(pos uint64) (places [][]byte) {
	for _, name := range []string{"old", "older", "lost"} {
		if pos < k.until[name] {
			places = append(places, []byte(name))
		}
	}
	return places
}

// TestFormerPlaces: what is found where the config said before is not sent.
func TestFormerPlaces(t *testing.T) {
	unknowable := fmt.Errorf("queries are off: %w", pipeline.ErrUnknowable)
	tests := map[string]struct {
		until map[string]uint64
		fails func(int) error
		want  []string
		asked []string
	}{
		"never elsewhere": {nil, nil, []string{"a", "b", "c", "d"}, nil},
		"one place":       {map[string]uint64{"old": 30}, nil, []string{"b", "d"}, []string{"old/a", "old/b", "old/c"}},
		"in part":         {map[string]uint64{"old": 10}, nil, []string{"b", "c", "d"}, []string{"old/a"}},
		"two places":      {map[string]uint64{"old": 10, "older": 30}, nil, []string{"c", "d"}, []string{"old/a", "older/a", "older/b", "older/c"}},
		"a lost place":    {map[string]uint64{"lost": 30}, nil, []string{"a", "b", "c", "d"}, nil},
		"it takes a while": {map[string]uint64{"old": 30}, func(asks int) error {
			if asks < 4 {
				return errors.New("busy")
			}
			return nil
		}, []string{"b", "d"}, []string{"old/a", "old/b", "old/c"}},
		"it may not be asked": {map[string]uint64{"old": 30}, func(int) error { return unknowable }, []string{"a", "b", "c", "d"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to, r := newLibrary(t, nil)
				m := &mover{library: to, former: map[string][]string{"old": {"old/a", "old/c"}, "older": {"older/b"}}, fails: test.fails}
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
				k := &movedTrack{&track{t: t, done: map[uint64]bool{}, unsure: map[uint64]bool{5: true, 15: true, 25: true}}, test.until}
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
