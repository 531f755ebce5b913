package s3

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// states returns what is known of each object that was tried with position 0 of source 1.
func states(t testing.TB, a *attempts) map[string]state {
	t.Helper()
	of := sources{event.NewSource(1, "in", "key", nil)}
	body := &pipeline.Body{Sources: &of, Items: []pipeline.Item{{Pos: 0}}} // it has an identity by its source
	tries, err := a.of(body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]state{}
	for _, try := range tries {
		all[try.url] = try.state
	}
	return all
}

func tries(url string) note {
	return note{state: tried, url: url, held: []heldSource{{1, []uint64{0, 7, 1 << 60}}, {1 << 63, []uint64{3}}}}
}

func mustAdd(t testing.TB, a *attempts, notes ...note) {
	t.Helper()
	if err := a.add(true, notes...); err != nil {
		t.Fatal(err)
	}
}

// TestTornNotes: whatever a crash leaves behind the last note that was on disk, those before and
// those that follow are read.
func TestTornNotes(t *testing.T) {
	for _, torn := range []string{"", "x", "\x00\x00\x00\x00\x00\x00\x00\x00\x00", strings.Repeat("\xff", 100),
		string(appendNote(nil, &note{state: tried, url: "http://torn"})[:20])} {
		folder := t.TempDir()
		path := filepath.Join(folder, attemptsFile)
		first := newAttempts(folder)
		mustAdd(t, first, tries("http://a"))
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(torn); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for _, a := range []*attempts{first, newAttempts(folder)} { // another process has crashed, or this one
			mustAdd(t, a, tries("http://b"), note{state: there, url: "http://a"})
			want := map[string]state{"http://a": there, "http://b": tried}
			if diff := cmp.Diff(want, states(t, newAttempts(folder))); diff != "" {
				t.Errorf("after %q: %s", torn, diff)
			}
		}
	}
}

// TestCompaction: what may be asked for yet is kept, and the file stays bounded.
func TestCompaction(t *testing.T) {
	folder := t.TempDir()
	a := newAttempts(folder)
	now := time.Unix(1e9, 0)
	a.now = func() time.Time { return now }
	mustAdd(t, a, tries("http://unknown"), tries("http://old"), note{state: there, url: "http://old"})
	now = now.Add(keepFor + time.Hour)
	mustAdd(t, a, tries("http://recent"), note{state: absent, url: "http://recent"})
	positions := make([]uint64, 200_000)
	for i := range positions {
		positions[i] = uint64(i) * 200
	}
	for i := range 90 {
		now = now.Add(time.Minute)
		url := "http://" + strings.Repeat("x", i)
		mustAdd(t, a, note{state: tried, url: url, held: []heldSource{{2, positions}}}, note{state: there, url: url})
	}
	info, err := os.Stat(filepath.Join(folder, attemptsFile))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 2*maxAttempts+1<<20 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	got := states(t, newAttempts(folder))
	if got["http://unknown"] != tried || got["http://old"] != 0 {
		t.Errorf("kept: %v", got)
	}
}

// TestTwoProcesses: a replay adds notes while the agent does.
func TestTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	a, b := newAttempts(folder), newAttempts(folder)
	for i := range 20 {
		mustAdd(t, []*attempts{a, b}[i%2], tries("http://"+strings.Repeat("x", i)))
	}
	if n := len(states(t, a)); n != 20 {
		t.Errorf("%d notes, want 20", n)
	}
}

// FuzzNotes reads a file that is not the output's own.
func FuzzNotes(f *testing.F) {
	n := tries("http://a")
	f.Add(appendNote(nil, &n))
	f.Fuzz(func(t *testing.T, content []byte) {
		rest := eachNote(content, func(n *note, raw []byte) {
			if again := appendNote(nil, n); n.ascending() && len(raw) < len(again) {
				t.Errorf("%x is shorter than it can be: %x", raw, again)
			}
		})
		if len(rest) > len(content) {
			t.Error("there is more left than there was")
		}
		a := newAttempts("")
		a.memory = slices.Clone(content)
		a.memory = a.needed(a.memory)
	})
}

func (n *note) ascending() bool {
	return !slices.ContainsFunc(n.held, func(h heldSource) bool { return !slices.IsSorted(h.positions) })
}

// FuzzErrorBody reads what a service says of an error.
func FuzzErrorBody(f *testing.F) {
	f.Add([]byte(`<Error><Code>SlowDown</Code><Message>m</Message><Region>eu-west-1</Region></Error>`))
	f.Fuzz(func(_ *testing.T, body []byte) { _, _ = parseError(body) })
}
