package file

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

const noon = 1_700_000_000_123_000_000

func open(t testing.TB, path string) *Output {
	t.Helper()
	out, err := (&Config{Path: path, Sync: true}).Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out.(*Output)
}

// bodyOf encodes a record for each message.
func bodyOf(t testing.TB, o *Output, messages ...string) *pipeline.Body {
	t.Helper()
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", []event.Label{{Name: "host.name", Value: "web-1"}}))
	body := &pipeline.Body{}
	encoder := o.Encoder()
	for i, m := range messages {
		b.Add(uint64(i), noon, b.PutString(m))
		if _, err := encoder.Encode(body, b, i); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: uint64(i), End: uint32(len(body.Bytes))})
	}
	return body
}

// messages reads the file back; each line must be JSON.
func messages(t testing.TB, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(content)) {
		var document struct{ Message string }
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		all = append(all, document.Message)
	}
	return all
}

func text(t testing.TB, path string) string {
	t.Helper()
	return strings.Join(messages(t, path), " ")
}

func mustSend(t *testing.T, o *Output, all ...string) {
	t.Helper()
	if err := o.Send(t.Context(), bodyOf(t, o, all...)); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t *testing.T, err error, words string) {
	t.Helper()
	var e *pipeline.SendError
	if !errors.As(err, &e) || e.Outcome != pipeline.Hold || !strings.Contains(e.Reason, words) {
		t.Errorf("got %v, want to be held for %q", err, words)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o := open(t, path)
	body := bodyOf(t, o, "a", "b\nc")
	if err := o.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(path)
	want := `{"timestamp":"2023-11-14T22:13:20.123Z","message":"a","host.name":"web-1"}` + "\n" +
		`{"timestamp":"2023-11-14T22:13:20.123Z","message":"b\nc","host.name":"web-1"}` + "\n"
	if string(content) != want {
		t.Errorf("got %s", content)
	}
	if got := string(o.Original(body, 1)) + "\n"; !strings.HasSuffix(want, "\n"+got) {
		t.Errorf("the original is %s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

// TestConformance is not parallel: it looks for goroutines left behind.
func TestConformance(t *testing.T) {
	pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
		path := filepath.Join(t.TempDir(), "out.jsonl")
		out, err := (&Config{Path: path, Sync: true}).Output(pipetest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		return pipetest.OutputHarness{
			Output: out,
			Stored: func(t testing.TB) []string { return messages(t, path) },
			Away: func(t testing.TB) {
				if err := os.RemoveAll(filepath.Dir(path)); err != nil {
					t.Error(err)
				}
			},
		}
	})
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	for schema, want := range map[event.Schema]string{event.ECS: `"ecs.version":"8.11.0"`,
		event.OTel: `"body":{"text":"a"}`} {
		path := filepath.Join(t.TempDir(), "out.jsonl")
		o := open(t, path)
		o.schema = schema
		mustSend(t, o, "a")
		if content, _ := os.ReadFile(path); !strings.Contains(string(content), want) {
			t.Errorf("got %s", content)
		}
	}
}

func TestRenamedAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o := open(t, path)
	mustSend(t, o, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	mustSend(t, o, "b")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustSend(t, o, "c")
	if before, now := text(t, path+".1"), text(t, path); before != "a" || now != "c" {
		t.Errorf("got %s and %s", before, now)
	}
	if err := os.Truncate(path, 0); err != nil { // copytruncate
		t.Fatal(err)
	}
	mustSend(t, o, "d")
	if now := text(t, path); now != "d" {
		t.Errorf("after a truncation: %s", now)
	}
}

func TestIncompleteLineIsEnded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(path, []byte(`{"message":"to`), 0o600); err != nil {
		t.Fatal(err)
	}
	mustSend(t, open(t, path), "a")
	content, _ := os.ReadFile(path)
	if first, rest, _ := strings.Cut(string(content), "\n"); first != `{"message":"to` || !json.Valid([]byte(rest)) {
		t.Errorf("got %s", content)
	}
}

func TestFailuresToFix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "no", "out.jsonl")
	o := open(t, missing)
	mustHold(t, o.Send(t.Context(), bodyOf(t, o, "a")), missing)
	if err := os.Mkdir(filepath.Dir(missing), 0o700); err != nil {
		t.Fatal(err)
	}
	mustSend(t, o, "a") // when it is mended it goes on

	o = open(t, dir)
	mustHold(t, o.Send(t.Context(), bodyOf(t, o, "a")), "is not a regular file")

	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	o = open(t, fifo)
	mustHold(t, o.Send(t.Context(), bodyOf(t, o, "a")), "is not a regular file")
}

// TestFullDisk writes beyond a limit on the file's size, which fails in the middle of a line as a
// full disk does.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o := open(t, path)
	mustSend(t, o, "a")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	withFileLimit(t, uint64(info.Size())+50, func() {
		mustHold(t, o.Send(t.Context(), bodyOf(t, o, "b", "c")), path)
	})
	if got := text(t, path); got != "a" {
		t.Errorf("after a failed write the file has %s", got)
	}
	mustSend(t, o, "b", "c")
	if got := text(t, path); got != "a b c" {
		t.Errorf("got %s", got)
	}
}

// withFileLimit runs f while no file may become longer; Go ignores SIGXFSZ.
func withFileLimit(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Skip(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestSeveralAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o := open(t, path)
	var wait sync.WaitGroup
	for n := range 8 {
		body := bodyOf(t, o, strconv.Itoa(n))
		wait.Go(func() {
			if err := o.Send(t.Context(), body); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := messages(t, path); len(got) != 8 {
		t.Errorf("got %v", got)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/var/log/"} {
		c := &Config{Path: path}
		if len(c.Check()) != 1 {
			t.Errorf("%q is taken", path)
		}
		if _, err := c.Output(pipetest.Env(t)); err == nil {
			t.Errorf("%q makes an output", path)
		}
	}
	if s := Spec(); s.Type != "file" || s.New() == nil {
		t.Errorf("the spec is %+v", s)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", nil))
	b.Add(0, noon, b.PutString("a line"))
	encoder := open(t, filepath.Join(t.TempDir(), "x")).Encoder()
	body := &pipeline.Body{Bytes: make([]byte, 0, 4096)}
	if n := testing.AllocsPerRun(100, func() {
		body.Bytes = body.Bytes[:0]
		_, _ = encoder.Encode(body, b, 0)
	}); n != 0 {
		t.Errorf("encoding allocates %v times", n)
	}
}
