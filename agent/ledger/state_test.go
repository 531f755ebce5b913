package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// readOne reads the ledger in a folder, which has one source.
func readOne(t *testing.T, dir string) State {
	t.Helper()
	states := must[[]State](t)(Read(dir))
	if len(states) != 1 {
		t.Fatalf("the ledger has %d sources, want 1", len(states))
	}
	return states[0]
}

// TestReadWhileInUse reads a ledger while another has it, in the middle of an append.
func TestReadWhileInUse(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	defer l.Close()
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x", "y"}, 100))
	s.Begin(3)
	s.Checkpoint(100, []byte("at 100"))
	s.Checkpoint(200, []byte("at 200"))
	s.AddTimeoutBoundary(150)
	x, y := must[*Track](t)(s.Track("x")), must[*Track](t)(s.Track("y"))
	x.Done(0, 120)
	y.Done(0, 100)
	y.Done(180, 200)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	torn := must[*os.File](t)(os.OpenFile(filepath.Join(dir, fileName), os.O_WRONLY|os.O_APPEND, 0))
	defer torn.Close()
	must[int](t)(torn.Write([]byte("\x40\x00\x00\x00torn")))

	want := State{
		ID: s.ID(), Input: "in", Key: "a.log", Cursor: pipeline.Cursor{Pos: 100,
			State: []byte("at 100")}, TimeoutBoundaries: []uint64{150},
		Routes: []RouteState{
			{Route: "x", Begun: true, Origin: 3, Done: Positions{{0, 120}}, Reserved: 300},
			{Route: "y", Begun: true, Origin: 3, Done: Positions{{0, 100}, {180, 200}}, Reserved: 300},
		},
	}
	unexported := cmp.AllowUnexported(span{})
	if diff := cmp.Diff(want, readOne(t, dir), unexported); diff != "" {
		t.Error(diff)
	}

	// What is written of it is read as the same, and opened as such.
	other := t.TempDir()
	if err := Write(other, []State{want}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, readOne(t, other), unexported); diff != "" {
		t.Error(diff)
	}
	again := open(t, other)
	defer again.Close()
	s = must[*Source](t)(again.Open(s.ID(), "in", "a.log", []string{"x", "y"}, 100))
	if x := must[*Track](t)(s.Track("x")); !x.Skip(119) || x.Skip(120) {
		t.Error("what was done is not skipped, or what was not, is")
	}
}

