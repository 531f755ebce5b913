package glob

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"/var/log/*.log", "/var/log/a.log", true},
		{"/var/log/*.log", "/var/log/x/a.log", false},
		{"/var/log/*.log", "/var/log", false},
		{"/var/**/*.log", "/var/a.log", true},
		{"/var/**/*.log", "/var/a/b/c.log", true},
		{"/var/**/*.log", "/opt/a/b/c.log", false},
		{"/var/**", "/var/a/b", true},
		{"/var/**", "/var", false},
		{"/**/x/**/y", "/a/x/b/x/c/y", true},
		{"/a/[bc]?.log", "/a/b1.log", true},
		{"/a/[bc]?.log", "/a/d1.log", false},
		{"/a//b/../c.log", "/a/c.log", true},
	} {
		if got := New(tt.glob).Match(tt.path); got != tt.want {
			t.Errorf("%s on %s: %v", tt.glob, tt.path, got)
		}
	}
}

// A walk finds what match says there is, no more and no less.
func TestWalkAgreesWithMatch(t *testing.T) {
	dir := t.TempDir()
	var every []string
	for _, name := range []string{"a.log", "b.txt", "x/a.log", "x/y/a.log", "x/y/z/b.log", "w/y/c.log"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, nil, 0o644)
		every = append(every, path)
	}
	os.Symlink(dir, filepath.Join(dir, "x/loop"))
	for _, text := range []string{
		"*.log", "**/*.log", "x/**", "*/y/*.log", "x/**/y/*", "**/y/**/*.log", "a.log", "none/*.log", "x/y",
	} {
		g := New(filepath.Join(dir, text))
		var got, want []string
		w := Walk{
			File:   func(p string) { got = append(got, p) },
			Dir:    func(string) {},
			Failed: func(p string, err error) { t.Errorf("%s: %v", p, err) },
		}
		w.Visit(g)
		for _, p := range every {
			if g.Match(p) {
				want = append(want, p)
			}
		}
		got = slices.DeleteFunc(got, func(p string) bool { return !slices.Contains(every, p) })
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", text, got, want)
		}
	}
}
