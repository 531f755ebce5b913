package recent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a store of a test that runs.
type rig struct {
	*testing.T
	*Store
	tap  *Tap
	stop func()
	pos  map[event.SourceID]uint64
}

// start opens a store and runs it.
func start(t *testing.T, dir string, size pipeline.Size) *rig {
	t.Helper()
	s, err := Open(Options{DataDir: dir, Size: size, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, Store: s, tap: s.Tap("main", nil), pos: map[event.SourceID]uint64{}}
	r.run()
	return r
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Store.Run(ctx) })
	r.stop = func() {
		cancel()
		running.Wait()
	}
}

var (
	file      = event.NewSource(1, "files", "key", []event.Label{{Name: event.LabelFile, Value: "/var/log/app.log"}})
	container = event.NewSource(2, "docker", "web/stdout", []event.Label{
		{Name: event.LabelContainerName, Value: "web"}, {Name: event.LabelService, Value: "shop"},
		{Name: event.LabelStream, Value: "stdout"}})
)

// batch returns a batch of lines that nobody has parsed, a second apart.
func (r *rig) batch(src *event.Source, lines ...string) *event.Batch {
	b := &event.Batch{}
	b.Reset(src)
	for _, line := range lines {
		r.pos[src.ID]++
		b.Add(r.pos[src.ID], int64(r.pos[src.ID])*int64(time.Second), b.PutString(line))
	}
	return b
}

// take hands over a batch, and waits until it is stored.
func (r *rig) take(b *event.Batch) {
	released := make(chan struct{})
	r.tap.Take(b, func() { close(released) })
	<-released
	synctest.Wait()
	time.Sleep(2 * writeEvery) // of the bubble
	synctest.Wait()
}

func (r *rig) query(parameters string) Page {
	r.Helper()
	q, err := url.ParseQuery(parameters)
	if err != nil {
		r.Fatal(err)
	}
	f, err := ParseFilter(q, time.Now())
	if err != nil {
		r.Fatal(err)
	}
	before, err := ParseCursor(q.Get("before"))
	if err != nil {
		r.Fatal(err)
	}
	var limit int
	_, _ = fmt.Sscan(q.Get("limit"), &limit)
	page, err := r.Query(r.Context(), Query{Filter: f, Before: before, Limit: limit})
	if err != nil {
		r.Fatal(err)
	}
	return page
}

// messages returns the messages of records.
func messages(t *testing.T, records [][]byte) []string {
	t.Helper()
	all := []string{}
	for _, record := range records {
		all = append(all, read(t, record)["message"].(string))
	}
	return all
}

func read(t *testing.T, record []byte) (members map[string]any) {
	t.Helper()
	if err := json.Unmarshal(record, &members); err != nil {
		t.Fatalf("%v in %s", err, record)
	}
	return members
}

