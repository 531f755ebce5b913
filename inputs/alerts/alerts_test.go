package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/journal"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newInput(t testing.TB, dir, settings string) *Input {
	t.Helper()
	env := pipetest.Env(t)
	env.Folder = dir
	made, err := pipetest.Config[*Config](t, Spec(), settings).Input(env)
	if err != nil {
		t.Fatal(err)
	}
	return made.(*Input)
}

// TestConformance writes into the journal of alerts that conclude nothing.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		dir := t.TempDir()
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return pipetest.InputHarness{
			New: func(t testing.TB) pipeline.Input { return newInput(t, dir, "rules: {a: {at_least: 1}}") },
			Write: func(t testing.TB, lines ...string) {
				for _, line := range lines {
					if err := j.Append([]byte(line)); err != nil {
						t.Fatal(err)
					}
				}
			},
			Resumes: true,
		}
	})
}

// A play is an engine whose clock, sources and journal are the test's.
type play struct {
	t        testing.TB
	settings string
	e        *engine
	began    time.Time
	now      time.Time
	lagging  map[event.SourceID]bool
	journal  [][]byte
	pos      map[event.SourceID]uint64
}

// newPlay begins on a Monday at noon, with the clock known.
func newPlay(t testing.TB, settings string) *play {
	began := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	p := &play{
		t: t, settings: settings, began: began, now: began.Add(-settle), lagging: map[event.SourceID]bool{},
		pos: map[event.SourceID]uint64{},
	}
	p.e = p.engine()
	p.e.pass(p.now, p)
	p.to(0)
	return p
}

func (p *play) engine() *engine {
	p.t.Helper()
	rules, err := newRules(pipetest.Config[*Config](p.t, Spec(), "rules:\n"+p.settings).Rules)
	if err != nil {
		p.t.Fatal(err)
	}
	return newEngine(rules, "host", "https://logs")
}

// Lagging implements pipeline.Overview.
func (p *play) Lagging(visit func(event.SourceID)) {
	for id := range p.lagging {
		visit(id)
	}
}

// Knows implements pipeline.Overview.
func (p *play) Knows(event.SourceID) bool { return true }

// to passes every second until a time after the beginning.
func (p *play) to(d time.Duration) {
	for !p.now.After(p.began.Add(d)) {
		p.pass()
		p.now = p.now.Add(time.Second)
	}
	p.now = p.began.Add(d)
}

func (p *play) pass() {
	for p.e.pass(p.now, p) {
	}
	for c, some := p.e.next(); some; c, some = p.e.next() {
		line, err := c.line()
		if err != nil {
			p.t.Fatal(err)
		}
		p.journal = append(p.journal, line)
		p.e.written(&c)
	}
}

// log has a source log records at a time after the beginning.
func (p *play) log(id event.SourceID, at time.Duration, lines ...string) {
	p.observe(p.batch(id, at, lines...))
}

func (p *play) batch(id event.SourceID, at time.Duration, lines ...string) *event.Batch {
	b := &event.Batch{}
	service := event.Label{Name: "service", Value: fmt.Sprint("s", uint64(id))}
	b.Reset(event.NewSource(id, "in", fmt.Sprint(id), []event.Label{service}))
	b.From = p.pos[id]
	for _, line := range lines {
		level, message, _ := strings.Cut(line, " ")
		r := b.Add(p.pos[id], p.began.Add(at).UnixNano(), b.PutString(message))
		r.Level = event.LevelNamed(level)
		p.pos[id] += uint64(len(line)) + 1
	}
	b.To = p.pos[id]
	return b
}

func (p *play) observe(b *event.Batch) { p.e.observe(b, p.now.UnixNano()) }

// restart goes on from a state and what is in the journal.
func (p *play) restart(state []byte) {
	p.t.Helper()
	p.e = p.engine()
	if err := p.e.restore(state, p.Knows); err != nil {
		p.t.Fatal(err)
	}
	for _, line := range p.journal {
		p.e.recall(line)
	}
}

