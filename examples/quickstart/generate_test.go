package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func readSamples(t *testing.T) map[string]story {
	t.Helper()
	stories, err := readStories(samples)
	if err != nil {
		t.Fatal(err)
	}
	return stories
}

func TestEveryWordIsFilledIn(t *testing.T) {
	word := regexp.MustCompile(`\{[a-z_]+\}`)
	for name, s := range readSamples(t) {
		for _, e := range s {
			if left := word.FindString(newCast().fill(e.text, time.Now())); left != "" {
				t.Errorf("%s, story %s, step %d: nobody fills in %s", e.file, name, e.step, left)
			}
		}
	}
}

func TestEntriesInJSONAreValid(t *testing.T) {
	for name, s := range readSamples(t) {
		for _, e := range s {
			line := newCast().fill(e.text, time.Now())
			if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
				t.Errorf("%s, story %s, step %d is not JSON: %s", e.file, name, e.step, line)
			}
		}
	}
}

func TestEveryStoryIsPlayedAndKnown(t *testing.T) {
	stories := readSamples(t)
	played := make(map[string]bool)
	for _, name := range playlist {
		played[name] = true
		if stories[name] == nil {
			t.Errorf("the playlist has %q, but no sample file does", name)
		}
	}
	for name := range stories {
		if !played[name] {
			t.Errorf("story %q is never played", name)
		}
	}
}

func TestOneTraceRunsThroughTheServicesOfAStory(t *testing.T) {
	people := newCast()
	files := make(map[string]bool)
	for _, e := range readSamples(t)["order"] {
		if strings.Contains(people.fill(e.text, time.Now()), people.trace) {
			files[e.file] = true
		}
	}
	if len(files) < 4 {
		t.Errorf("the trace of an order shows in %d services, want at least 4: %v", len(files), files)
	}
}

func TestBadSampleFile(t *testing.T) {
	files := fstest.MapFS{"samples/a.log": {Data: []byte("# order first\ntext\n")}}
	_, err := readStories(files)
	if err == nil || !strings.Contains(err.Error(), "samples/a.log") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestPace(t *testing.T) {
	stories := readSamples(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		g := generator{dir: dir, stories: stories, pause: 200 * time.Millisecond}
		if err := g.run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	if n := entriesIn(t, dir); n < 200 || n > 400 {
		t.Errorf("%d entries in a minute at 5 a second, want about 300", n)
	}
}

// entriesIn counts the lines that start an entry, not those that go on with one.
func entriesIn(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	start := regexp.MustCompile(`(?m)^(\{"level|time=|\d)`)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n += len(start.FindAll(data, -1))
	}
	return n
}