func TestReadNothing(t *testing.T) {
	if states, err := Read(filepath.Join(t.TempDir(), "none")); err != nil || len(states) != 0 {
		t.Errorf("%v, %v", states, err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte("something else altogether"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil {
		t.Error("a file that is no ledger was read")
	}
}

// TestOriginOfARoute: at its first record, which may come long after the
// source's, and anew when it was away for a while.
func TestOriginOfARoute(t *testing.T) {
	dir := t.TempDir()
	begin := func(first uint64, routes ...string) map[string]uint64 {
		l := open(t, dir)
		var id event.SourceID
		for _, k := range l.Known("in") {
			id = k.ID
		}
		s := must[*Source](t)(l.Open(id, "in", "a.log", routes, 1))
		s.Begin(first)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := l.file.replace(l.snapshot()); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		origins := map[string]uint64{}
		for _, state := range must[[]State](t)(Read(dir)) {
			for _, r := range state.Routes {
				if r.Begun {
					origins[r.Route] = r.Origin
				}
			}
		}
		return origins
	}
	for _, run := range []struct {
		first  uint64
		routes []string
		want   map[string]uint64
	}{
		{10, []string{"x"}, map[string]uint64{"x": 10}},
		{20, []string{"x", "y"}, map[string]uint64{"x": 10, "y": 20}},
		{30, []string{"y"}, map[string]uint64{"y": 20}},
		{40, []string{"x", "y"}, map[string]uint64{"x": 40, "y": 20}},
	} {
		if diff := cmp.Diff(run.want, begin(run.first, run.routes...)); diff != "" {
			t.Errorf("from %d: %s", run.first, diff)
		}
	}
}

func TestPositions(t *testing.T) {
	var p Positions
	if !p.Empty() || p.End() != 0 {
		t.Error("the empty set has positions")
	}
	p.Add(5, 10)
	p.Add(20, 30)
	others := p.Complement()
	for pos, want := range map[uint64]bool{0: false, 4: false, 5: true, 9: true, 10: false, 20: true, 29: true,
		30: false, 1 << 63: false} {
		if p.Has(pos) != want || others.Has(pos) == want {
			t.Errorf("Has(%d) = %v, the others' %v", pos, p.Has(pos), others.Has(pos))
		}
	}
	if p.End() != 30 {
		t.Errorf("it ends at %d", p.End())
	}
	if all := new(Positions).Complement(); !all.Has(0) || !all.Has(1<<64-2) {
		t.Error("there are no others than none")
	}
}

// TestPreviousTargets: a target is kept while what may have been sent to it is not done.
func TestPreviousTargets(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	s := must[*Source](t)(l.Open(0, "in", "a.log", []string{"x"}, 100))
	id := s.ID()
	run := func(target string, crash bool, do func(x *Track)) {
		t.Helper()
		s := must[*Source](t)(l.Open(id, "in", "a.log", []string{"x"}, 100))
		if err := s.SetTarget("x", []byte(target)); err != nil {
			t.Fatal(err)
		}
		s.Begin(5)
		x := must[*Track](t)(s.Track("x"))
		do(x)
		if !crash {
			l = reopen(t, l, dir)
			return
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.file.close()
		l.lock.Close()
		l = open(t, dir)
	}
	previous := func(x *Track, pos uint64) (targets []string) {
		for _, p := range x.AtTarget(pos) {
			targets = append(targets, string(p))
		}
		return targets
	}
	want := func(x *Track, pos uint64, targets ...string) {
		t.Helper()
		if diff := cmp.Diff(targets, previous(x, pos)); diff != "" {
			t.Errorf("at %d: %s", pos, diff)
		}
	}
	run("a", true, func(x *Track) {
		x.source.Checkpoint(40, []byte("s"))
		want(x, 10)
		if err := x.Reserve(40); err != nil {
			t.Fatal(err)
		}
	})
	reserved := readOne(t, dir).Routes[0].Reserved
	run("b", true, func(x *Track) {
		want(x, 10, "a")
		want(x, reserved-1, "a")
		want(x, reserved)
	})
	if r := readOne(t, dir).Routes[0]; string(r.Target) != "b" || r.Origin != reserved {
		t.Errorf("records go to %s from %d on, want b from %d on", r.Target, r.Origin, reserved)
	}
	run("a", true, func(x *Track) { want(x, 10, "a", "b") })
	run("a", false, func(x *Track) {
		want(x, 10, "a", "b")
		x.source.Checkpoint(reserved, []byte("s"))
		x.Done(0, reserved)
	})
	run("c", false, func(x *Track) { want(x, reserved-1) })
	run("", false, func(x *Track) { want(x, reserved-1) })
	defer l.Close()
}

// TestReadsEarlierFile: testdata/ledger.log was written before the first release, by a run whose
// Elasticsearch was away and whose index was changed, and which was killed twice.
func TestReadsEarlierFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	states := must[[]State](t)(Read(dir))
	if len(states) != 2 {
		t.Fatalf("the ledger has %d sources, want 2", len(states))
	}
	a := states[0]
	got := []any{a.ID.String(), a.Input, a.Key, a.Cursor.Pos, len(a.Cursor.State), a.TimeoutBoundaries, a.Routes}
	want := []any{
		"88e77a1e50c9074c", "app", "/var/log/app/a.log", uint64(0), 46, []uint64{93800, 93867, 93918},
		[]RouteState{
			{Route: "main/done", Begun: true, Done: Positions{{0, 93918}}, Reserved: 1142494},
			{
				Route: "main/elastic", Begun: true, Origin: 1142452, Target: []byte(`{"index":"logs2"}`),
				Done: Positions{{90048, 93876}}, Reserved: 1142452,
			},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
	l := open(t, dir)
	defer l.Close()
	s := must[*Source](t)(l.Open(a.ID, a.Input, a.Key, []string{"main/done", "main/elastic"}, 100))
	elastic := must[*Track](t)(s.Track("main/elastic"))
	if at := elastic.AtTarget(1142451); len(at) != 1 || string(at[0]) != `{"index":"logs"}` {
		t.Errorf("the previous targets are %q", at)
	}
	if !elastic.Skip(90048) || elastic.Skip(93876) || !elastic.Uncertain(93876) {
		t.Error("what is done, or uncertain, is not known")
	}
	if damaged, _ := filepath.Glob(filepath.Join(dir, "*.damaged-*")); len(damaged) > 0 {
		t.Errorf("a good file was set aside: %v", damaged)
	}
}