// said returns what was concluded, as times after the beginning and messages.
func (p *play) said() (all []string) {
	for _, line := range p.journal {
		var c conclusion
		unmarshal(p.t, line, &c)
		all = append(all, fmt.Sprintf("%s %s %s", c.Time.Sub(p.began), c.Status, c.Message))
	}
	return all
}

func (p *play) want(all ...string) {
	p.t.Helper()
	if diff := cmp.Diff(all, p.said()); diff != "" {
		p.t.Error(diff)
	}
}

func failures(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("error no %d", i))
	}
	return lines
}

const manyErrors = `  errors: {if: level >= "error", at_least: 10, window: 1m, resolve_after: 10s}` + "\n"

// TestTooMany rings as soon as there are too many, and resolves when they have left the window.
func TestTooMany(t *testing.T) {
	p := newPlay(t, manyErrors)
	p.log(1, 0, failures(9)...)
	p.to(5 * time.Second)
	p.want()
	p.log(2, 5*time.Second, failures(1)...)
	p.log(2, 5*time.Second, "info fine", "info fine")
	p.to(6 * time.Second)
	p.want("5s firing errors: 10 records in 1m, at least 10")
	p.to(3 * time.Minute)
	p.want("5s firing errors: 10 records in 1m, at least 10",
		"1m10s resolved errors: over after 1m4s: 0 records in 1m, at least 10")
}

// TestAnyRecord: without a number one record is enough.
func TestAnyRecord(t *testing.T) {
	p := newPlay(t, `  any: {if: message contains "out of memory", window: 10s, resolve_after: 0s}`)
	p.log(1, 0, "info fine", "fatal out of memory", "fatal out of memory")
	p.to(time.Minute)
	p.want("0s firing any: 2 records in 10s, at least 1",
		"11s resolved any: over after 10s: 0 records in 10s, at least 1")
}

// TestFor: it rings only once the condition has held for long enough.
func TestFor(t *testing.T) {
	p := newPlay(t, `  errors: {at_least: 2, window: 10s, for: 15s, resolve_after: 0s}`)
	p.log(1, 0, failures(2)...)
	p.to(20 * time.Second)
	for i := range 5 {
		p.log(1, time.Duration(20+5*i)*time.Second, failures(2)...)
		p.to(time.Duration(25+5*i) * time.Second)
	}
	p.to(2 * time.Minute)
	p.want("35s firing errors: 4 records in 10s, at least 2",
		"51s resolved errors: over after 15s: 0 records in 10s, at least 2")
}

// TestAbsence rings when a window is over in which there was nothing, and not before.
func TestAbsence(t *testing.T) {
	p := newPlay(t, `  quiet: {below: 1, window: 30s, resolve_after: 0s}`)
	for i := range 6 {
		p.log(1, time.Duration(10*i)*time.Second, "info tick")
		p.to(time.Duration(10*(i+1)) * time.Second)
	}
	p.to(75 * time.Second)
	p.want()
	p.to(2 * time.Minute)
	p.log(1, 2*time.Minute, "info tick")
	p.to(140 * time.Second)
	p.want("1m21s firing quiet: no record in 30s", "2m1s resolved quiet: over after 40s: 1 record in 30s, fewer than 1")
}

// TestLagIsNotAbsence: while a source has something to read, what is missing may be there.
func TestLagIsNotAbsence(t *testing.T) {
	p := newPlay(t, `  quiet: {below: 1, window: 30s, resolve_after: 0s}`)
	p.log(1, 0, "info tick")
	p.to(time.Second)
	p.lagging[1] = true
	p.to(10 * time.Minute)
	p.want()
	for i := range 60 { // what was there to read, in one go
		p.log(1, time.Duration(10*i)*time.Second, "info tick")
	}
	delete(p.lagging, 1)
	p.to(10*time.Minute + 20*time.Second)
	p.want()
	p.lagging[7] = true // of which nothing has come
	p.to(20 * time.Minute)
	p.want()
	delete(p.lagging, 7)
	p.to(20*time.Minute + time.Second)
	p.want("10m21s firing quiet: no record in 30s")
}

