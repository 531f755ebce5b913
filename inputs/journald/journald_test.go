package journald

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/journald/journalfile/journaltest"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A machine has a journal.
type machine struct {
	t       testing.TB
	dir     string
	systems [2]*journaltest.Writer // of two sequences of numbers
}

func newMachine(t testing.TB) *machine { return &machine{t: t, dir: t.TempDir()} }

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) system(k int) *journaltest.Writer {
	if m.systems[k] == nil {
		path := m.path(fmt.Sprintf("system%d.journal", k))
		m.systems[k] = journaltest.New(m.t, path, [16]byte{byte(k + 1)}, 1, k == 1)
	}
	return m.systems[k]
}

func now() uint64 { return uint64(time.Now().UnixMicro()) }

func (m *machine) say(k int, messages ...string) {
	for _, message := range messages {
		m.system(k).Append(now(), "MESSAGE="+message, "PRIORITY=4", "_HOSTNAME=web-1")
	}
}

// rotate begins another file.
func (m *machine) rotate(k int, archived string) {
	m.t.Helper()
	w := m.system(k)
	w.Archive()
	name := m.path(fmt.Sprintf("system%d.journal", k))
	if err := os.Rename(name, m.path(archived)); err != nil {
		m.t.Fatal(err)
	}
	m.systems[k] = journaltest.New(m.t, name, [16]byte{byte(k + 1)}, w.Next(), k == 1)
}

func (m *machine) input(t testing.TB, settings string) *input {
	t.Helper()
	c := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("paths: [%q]\n%s", m.dir, settings))
	in, err := c.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	in.(*input).poll = time.Millisecond
	return in.(*input)
}

// TestConformance is about the messages of entries: their records have more.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		m := newMachine(t)
		return pipetest.InputHarness{
			New:        func(t testing.TB) pipeline.Input { return messages{m.input(t, "")} },
			Write:      func(_ testing.TB, lines ...string) { m.say(0, lines...) },
			WriteOther: func(_ testing.TB, lines ...string) { m.say(1, lines...) },
			Resumes:    true, Text: true,
		}
	})
}

// messages is the input, of which only the messages are sent.
type messages struct{ *input }

func (m messages) Run(ctx context.Context, feed pipeline.Feed) error {
	return m.input.Run(ctx, messageFeed{feed})
}

func (m messages) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	return m.input.Reread(ctx, from, messageFeed{feed})
}

type messageFeed struct{ pipeline.Feed }

func (m messageFeed) Send(ctx context.Context, b *event.Batch) error {
	for i := range b.Records {
		var record struct{ Message string }
		if err := json.Unmarshal(b.Line(i), &record); err != nil {
			return fmt.Errorf("%w: %q", err, b.Line(i))
		}
		b.Records[i].Line = b.PutString(record.Message)
	}
	return m.Feed.Send(ctx, b)
}