func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, t.TempDir(), 1<<20)
		defer r.stop()
		b := r.batch(container, `{"level":"error","msg":"no \"luck\"","order":{"id":7},"ü":"\u00fc"}`)
		b.Records[0].Level, b.Records[0].Format = event.Error, event.FormatJSON
		b.Records[0].Flags = event.HasTrace | event.HasSpan | event.Truncated
		b.Records[0].TraceID, b.Records[0].SpanID = [16]byte{0xab, 15: 1}, [8]byte{7: 2}
		b.Records[0].Message = event.Value{Span: b.PutString(`no \"luck\" \u00fc`), Kind: event.Escaped}
		b.AddField(0, event.Value{Span: b.PutString("order"), Kind: event.Name},
			event.Value{Span: b.PutString(`{"id":7}`), Kind: event.Object})
		b.AddField(0, event.Value{Span: b.PutString("ü"), Kind: event.Text},
			event.Value{Span: b.PutString(`\u00fc`), Kind: event.Escaped})
		r.take(b)
		r.take(r.batch(file, "plain \x1b[31m\xff"))
		got := r.query("").Records
		want := []string{
			`{"id":"0","time":"1970-01-01T00:00:01.000Z","level":"error","service":"shop","container":"web",` +
				`"source":"web","input":"docker","pipeline":"main","parser":"json",` +
				`"trace_id":"ab000000000000000000000000000001","span_id":"0000000000000002","truncated":true,` +
				`"labels":{"stream":"stdout"},"message":"no \"luck\" ü","fields":{"order":{"id":7},"ü":"ü"},` +
				`"raw":"{\"level\":\"error\",\"msg\":\"no \\\"luck\\\"\",\"order\":{\"id\":7},\"ü\":\"\\u00fc\"}"}`,
			`{"id":"1","time":"1970-01-01T00:00:01.000Z","source":"/var/log/app.log","input":"files",` +
				`"pipeline":"main","message":"plain \u001b[31m�","raw":"plain \u001b[31m�"}`,
		}
		for i := range want {
			if diff := cmp.Diff(want[i], string(got[i])); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, t.TempDir(), 1<<20)
		defer r.stop()
		b := r.batch(file, "first", "second ÜBER", "third \"quoted\"")
		b.Records[0].Level, b.Records[1].Level = event.Error, event.Warn
		b.Records[1].Flags, b.Records[1].TraceID = event.HasTrace, [16]byte{8: 0xab}
		b.AddField(2, event.Value{Span: b.PutString("user"), Kind: event.Name},
			event.Value{Span: b.PutString("Alice"), Kind: event.Plain})
		r.take(b)
		r.take(r.batch(container, "fourth"))
		tests := []struct {
			filter string
			want   []string
		}{
			{"", []string{"first", "fourth", "second ÜBER", "third \"quoted\""}},
			{"level=error,warn", []string{"first", "second ÜBER"}},
			{"level=error&level=none", []string{"first", "fourth", "third \"quoted\""}},
			{"level=fatal", []string{}},
			{"service=shop", []string{"fourth"}},
			{"container=web", []string{"fourth"}},
			{"container=we", []string{}},
			{"source=/var/log/app.log&level=none", []string{"third \"quoted\""}},
			{"source=/var/log/app.log&source=web&level=none", []string{"fourth", "third \"quoted\""}},
			{"trace=ab00000000000000", []string{"second ÜBER"}},
			{"trace=00000000-0000-0000-AB00-000000000000", []string{"second ÜBER"}},
			{"trace=1", []string{}},
			{"text=FIRST", []string{"first"}},
			{"text=über", []string{"second ÜBER"}},
			{"text=\"quoted\"", []string{"third \"quoted\""}},
			{"text=alice", []string{"third \"quoted\""}},
			{"text=message", []string{}},
			{"since=1970-01-01T00:00:02Z", []string{"second ÜBER", "third \"quoted\""}},
			{"until=1970-01-01T00:00:02Z", []string{"first", "fourth", "second ÜBER"}},
			{"since=1970-01-01T00:00:02Z&until=1970-01-01T00:00:02Z", []string{"second ÜBER"}},
			{"since=15m", []string{}},
			{"limit=1", []string{"third \"quoted\""}},
		}
		for _, test := range tests {
			if diff := cmp.Diff(test.want, messages(t, r.query(test.filter).Records)); diff != "" {
				t.Errorf("%s: %s", test.filter, diff)
			}
		}
	})
}

func TestFiltersThatAreWrong(t *testing.T) {
	for _, test := range []struct{ filter, want string }{
		{"level=loud", `there is no level "loud"`},
		{"trace=xyz", "is no trace id"},
		{"trace=" + strings.Repeat("a", 33), "is no trace id"},
		{"text=" + strings.Repeat("a", 1025), "more than 1024 bytes"},
		{"text=%ff", "not UTF-8"},
		{"since=yesterday", "is no time"},
		{"until=9999-01-01T00:00:00Z", "is no time"},
		{strings.Repeat("service=a&", 65), "at most 64"},
	} {
		q, err := url.ParseQuery(test.filter)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ParseFilter(q, time.Now()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want %q", test.filter, err, test.want)
		}
	}
	for _, cursor := range []string{"x", "1", "-", "1-", "-1", "1-x", "99999999999999999999-1"} {
		if _, err := ParseCursor(cursor); err == nil {
			t.Errorf("%q is taken for a cursor", cursor)
		}
	}
}