// TestBacklog rings for the time at which it was, whoever reads it when.
func TestBacklog(t *testing.T) {
	p := newPlay(t, manyErrors)
	p.log(1, 0, "info tick")
	p.to(time.Second)
	p.lagging[1] = true
	p.to(2 * time.Hour)
	for i := range 60 {
		lines := []string{"info tick"}
		if i == 20 {
			lines = failures(12)
		}
		p.log(1, time.Duration(i)*2*time.Minute, lines...)
	}
	delete(p.lagging, 1)
	p.to(2*time.Hour + time.Minute)
	p.want("40m1s firing errors: 12 records in 1m, at least 10",
		"41m10s resolved errors: over after 1m9s: 0 records in 1m, at least 10")
}

// TestOldRecords: what is older than a day does not ring.
func TestOldRecords(t *testing.T) {
	p := newPlay(t, manyErrors)
	p.lagging[1] = true
	p.log(1, -48*time.Hour, failures(100)...)
	p.log(1, -47*time.Hour, failures(100)...)
	p.to(time.Minute)
	delete(p.lagging, 1)
	p.to(2 * time.Minute)
	p.want()
}

// TestOddClock: a source whose times are hours off rings as if they were right.
func TestOddClock(t *testing.T) {
	for _, off := range []time.Duration{-5 * time.Hour, 5 * time.Hour, -20 * time.Second} {
		p := newPlay(t, manyErrors)
		for i := range 60 {
			p.log(1, time.Duration(i)*time.Second+off, "info tick")
			p.to(time.Duration(i+1) * time.Second)
		}
		p.log(1, time.Minute+off, failures(12)...)
		p.to(10 * time.Minute)
		if n := len(p.journal); n != 2 {
			t.Errorf("off by %s: %q", off, p.said())
		}
	}
}

// TestGroups: each group rings for itself, and has its own key for good.
func TestGroups(t *testing.T) {
	p := newPlay(t, `  errors: {by: [service, level], at_least: 2, window: 10s, resolve_after: 0s, max_groups: 2}`)
	p.log(1, 0, "error a", "error b", "warn c")
	p.log(2, 0, "error a", "error b", "error c")
	p.to(time.Minute)
	p.want("0s firing errors: 2 records in 10s, at least 2 (level=error, service=s1)",
		"11s resolved errors: over after 10s: 0 records in 10s, at least 2 (level=error, service=s1)")
	if n := p.e.leftOut.Load(); n != 3 {
		t.Errorf("%d records were left out", n)
	}
	var first, second conclusion
	unmarshal(t, p.journal[0], &first)
	unmarshal(t, p.journal[1], &second)
	if first.Key != second.Key || first.Key != "errors/7b31a51c3fddd083" || first.Service != "s1" {
		t.Errorf("the keys are %q and %q", first.Key, second.Key)
	}
	want := "https://logs/#/logs?level=error&service=s1&since=2026-06-01T11%3A59%3A51Z&until=2026-06-01T12%3A00%3A01Z"
	if first.Link != want {
		t.Errorf("the link is %s", first.Link)
	}
}

// TestForgottenGroup: what is gone does not ring for ever.
func TestForgottenGroup(t *testing.T) {
	p := newPlay(t, `  quiet: {by: [service], below: 1, window: 10s, resolve_after: 0s, forget: 1m}`)
	p.log(1, 0, "info tick")
	p.to(5 * time.Minute)
	p.want("11s firing quiet: no record in 10s (service=s1)",
		"1m1s resolved quiet: over after 50s: 0 records in 10s, fewer than 1 (service=s1)")
	if n := len(p.e.rules[0].groups); n != 0 {
		t.Errorf("%d groups are left", n)
	}
}