// start runs an input until stop is called.
func start(t testing.TB, in pipeline.Input, feed *pipetest.Feed) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	over := false
	stop = func() {
		cancel()
		if !over {
			over = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func messagesOf(got []pipetest.Got) (all []string) {
	for _, g := range got {
		var record struct{ Message string }
		_ = json.Unmarshal([]byte(g.Line), &record)
		all = append(all, record.Message)
	}
	return all
}

func numbers(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func TestRecords(t *testing.T) {
	for name, tt := range map[string]struct {
		fields []string
		want   string
	}{
		"a service": {[]string{"MESSAGE=hi \"you\"\n\x01", "PRIORITY=3", "SYSLOG_FACILITY=3", "SYSLOG_IDENTIFIER=nginx",
			"_SYSTEMD_UNIT=nginx.service", "_PID=42", "_UID=33", "_COMM=nginx", "_HOSTNAME=web-1", "_TRANSPORT=stdout",
			"_EXE=/usr/sbin/nginx", "_CAP_EFFECTIVE=0", "TRACE_ID=4bf9", "SYSLOG_PID=42"},
			`{"message":"hi \"you\"\n\u0001","level":"error","service":"nginx","unit":"nginx.service",` +
				`"facility":"daemon","identifier":"nginx","pid":42,"uid":33,"comm":"nginx","hostname":"web-1",` +
				`"transport":"stdout",` +
				`"exe":"/usr/sbin/nginx","trace_id":"4bf9"}`},
		"a container": {[]string{"MESSAGE=hi", "CONTAINER_NAME=shop", "_SYSTEMD_UNIT=docker.service"},
			`{"message":"hi","service":"shop","unit":"docker.service","container_name":"shop"}`},
		"the manager about a unit": {
			[]string{"MESSAGE=Started", "_PID=1", "_SYSTEMD_UNIT=init.scope", "UNIT=ssh.service"},
			`{"message":"Started","service":"ssh","unit":"ssh.service","pid":1,"unit_2":"ssh.service"}`},
		"the kernel": {[]string{"MESSAGE=eth0 up", "SYSLOG_IDENTIFIER=kernel", "PRIORITY=6", "SYSLOG_FACILITY=0"},
			`{"message":"eth0 up","level":"info","service":"kernel","facility":"kern","identifier":"kernel"}`},
		"names that are taken": {[]string{"LEVEL=x", "MESSAGE=a", "MESSAGE=b", "A=1", "A=2", "_PID=x", "PRIORITY=no"},
			`{"message":"a","level":"info","level_2":"x","a":"1","a_2":"2","pid":"x"}`},
		"no message": {[]string{"A=1"}, `{"a":"1"}`},
		"nothing":    {nil, `{}`},
		"no name":    {[]string{"=x", "novalue"}, `{"novalue":""}`},
	} {
		e := &entry{}
		for _, f := range tt.fields {
			e.fields = append(e.fields, newField([]byte(f), false, []string{"_EXE"}))
		}
		got, _ := e.appendRecord(nil)
		if diff := cmp.Diff(tt.want, string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if !json.Valid(got) {
			t.Errorf("%s: it is no JSON", name)
		}
	}
}

// FuzzRecord: whatever is in the fields, the record is valid JSON with keys that differ.
func FuzzRecord(f *testing.F) {
	f.Add("MESSAGE=a\xff", "A=1", "A=2")
	f.Add("_PID=1", "UNIT=\"", "LEVEL=\x00")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		e := &entry{}
		for _, field := range []string{a, b, c} {
			e.fields = append(e.fields, newField([]byte(field), false, nil))
		}
		line, _ := e.appendRecord(nil)
		if !json.Valid(line) {
			t.Errorf("%q", line)
		}
	})
}

func TestChoice(t *testing.T) {
	m := newMachine(t)
	w := m.system(0)
	add := func(message string, fields ...string) { w.Append(now(), append(fields, "MESSAGE="+message)...) }
	add("unit", "_SYSTEMD_UNIT=app-1.service", "PRIORITY=3", "SYSLOG_IDENTIFIER=x")
	add("excluded", "_SYSTEMD_UNIT=app-2.service", "PRIORITY=3", "SYSLOG_IDENTIFIER=x")
	add("other unit", "_SYSTEMD_UNIT=other.service", "PRIORITY=3", "SYSLOG_IDENTIFIER=x")
	add("less severe", "_SYSTEMD_UNIT=app-1.service", "PRIORITY=5", "SYSLOG_IDENTIFIER=x")
	add("without priority", "_SYSTEMD_UNIT=app-1.service", "SYSLOG_IDENTIFIER=x")
	add("other identifier", "_SYSTEMD_UNIT=app-1.service", "PRIORITY=3", "SYSLOG_IDENTIFIER=y")
	add("last", "_SYSTEMD_UNIT=app-3.service", "PRIORITY=0", "SYSLOG_IDENTIFIER=x")
	feed := pipetest.NewFeed(t)
	settings := "units: [app-*]\nexclude_units: [app-2.service]\npriority: warning\nidentifiers: [x]"
	stop := start(t, m.input(t, settings), feed)
	got := feed.WaitFor(limit(t), 2)
	stop()
	if diff := cmp.Diff([]string{"unit", "last"}, messagesOf(got)); diff != "" {
		t.Error(diff)
	}
	feed.Ack()
	next := feed.Restart()
	if pos := next.Known()[0].Cursor.Pos; pos != 8 {
		t.Errorf("the position is %d", pos)
	}
}

// sentOf returns up to where a journal was sent, 0 for one that was not yet.
func (in *input) sentOf(id [16]byte) uint64 {
	r := in.running.Load()
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if j := r.journals[id]; j != nil {
		return j.sent.Load()
	}
	return 0
}

// TestRotations: entries come once and in order over rotations, files that are deleted at once,
// users' files, and restarts.
func TestRotations(t *testing.T) {
	m := newMachine(t)
	feed := pipetest.NewFeed(t)
	stop := start(t, m.input(t, ""), feed)
	n := 0
	say := func(count int) {
		m.say(0, numbers(n, n+count)...)
		n += count
	}
	for round := range 6 {
		say(20)
		if round%2 == 0 {
			feed.WaitFor(limit(t), n)
		}
		m.rotate(0, fmt.Sprintf("system0@%d.journal", round))
		say(5)
	}
	feed.WaitFor(limit(t), n)
	stop()
	before := feed.Got()
	if diff := cmp.Diff(numbers(0, n), messagesOf(before)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	feed.Ack()
	// While it is stopped there is a rotation, and a vacuum takes what was read.
	say(7)
	m.rotate(0, "system0@x.journal")
	if err := os.Remove(m.path("system0@0.journal")); err != nil {
		t.Fatal(err)
	}
	say(3)
	next := feed.Restart()
	stop = start(t, m.input(t, ""), next)
	next.WaitFor(limit(t), 10)
	stop()
	if diff := cmp.Diff(numbers(n-10, n), messagesOf(next.Got())); diff != "" {
		t.Errorf("after a restart: -want +got\n%s", diff)
	}
}

// TestUsersFiles: entries that one journald writes to several files come by their numbers.
func TestUsersFiles(t *testing.T) {
	m := newMachine(t)
	feed := pipetest.NewFeed(t)
	if err := os.Mkdir(m.path("below"), 0o700); err != nil {
		t.Fatal(err)
	}
	system := journaltest.New(t, m.path("below/system.journal"), [16]byte{1}, 1, false)
	user := journaltest.New(t, m.path("below/user-1000.journal"), [16]byte{1}, 2, true)
	system.Append(now(), "MESSAGE=1")
	user.Append(now(), "MESSAGE=2")
	user.Append(now(), "MESSAGE=3")
	again := journaltest.New(t, m.path("below/user-1001.journal"), [16]byte{1}, 4, true)
	again.Append(now(), "MESSAGE=4")
	start(t, m.input(t, ""), feed)
	got := feed.WaitFor(limit(t), 4)
	if diff := cmp.Diff(numbers(1, 5), messagesOf(got)); diff != "" {
		t.Error(diff)
	}
	for i, g := range got {
		if g.Pos != uint64(i+1) {
			t.Errorf("%q is at %d", g.Line, g.Pos)
		}
	}
}

func TestWhereToBegin(t *testing.T) {
	old := uint64(time.Now().Add(-48 * time.Hour).UnixMicro())
	for settings, want := range map[string][]string{
		"since: 0s": {"old", "new", "later"}, "since: 1d": {"new", "later"}, "read_from: end": {"later"},
	} {
		m := newMachine(t)
		m.system(0).Append(old, "MESSAGE=old")
		m.say(0, "new")
		feed := pipetest.NewFeed(t)
		in := m.input(t, settings)
		stop := start(t, in, feed)
		for in.sentOf([16]byte{1}) == 0 {
			runtime.Gosched()
		}
		stop()
		feed.Ack()
		m.say(0, "later")
		before := messagesOf(feed.Got())
		next := feed.Restart()
		start(t, m.input(t, settings), next)
		next.WaitFor(limit(t), len(want)-len(before))
		if diff := cmp.Diff(want, append(before, messagesOf(next.Got())...)); diff != "" {
			t.Errorf("%s: %s", settings, diff)
		}
	}
}

func valueOf(t testing.TB, c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestVacuum: what is deleted before it was read is counted, and what is open can still be read.
func TestVacuum(t *testing.T) {
	m := newMachine(t)
	m.say(0, numbers(0, 5)...)
	feed := pipetest.NewFeed(t)
	stop := start(t, m.input(t, ""), feed)
	feed.WaitFor(limit(t), 5)
	stop()
	feed.Ack()
	m.say(0, "gone")
	m.rotate(0, "system0@1.journal")
	if err := os.Remove(m.path("system0@1.journal")); err != nil {
		t.Fatal(err)
	}
	m.say(0, "there")
	next := feed.Restart()
	in := m.input(t, "")
	stop = start(t, in, next)
	if diff := cmp.Diff([]string{"there"}, messagesOf(next.WaitFor(limit(t), 1))); diff != "" {
		t.Error(diff)
	}
	stop()
	if n := valueOf(t, in.metrics.lost); n != 1 {
		t.Errorf("%v entries are lost", n)
	}
}

// TestDeletedWhileAnOutputLags: a file stays open until the outputs have what is in it.
func TestDeletedWhileAnOutputLags(t *testing.T) {
	m := newMachine(t)
	m.say(0, numbers(0, 5)...)
	feed := pipetest.NewFeed(t)
	feed.Lag(true)
	in := m.input(t, "")
	start(t, in, feed)
	feed.WaitFor(limit(t), 5)
	m.rotate(0, "system0@1.journal")
	m.say(0, "5")
	feed.WaitFor(limit(t), 6)
	if err := os.Remove(m.path("system0@1.journal")); err != nil {
		t.Fatal(err)
	}
	id := feed.Got()[0].Source.ID
	for feed.LeavingTo(id) != 6 { // the next scan sees it
		if limit(t).Err() != nil {
			t.Fatal("it is not told that the file is about to be gone")
		}
		runtime.Gosched()
	}
	feed.CheckReread(limit(t), in, 1)
}

// TestDamage: what makes no sense is left out and counted; what is behind it comes.
func TestDamage(t *testing.T) {
	m := newMachine(t)
	m.say(0, numbers(0, 3)...)
	path := m.path("system0.journal")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("MESSAGE=1")) - 64 + 8 // the size of its object
	text[at+7] = 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.path("none.journal"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	feed, in := pipetest.NewFeed(t), m.input(t, "")
	stop := start(t, in, feed)
	if diff := cmp.Diff([]string{"0", "2"}, messagesOf(feed.WaitFor(limit(t), 2))); diff != "" {
		t.Error(diff)
	}
	stop()
	if n := valueOf(t, in.metrics.damaged); n != 1 {
		t.Errorf("%v entries are damaged", n)
	}
}

func TestNoJournal(t *testing.T) {
	in := newMachine(t).input(t, "")
	said := make(chan error, 1)
	in.env.Health = func(err error) {
		select {
		case said <- err:
		default:
		}
	}
	start(t, in, pipetest.NewFeed(t))
	if err := <-said; err == nil || !strings.Contains(err.Error(), "no journal is in") {
		t.Errorf("health is %v", err)
	}
}

func TestExamine(t *testing.T) {
	m := newMachine(t)
	examine := func() (said string) {
		m.input(t, "").Examine(t.Context(), func(f pipeline.Finding) { said = f.State.String() + ": " + f.Says })
		return said
	}
	if said := examine(); !strings.HasPrefix(said, "failed: no journal is in") {
		t.Error(said)
	}
	m.say(0, "hi")
	if said := examine(); !strings.HasPrefix(said, "ok: 1 file can be read, the last entry is of 2") {
		t.Error(said)
	}
}