// TestPages: each record is on one page, also where many have the same time.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, t.TempDir(), 1<<20)
		defer r.stop()
		const n = 1000
		var want []string
		for k := range n / 10 {
			b := r.batch(file)
			for i := range 10 {
				b.Add(uint64(k*10+i), int64((k*7%5)*1e9), b.PutString(fmt.Sprint(k*10+i)))
				want = append(want, fmt.Sprint(k*10+i))
			}
			r.take(b)
		}
		var got []string
		before := "limit=7"
		for pages := 0; pages <= n; pages++ {
			page := r.query(before)
			if !slices.IsSortedFunc(page.Records, func(a, b []byte) int {
				return strings.Compare(read(t, a)["time"].(string), read(t, b)["time"].(string))
			}) {
				t.Fatal("a page is not in the order of times")
			}
			got = append(got, messages(t, page.Records)...)
			if page.Before == (Cursor{}) {
				break
			}
			before = "limit=7&before=" + page.Before.String()
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestTheOldestMakeRoom: the store stays within its size, and has the newest.
func TestTheOldestMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := start(t, dir, 1<<20)
		defer r.stop()
		n := 0
		for range 100 {
			var lines []string
			for range 100 {
				n++
				lines = append(lines, fmt.Sprintf("%d %s", n, strings.Repeat("x", 300)))
			}
			r.take(r.batch(file, lines...))
			if size := sizeOf(t, dir); size > 1<<20 {
				t.Fatalf("the store has %d bytes", size)
			}
		}
		newest := messages(t, r.query("limit=1000").Records)
		if len(newest) != 1000 || !strings.HasPrefix(newest[999], "10000 ") || !strings.HasPrefix(newest[0], "9001 ") {
			t.Errorf("%d records, from %.10s to %.10s", len(newest), newest[0], newest[len(newest)-1])
		}
		if size := sizeOf(t, dir); size < 1<<19 {
			t.Errorf("only %d bytes are used", size)
		}
		if oldest := r.query("").Oldest; oldest.Unix() < 6000 || oldest.Unix() > 9000 {
			t.Errorf("the oldest is said to be of second %d", oldest.Unix())
		}
	})
}

func sizeOf(t *testing.T, dir string) (sum int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, Folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// TestRestart: what is stored is there in the next run, once, though its sources are read again;
// also where the last write was torn, and where a smaller store is asked for.
func TestRestart(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, string){
		"clean": func(*testing.T, string) {},
		"torn": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()-3)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"zeroes at the end": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.Write(make([]byte, 5000))
				f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				r := start(t, dir, 2<<20)
				lines := []string{"a", "b", "c"}
				r.take(r.batch(file, lines...))
				r.stop()
				damage(t, filepath.Join(dir, Folder, segmentName(0)))
				r = start(t, dir, 1<<20)
				defer r.stop()
				r.take(r.batch(file, append(lines, "d")...))
				if diff := cmp.Diff([]string{"a", "b", "c", "d"}, messages(t, r.query("").Records)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestDamage: what is before the damage, and in other files, can be read.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := start(t, dir, 1<<20)
		for range 40 {
			r.take(r.batch(file, slices.Repeat([]string{strings.Repeat("x", 1000)}, 10)...))
		}
		r.stop()
		names, err := filepath.Glob(filepath.Join(dir, Folder, "*"))
		if err != nil || len(names) < 3 {
			t.Fatal(names, err)
		}
		whole, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		damaged := slices.Clone(whole)
		damaged[len(damaged)/2] ^= 1
		if err := os.WriteFile(names[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(names[1], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, Folder, segmentName(1))); err != nil {
			t.Fatal(err)
		}
		r = start(t, dir, 1<<20)
		defer r.stop()
		synctest.Wait()
		var found int
		for before := "limit=1000"; ; {
			page := r.query(before)
			found += len(page.Records)
			if page.Before == (Cursor{}) {
				break
			}
			before = "limit=1000&before=" + page.Before.String()
		}
		perFile := len(whole) / (1000 + 250)
		if found > 400-perFile*3/2 || found < 400-perFile*3 {
			t.Errorf("%d records of 400 are found; a file has %d", found, perFile)
		}
	})
}