// TestRepeat: what goes on rings again.
func TestRepeat(t *testing.T) {
	p := newPlay(t, `  errors: {window: 10s, resolve_after: 0s, repeat: 1m}`)
	for i := range 20 {
		p.log(1, time.Duration(10*i)*time.Second, "error a")
		p.to(time.Duration(10*i+10) * time.Second)
	}
	p.to(10 * time.Minute)
	statuses := ""
	for _, s := range p.said() {
		statuses += strings.Fields(s)[0] + strings.Fields(s)[1][:1] + " "
	}
	if want := "0sf 1m1sf 2m1sf 3m1sf 3m21sr "; statuses != want {
		t.Errorf("it said %q", statuses)
	}
}

// TestSilences: what begins in a silence rings when that ends, if it goes on; what has rung is
// resolved all the same.
func TestSilences(t *testing.T) {
	for name, test := range map[string]struct {
		silence string
		errors  []time.Duration
		want    string
	}{
		"over before its end": {`{from: "11:00", until: "12:01"}`, []time.Duration{0}, ""},
		"goes on":             {`{from: "11:00", until: "12:00"}`, []time.Duration{0, 8 * time.Second}, "0sf 19sr "},
		"over the night":      {`{from: "22:00", until: "12:01"}`, []time.Duration{0}, ""},
		"another day":         {`{days: [sat, sun]}`, []time.Duration{0}, "0sf 11sr "},
		"this day":            {`{days: [MON]}`, []time.Duration{0}, ""},
		"yesterday's night":   {`{days: [sun], from: "23:00", until: "13:00"}`, []time.Duration{0}, ""},
		"another zone":        {`{from: "14:00", until: "14:01", zone: Europe/Berlin}`, []time.Duration{0}, ""},
		"once":                {`{until: "2026-06-01T12:00:30Z"}`, []time.Duration{0}, ""},
		"once, till it goes on": {`{until: "2026-06-01T12:00:05Z"}`, []time.Duration{0},
			"5sf 11sr "},
		"begins later": {`{from: "2026-06-01T12:00:05Z", until: "2026-06-01T13:00:00Z"}`, []time.Duration{0},
			"0sf 11sr "},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, `  errors: {window: 10s, resolve_after: 0s, silences: [`+test.silence+`]}`)
			for _, at := range test.errors {
				p.to(at)
				p.log(1, at, "error a")
			}
			p.to(2 * time.Minute)
			statuses := ""
			for _, s := range p.said() {
				statuses += strings.Fields(s)[0] + strings.Fields(s)[1][:1] + " "
			}
			if statuses != test.want {
				t.Errorf("it said %q and not %q", statuses, test.want)
			}
		})
	}
}

// TestText: what a user writes, and names that there are not.
func TestText(t *testing.T) {
	p := newPlay(t, `  errors:
    by: [service]
    text: "{alert} {status} {count} {rate} {window} {condition} {group} {service} {level} {sample}"
    level: warn`)
	p.log(1, 0, "error a <b> & \x00\xff")
	p.to(time.Second)
	p.want("0s firing errors firing 1 0.2 5m at least 1 service=s1 s1 warn a <b> & \x00\uFFFD")
}

// TestRemovedAlert: what rings of an alert that the config does not have any more is resolved.
func TestRemovedAlert(t *testing.T) {
	p := newPlay(t, manyErrors)
	p.log(1, 0, failures(12)...)
	p.to(time.Second)
	state := p.e.state()
	p.settings = `  others: {if: message == "x"}`
	for range 3 {
		p.restart(state)
		p.e.resolveRemoved(p.now)
		p.to(30 * time.Second)
	}
	p.want("0s firing errors: 12 records in 1m, at least 10",
		"1s resolved errors: resolved, as the config does not have it so any more")
	var first, second conclusion
	unmarshal(t, p.journal[0], &first)
	unmarshal(t, p.journal[1], &second)
	if first.Key != second.Key || second.Until != nil {
		t.Errorf("it was resolved by %s", p.journal[1])
	}
}

