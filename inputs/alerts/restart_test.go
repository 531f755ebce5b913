package alerts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
)

// A world has sources whose records are read, and read again from where their progress was stored
// when the program was killed.
type world struct {
	*play
	rnd    *rand.Rand
	logs   map[event.SourceID][]timed // all that is ever written
	read   map[event.SourceID]int     // of them, in this run
	stored map[event.SourceID]int     // progress on disk, and
	state  []byte                     // the note beside it
}

type timed struct {
	at   time.Duration
	line string
}

// TestKilledAtRandom kills the program again and again, at any moment: before and after a note is
// stored, and before and after what is concluded is in the journal. In the end the same has rung as
// where it was never killed, and once.
func TestKilledAtRandom(t *testing.T) {
	const settings = manyErrors +
		`  each: {if: level >= "error", by: [service], at_least: 4, window: 30s, resolve_after: 5s, for: 3s}` + "\n" +
		`  quiet: {by: [service], below: 1, window: 20s, resolve_after: 0s, repeat: 1m}` + "\n"
	for seed := range uint64(10) {
		logs := logsAtRandom(rand.New(rand.NewPCG(seed, 1)))
		calm := newWorld(t, settings, logs, nil)
		calm.run(20 * time.Minute)
		want := calm.rang()
		killed := newWorld(t, settings, logs, rand.New(rand.NewPCG(seed, 2)))
		kills := killed.run(20 * time.Minute)
		if diff := gocmp.Diff(want, killed.rang()); diff != "" || kills < 20 || len(want) < 10 {
			t.Fatalf("seed %d, %d kills: %s", seed, kills, diff)
		}
	}
}

// logsAtRandom returns what three sources write in ten minutes, in bursts and with pauses.
func logsAtRandom(rnd *rand.Rand) map[event.SourceID][]timed {
	logs := map[event.SourceID][]timed{}
	for id := event.SourceID(1); id <= 3; id++ {
		for at := time.Duration(0); at < 10*time.Minute; {
			at += time.Duration(rnd.IntN(8000)+1) * time.Millisecond
			if rnd.IntN(20) == 0 {
				at += time.Minute
			}
			line := []string{"info fine", "error bad", "warn hm"}[rnd.IntN(3)]
			for range 1 + rnd.IntN(4) {
				logs[id] = append(logs[id], timed{at, fmt.Sprint(line, len(logs[id]))})
			}
		}
	}
	return logs
}

func newWorld(t *testing.T, settings string, logs map[event.SourceID][]timed, rnd *rand.Rand) *world {
	w := &world{play: newPlay(t, settings), rnd: rnd, logs: logs, read: map[event.SourceID]int{}}
	w.store()
	return w
}

// run passes through some time, and returns how often the program was killed.
func (w *world) run(d time.Duration) (kills int) {
	for w.now.Before(w.began.Add(d)) {
		clear(w.lagging)
		for id := range w.logs {
			w.readSome(id)
		}
		switch {
		case w.rnd == nil:
			w.pass()
		case w.rnd.IntN(25) == 0: // what was concluded is in the journal in part
			w.e.pass(w.now, w)
			w.writeSome()
			w.kill()
			kills++
		default:
			w.pass()
			if w.rnd.IntN(2) == 0 {
				w.store()
			}
		}
		w.now = w.now.Add(time.Second)
	}
	if w.rnd != nil { // and then it is left alone for long enough
		w.rnd = nil
		w.run(d + 2*time.Minute)
	}
	return kills
}

// readSome reads what is there to be read, or some of it.
func (w *world) readSome(id event.SourceID) {
	for w.read[id] < len(w.logs[id]) && !w.began.Add(w.logs[id][w.read[id]].at).After(w.now) {
		if w.rnd != nil && w.rnd.IntN(30) == 0 {
			w.lagging[id] = true
			return
		}
		next := w.logs[id][w.read[id]]
		w.pos[id] = uint64(w.read[id]) * 100
		b := w.batch(id, next.at, next.line)
		b.To = uint64(w.read[id]+1) * 100
		w.observe(b)
		w.read[id]++
	}
}

// store stores the progress: what the note knows is no less than what is done.
func (w *world) store() {
	done := map[event.SourceID]int{}
	for id, n := range w.read {
		done[id] = n
		if w.rnd != nil && n > 0 {
			done[id] = max(w.stored[id], n-w.rnd.IntN(20))
		}
	}
	w.stored, w.state = done, w.e.state()
}

func (w *world) writeSome() {
	for range w.rnd.IntN(3) {
		c, some := w.e.next()
		if !some {
			return
		}
		line, err := c.line()
		if err != nil {
			w.t.Fatal(err)
		}
		w.journal = append(w.journal, line)
		w.e.written(&c)
	}
}

// kill goes on with what is on disk.
func (w *world) kill() {
	w.restart(w.state)
	for id := range w.logs {
		w.read[id] = w.stored[id]
	}
	w.now = w.now.Add(time.Duration(w.rnd.IntN(40)) * time.Second)
}

// rang returns what rang, without what depends on when it was read: a conclusion is the same
// whenever it is made, but what rings early, as there is too much already, does so when that is
// known.
func (w *world) rang() (all []string) {
	for _, line := range w.journal {
		var c conclusion
		unmarshal(w.t, line, &c)
		if c.Bucket.After(w.began.Add(19 * time.Minute)) {
			continue
		}
		at := c.Bucket.Format("15:04:05")
		if c.Status == firing && c.Alert != "quiet" {
			at = "about then"
		}
		all = append(all, fmt.Sprintf("%s %s: %s %s", c.Alert, c.named("group"), at, c.Status))
	}
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(before(a), before(b)) })
	return all
}

// before returns the alert and the group: of one, the order is that of the journal.
func before(text string) string {
	of, _, _ := strings.Cut(text, ":")
	return of
}

func FuzzState(f *testing.F) {
	p := newPlay(f, manyErrors)
	p.log(1, 0, failures(12)...)
	p.to(time.Second)
	f.Add(p.e.state(), p.journal[0])
	f.Add([]byte(`{"version":1,"clock":1,"rules":{"errors":{"print":"","groups":{"":{"b":[[1,2]]}}}}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, state, line []byte) {
		p := newPlay(t, manyErrors)
		if err := p.e.restore(state, p.Knows); err != nil {
			return
		}
		p.e.recall(line)
		p.log(1, 0, failures(12)...)
		p.to(5 * time.Second)
		if !json.Valid(p.e.state()) {
			t.Error("its state is no JSON")
		}
	})
}