// TestFullDisk: what cannot be written is counted and shown to streams, and all goes on when there
// is room.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{DataDir: t.TempDir(), Size: 1 << 20, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		full := &fullDisk{}
		s.fs = full
		r := &rig{T: t, Store: s, tap: s.Tap("main", nil), pos: map[event.SourceID]uint64{}}
		r.run()
		defer r.stop()
		stream, err := s.Subscribe(Filter{})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		full.is.Store(true)
		r.take(r.batch(file, "a", "b"))
		var shown []string
		note := func(record []byte) { shown = append(shown, string(record)) }
		if _, err := stream.Next(t.Context(), note); err != nil {
			t.Fatal(err)
		}
		if n := s.LeftOut(); n != 2 || len(shown) != 2 {
			t.Errorf("%d of 2 are said to be left out, and %d shown", n, len(shown))
		}
		full.is.Store(false)
		r.take(r.batch(file, "c"))
		if diff := cmp.Diff([]string{"c"}, messages(t, r.query("").Records)); diff != "" {
			t.Error(diff)
		}
	})
}

// fullDisk is a disk that may be full.
type fullDisk struct {
	disk.OS
	is atomic.Bool
}

func (d *fullDisk) Free(path string) (int64, error) {
	if d.is.Load() {
		return 4096, nil
	}
	return 1 << 40, nil
}

// TestNobodyWaits: where batches come faster than they are stored, the newest are stored, the
// others counted, and nothing waits. Of small ones, more wait than of large ones.
func TestNobodyWaits(t *testing.T) {
	large := strings.Repeat("x", smallBatch)
	for _, test := range []struct {
		name    string
		line    string
		batches int
		kept    int
	}{
		{"large", large, 100, maxQueued / largeBatch},
		{"small", "x", 2000, 2000},
		{"too many", "x", 10_000, maxQueued / (4 + 1 + 2*recordSize)},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := Open(Options{DataDir: t.TempDir(), Size: 8 << 20, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				r := &rig{T: t, Store: s, tap: s.Tap("main", nil), pos: map[event.SourceID]uint64{}}
				released := 0
				for i := range test.batches { // nothing runs yet
					r.tap.Take(r.batch(file, fmt.Sprintf("%04d", i), test.line), func() { released++ })
				}
				if n := int(s.LeftOut()) / 2; n != test.batches-test.kept {
					t.Errorf("%d batches are said to be left out, want %d", n, test.batches-test.kept)
				}
				r.run()
				time.Sleep(time.Second)
				synctest.Wait()
				if n := int(s.written.Load()) / 2; n != test.kept {
					t.Errorf("%d batches are stored, want %d", n, test.kept)
				}
				newest := messages(t, r.query("limit=2").Records)
				if newest[0] != fmt.Sprintf("%04d", test.batches-1) {
					t.Errorf("the newest are %.20v", newest)
				}
				r.stop()
				r.tap.Take(r.batch(file, "late"), func() { released++ })
				if released != test.batches+1 {
					t.Errorf("%d of %d batches are released", released, test.batches+1)
				}
			})
		})
	}
}