// TestLongAbsence: a window of a day, and a short one for hours, ring once and are resolved once.
// (Reports on others: YelpArchive/elastalert#1373, grafana/loki#11744.)
func TestLongAbsence(t *testing.T) {
	for settings, want := range map[string]string{
		`  quiet: {below: 1, window: 1d}`:           "24h24m0s firing 36h24m0s resolved",
		`  quiet: {below: 1, window: 15m, for: 4h}`: "4h15m15s firing 36h1m0s resolved",
	} {
		p := newPlay(t, settings+"\n")
		p.e.rules[0].alert.Repeat = 0
		p.log(1, 0, "info done")
		step := func(d time.Duration) {
			for p.now.Before(p.began.Add(d)) {
				p.pass()
				p.now = p.now.Add(30 * time.Second)
			}
		}
		step(36 * time.Hour)
		p.log(1, 36*time.Hour, "info done")
		step(37 * time.Hour)
		var got []string
		for _, s := range p.said() {
			got = append(got, strings.Join(strings.Fields(s)[:2], " "))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", settings, p.said())
		}
	}
}

func TestWallClockSetBack(t *testing.T) {
	p := newPlay(t, manyErrors)
	p.now = p.began.Add(1000 * time.Hour) // it was wrong
	p.log(1, 1000*time.Hour, failures(12)...)
	p.pass()
	p.now = p.began.Add(time.Second)
	p.to(time.Minute)
	p.log(1, time.Minute, failures(12)...)
	p.to(5 * time.Minute)
	if n := len(p.journal); n < 2 || !strings.Contains(p.said()[n-1], "resolved") {
		t.Errorf("it said %q", p.said())
	}
}

// TestJournalThatFails: what cannot be written is written later, once, and counting does not wait.
func TestJournalThatFails(t *testing.T) {
	dir := t.TempDir()
	in := newInput(t, dir, "rules:\n"+manyErrors)
	p := newPlay(t, manyErrors)
	in.engine = p.e
	in.now = func() time.Time { return p.now }
	var problems []string
	in.env.Health = func(err error) { problems = append(problems, fmt.Sprint(err != nil)) }
	if err := in.Begin(nil, p); err != nil {
		t.Fatal(err)
	}
	if err := in.journal.Close(); err != nil { // it cannot be written to
		t.Fatal(err)
	}
	p.log(1, 0, failures(12)...)
	for range 3 {
		p.e.pass(p.now, p)
		in.write()
	}
	p.log(1, 0, failures(1)...)
	var err error
	if in.journal, err = journal.Open(dir); err != nil {
		t.Fatal(err)
	}
	defer in.journal.Close()
	for range 3 {
		p.e.pass(p.now, p)
		in.write()
	}
	lines := 0
	if err := in.journal.Lines(func([]byte) { lines++ }); err != nil || lines != 1 {
		t.Errorf("%d lines are in the journal: %v", lines, err)
	}
	if got := strings.Join(problems, " "); got != "true true true false" {
		t.Errorf("the health was %s", got)
	}
}

// BenchmarkObserve counts a batch of a thousand records, of which few count.
func BenchmarkObserve(b *testing.B) {
	p := newPlay(b, manyErrors+`  each: {if: level >= "error", by: [service], at_least: 4}`)
	lines := make([]string, 1000)
	for i := range lines {
		if lines[i] = "info a line as there are many"; i%100 == 0 {
			lines[i] = "error no stock"
		}
	}
	batch := p.batch(1, 0, lines...)
	b.ReportAllocs()
	for b.Loop() {
		for i := range batch.Records {
			batch.Records[i].Pos += batch.To
		}
		batch.From, batch.To = batch.To, 2*batch.To
		if batch.To > 1<<60 {
			b.Fatal("too many")
		}
		p.observe(batch)
		p.e.sources[1].counted, batch.To = 0, batch.From
		for i := range batch.Records {
			batch.Records[i].Pos -= batch.To
		}
	}
}
