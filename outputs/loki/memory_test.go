package loki

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// remembers returns what a memory's file has.
func remembers(t *testing.T, m *memory) (all []remembered) {
	t.Helper()
	if err := m.read(func(r remembered) { all = append(all, r) }); err != nil {
		t.Fatal(err)
	}
	return all
}

// usersOf encodes a record for each user, and sends nothing.
func usersOf(t *testing.T, o *Output, users ...string) *pipeline.Body {
	t.Helper()
	b := batchOf(container("web"), users...)
	for i, user := range users {
		b.AddField(i, event.Value{Span: b.PutString("user"), Kind: event.Plain},
			event.Value{Span: b.PutString(user), Kind: event.Plain})
	}
	return bodyOf(t, o, b)
}

// TestManyRestartsLetNoFurtherLabelValuesThrough: nor do kills before a request, whose records may
// be in the spool by then.
func TestManyRestartsLetNoFurtherLabelValuesThrough(t *testing.T) {
	loki, folder := newFakeLoki(t, answers(204, "")), t.TempDir()
	config := Config{Labels: map[string]string{"user": "{user}"}, MaxLabelValues: 5}
	groups := map[string]bool{}
	for run := range 8 {
		o := aheadOutput(t, loki.URL, folder, config)
		body := usersOf(t, o, fmt.Sprint("a", run), fmt.Sprint("b", run))
		for _, group := range body.Groups {
			groups[group] = true
		}
		if run%2 > 0 {
			if err := o.Send(t.Context(), body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(groups) != 6 || !groups[`{user="other"}`] {
		t.Errorf("the labels of 8 runs are %v, want 5 users and other", slices.Sorted(maps.Keys(groups)))
	}
}

// TestMemoryIsNoLink: a symbolic link in its place is not followed, and nothing is sent that could
// not be noted.
func TestMemoryIsNoLink(t *testing.T) {
	for name, what := range map[string]func(path string) error{
		"the file": func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "target"), path) },
		"the new one": func(path string) error {
			line := appendLine(nil, remembered{Label: "user", Value: "ann"})
			return errors.Join(os.WriteFile(path, slices.Concat(line, line), 0o600),
				os.Symlink(filepath.Join(filepath.Dir(path), "target"), path+".new"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			loki, folder := newFakeLoki(t, answers(204, "")), t.TempDir()
			path, target := filepath.Join(folder, memoryFile), filepath.Join(folder, "target")
			if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600), what(path)); err != nil {
				t.Fatal(err)
			}
			o := aheadOutput(t, loki.URL, folder, Config{Labels: map[string]string{"user": "{user}"}})
			err := o.Send(t.Context(), usersOf(t, o, "bob"))
			if isLink := name == "the file"; isLink != (err != nil) ||
				isLink && !strings.Contains(err.Error(), "remove it") {
				t.Errorf("sending returned %v", err)
			}
			if got, err := os.ReadFile(target); string(got) != "precious" || err != nil {
				t.Errorf("the target of a link has %q, %v", got, err)
			}
		})
	}
}

// TestMemoryIsCompacted when a run writes to it first, and when it has doubled: what is known is
// there still, once.
func TestMemoryIsCompacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), memoryFile)
	var text []byte
	for i := range 3000 { // of a source's shifts the last 64 are known
		text = appendLine(text, remembered{Source: event.SourceID(7).String(), From: uint64(i), By: int64(quarterHour)})
		text = appendLine(text, remembered{Label: "user", Value: fmt.Sprint("u", i%10)})
	}
	text = append(text, "\x00\x00 torn\n{"...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	known := func() (labels []string, by []int64) {
		o := &Output{limiter: newLimiter(3, nil, nil), shifts: &shifts{}, memory: newMemory(filepath.Dir(path)),
			recalled: new(sync.Once)}
		o.recall()
		for i := range uint64(3000) {
			b, _, _ := o.shifts.at(7, i)
			by = append(by, b)
		}
		return slices.Sorted(maps.Keys(o.limiter.values["user"])), by
	}
	labels, by := known()
	m := newMemory(filepath.Dir(path))
	m.add(remembered{Label: "user", Value: "u0"})
	if err := m.sync(); err != nil {
		t.Fatal(err)
	}
	if n := len(remembers(t, m)); n != 64+10+1 {
		t.Errorf("%d lines are left", n)
	}
	labelsAfter, byAfter := known()
	if diff := cmp.Diff(labels, labelsAfter) + cmp.Diff(by, byAfter); diff != "" || len(labels) != 10 {
		t.Errorf("it knows %q; %s", labels, diff)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files: %v, %v", left, err)
	}
	for range 60_000 {
		m.pending = appendLine(m.pending, remembered{Source: event.SourceID(8).String(), From: 1, By: 1})
	}
	if err := m.sync(); err != nil {
		t.Fatal(err)
	}
	m.add(remembered{Label: "user", Value: "u10"})
	if n := len(remembers(t, m)); n != 64+10+1+1 {
		t.Errorf("%d lines are left of a run that writes much", n)
	}
}

// TestTwoProcessesRemember: a replay beside the agent, each of which compacts the file.
func TestTwoProcessesRemember(t *testing.T) {
	folder := t.TempDir()
	var all sync.WaitGroup
	for p := range 2 {
		all.Go(func() {
			for i := range 200 {
				m := newMemory(folder) // compacts at its first line
				m.add(remembered{Label: "same", Value: "value"})
				m.add(remembered{Label: "user", Value: fmt.Sprint(p, "-", i)})
			}
		})
	}
	all.Wait()
	values := map[string]bool{}
	for _, r := range remembers(t, newMemory(folder)) {
		values[r.Value] = true
	}
	if len(values) != 401 {
		t.Errorf("%d values are there of 401", len(values))
	}
}

// FuzzMemory: with any file it goes on, and what is noted then is known later.
func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"label":"user","value":"ann"}` + "\n" + `{"source":"07","from":1,"by":900000000000}` + "\n"))
	f.Add([]byte(`{"label":"user","va`))
	f.Add([]byte("\x00\n\n[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := newMemory(t.TempDir())
		if err := os.WriteFile(m.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		one := remembered{Label: "one", Value: "1"}
		m.add(one)
		if err := m.sync(); err != nil {
			t.Fatal(err)
		}
		found := false
		err := m.read(func(r remembered) { found = found || r == one })
		if !found && err == nil {
			t.Error("what was noted is not known")
		}
	})
}