// TestRate: what is stored a second is bounded, beyond a burst.
func TestRate(t *testing.T) {
	now := time.Unix(0, 0)
	b, stored := newBucket(now), 0
	for end := now.Add(10 * time.Second); now.Before(end); {
		if wait := b.wait(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		b.take(1 << 20)
		stored += 1 << 20
	}
	if want := maxBurst + 10*maxRate; stored < want || stored > want+2<<20 {
		t.Errorf("%d bytes are stored in 10 s, want %d", stored, want)
	}
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, t.TempDir(), 1<<20)
		q := url.Values{"level": {"error"}}
		f, _ := ParseFilter(q, time.Now())
		var all []*Subscription
		for range maxStreams {
			s, err := r.Subscribe(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if _, err := r.Subscribe(f); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		for _, s := range all[1:] {
			s.Close()
		}
		s := all[0]
		b := r.batch(file, "a", "b", "c")
		b.Records[1].Level = event.Error
		r.take(b)
		var got [][]byte
		visit := func(record []byte) { got = append(got, slices.Clone(record)) }
		if skipped, err := s.Next(t.Context(), visit); skipped != 0 || err != nil {
			t.Error(skipped, err)
		}
		for range maxBehind + 5 {
			b := r.batch(file, "x", "y")
			b.Records[0].Level = event.Error
			r.take(b)
		}
		skipped, err := s.Next(t.Context(), visit)
		if skipped != 10 || err != nil {
			t.Errorf("%d are said to be skipped (%v), want 10", skipped, err)
		}
		for range maxBehind - 1 {
			if _, err := s.Next(t.Context(), visit); err != nil {
				t.Fatal(err)
			}
		}
		if got := messages(t, got); len(got) != 1+maxBehind || got[0] != "b" || got[1] != "x" {
			t.Errorf("shown are %v", got)
		}
		r.stop()
		if _, err := s.Next(t.Context(), visit); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		s.Close()
	})
}

// TestRedacted: the store takes out what the pipeline has not, and leaves the batch to the outputs
// as it is.
func TestRedacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, t.TempDir(), 1<<20)
		defer r.stop()
		r.tap = r.Tap("main", []pipeline.Transform{hider{}})
		b := r.batch(file, "secret", "other")
		b.Records[1].Flags |= event.Dropped
		r.take(b)
		if diff := cmp.Diff([]string{"******"}, messages(t, r.query("").Records)); diff != "" {
			t.Error(diff)
		}
		if line := string(b.Line(0)); line != "secret" {
			t.Errorf("the outputs get %q", line)
		}
	})
}

type hider struct{}

func (hider) Apply(b *event.Batch) {
	for i := range b.Records {
		copy(b.Line(i), "******")
	}
}

// TestLongRecords: no record has more than 64 KiB of JSON, and each is valid.
func TestLongRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, t.TempDir(), 8<<20)
		defer r.stop()
		lengths := map[any]bool{}
		for name, text := range map[string]string{
			"long": strings.Repeat("x", 1<<20), "escapes": strings.Repeat("\x01", 40_000),
			"wide": strings.Repeat("語", 100_000), "broken": strings.Repeat("\xff", 100_000),
			"just too long": strings.Repeat("y", maxRecord/2),
		} {
			lengths[float64(len(text))] = true
			src := event.NewSource(event.SourceID(len(text)), "in", strings.Repeat(text, 2), []event.Label{
				{Name: "a", Value: text}, {Name: event.LabelContainerName, Value: text}})
			b := r.batch(src, text)
			for i := range 3 {
				b.AddField(0, event.Value{Span: b.PutString(text), Kind: event.Text},
					event.Value{Span: b.PutString(fmt.Sprint("field ", i, text)), Kind: event.Text})
			}
			r.take(b)
			b = r.batch(src, text)
			b.Records[0].Message = event.Value{Span: b.PutString(strings.Repeat(`\u00e4\n`, 50_000)),
				Kind: event.Escaped}
			r.take(b)
			b = r.batch(src, text)
			b.AddField(0, event.Value{Span: b.PutString("o"), Kind: event.Name},
				event.Value{Span: b.PutString(`{"x":"` + strings.Repeat("z", 100_000) + `"}`), Kind: event.Object})
			r.take(b)
			for _, record := range r.query("limit=3").Records {
				if len(record) > maxRecord+32 || !utf8.Valid(record) || read(t, record)["truncated"] != true {
					t.Errorf("%s: %d bytes: %.300s", name, len(record), record)
				}
				if n := read(t, record)["line_bytes"]; !lengths[n] {
					t.Errorf("%s: a line of %v bytes, which none has", name, n)
				}
			}
		}
	})
}

// TestReadersMeanwhile reads all the time while the oldest make room.
func TestReadersMeanwhile(t *testing.T) {
	r := start(t, t.TempDir(), 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	for range 3 {
		reading.Go(func() {
			for ctx.Err() == nil {
				page, err := r.Query(ctx, Query{Limit: 100})
				if err != nil {
					continue
				}
				for _, record := range page.Records {
					if !json.Valid(record) {
						t.Errorf("not JSON: %s", record)
						return
					}
				}
			}
		})
	}
	for range 300 {
		released := make(chan struct{})
		r.tap.Take(r.batch(file, slices.Repeat([]string{strings.Repeat("x", 500)}, 20)...), func() { close(released) })
		<-released
	}
	cancel()
	reading.Wait()
	r.stop()
	if n := r.written.Load(); n != 6000 || r.LeftOut() != 0 {
		t.Errorf("%d records of 6000 are stored, %d left out", n, r.LeftOut())
	}
}

// TestOff removes what is there.
func TestOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := Remove(dir); err != nil {
			t.Fatal(err)
		}
		r := start(t, dir, 1<<20)
		r.take(r.batch(file, "a"))
		r.stop()
		if err := Remove(dir); err != nil || sizeOf(t, dir) != 0 {
			t.Errorf("%v, and %d bytes are left", err, sizeOf(t, dir))
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	var e encoder
	r := rig{pos: map[event.SourceID]uint64{}}
	b := r.batch(container, "a line", "another")
	p := e.append(nil, 7, "main", b, 0)
	f.Add(p)
	f.Add(e.append(p, 8, "main", b, 1))
	f.Add(p[:len(p)-1])
	f.Fuzz(func(t *testing.T, p []byte) {
		end := eachFrame(p, func(f *frame) {
			filter := Filter{text: []byte("x")}
			filter.matches(f)
			if len(f.appendRecord(nil)) > 3*maxFrame {
				t.Error("a frame became large")
			}
		})
		if end < 0 || end > int64(len(p)) {
			t.Errorf("the frames of %d bytes end at %d", len(p), end)
		}
		// What is behind a checksum is looked at, too.
		if len(p) >= fixedHead {
			var inner frame
			if inner.read(p) {
				filter := Filter{text: []byte("x")}
				filter.matches(&inner)
			}
		}
	})
}

// BenchmarkStore is what it costs to encode a record for the store.
func BenchmarkStore(b *testing.B) {
	r := rig{pos: map[event.SourceID]uint64{}}
	const line = `{"level":"info","msg":"GET /api/orders","user":42,"status":200,"ms":12,"id":"0123456789"}`
	batch := r.batch(container, line)
	batch.Records[0].Message = event.Value{Span: batch.PutString("GET /api/orders"), Kind: event.Plain}
	for _, name := range []string{"user", "status", "ms"} {
		batch.AddField(0, event.Value{Span: batch.PutString(name), Kind: event.Name},
			event.Value{Span: batch.PutString("42"), Kind: event.Number})
	}
	var e encoder
	var frames []byte
	b.ReportAllocs()
	for b.Loop() {
		frames = e.append(frames[:0], 1, "main", batch, 0)
	}
	b.SetBytes(int64(len(frames)))
}

// BenchmarkQuery is what it costs to look through a store of 8 MiB.
func BenchmarkQuery(b *testing.B) {
	s, err := Open(Options{DataDir: b.TempDir(), Size: 8 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	r := rig{pos: map[event.SourceID]uint64{}}
	tap := s.Tap("main", nil)
	for range 200 {
		batch := r.batch(file, slices.Repeat([]string{strings.Repeat("some words of a line ", 5)}, 100)...)
		s.store(taken{tap: tap, batch: batch, release: func() {}})
	}
	s.write()
	defer s.closeSegment()
	for name, q := range map[string]Query{
		"newest": {}, "text": {Filter: Filter{text: []byte("not there")}},
		"level": {Filter: Filter{levels: 1 << event.Error}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Query(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
