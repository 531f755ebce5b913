package file

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestServiceOf(t *testing.T) {
	for path, want := range map[string]string{
		"/var/log/app.log":                       "app",
		"/var/log/app.log.1":                     "app",
		"/var/log/app.log.2.gz":                  "app",
		"/var/log/app-2024-05-01.log":            "app",
		"/var/log/app-20240501T1200.log.gz":      "app",
		"/var/log/my.service.log":                "my.service",
		"/var/log/nginx/access.log":              "nginx",
		"/var/log/nginx/error.log.1":             "nginx",
		"/var/log/apache2/error_log":             "apache2",
		"/srv/shop/logs/output.log":              "shop",
		"/srv/shop/log/current":                  "shop",
		"/var/log/error.log":                     "error",
		"/access.log":                            "access",
		"/var/log/syslog":                        "syslog",
		"/opt/s3/worker2.json":                   "worker2",
		"/opt/x/worker_2.json":                   "worker",
		"/opt/x/2024-05-01.log":                  "2024-05-01",
		"/opt/x/.log":                            ".log",
		"/var/log/postgresql/postgresql-16.log":  "postgresql",
		"/var/log/app/app.2024-05-01-12.out.bak": "app",
	} {
		if got := serviceOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestIsRotation(t *testing.T) {
	for _, tt := range []struct {
		name, of string
		want     bool
	}{
		{"app.log.1", "app.log", true},
		{"app.log-20240501", "app.log", true},
		{"app-2024-05-01.log", "app.log", true},
		{"app.1.log", "app.log", true},
		{"app.log", "app.log", false},
		{"app.log.1.gz", "app.log", false},
		{"app.log.1.tmp", "app.log", false},
		{"app.json", "app.log", false},
		{"apps.log.1", "app.log", false},
		{"app2.log", "app.log", false},
	} {
		if got := isRotation(tt.name, tt.of); got != tt.want {
			t.Errorf("%s of %s: %v", tt.name, tt.of, got)
		}
	}
}

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
		if got := newGlob(tt.glob).match(tt.path); got != tt.want {
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
	for _, text := range []string{"*.log", "**/*.log", "x/**", "*/y/*.log", "x/**/y/*", "**/y/**/*.log", "a.log", "none/*.log", "x/y"} {
		g := newGlob(filepath.Join(dir, text))
		var got, want []string
		w := walk{
			file:   func(p string) { got = append(got, p) },
			dir:    func(string) {},
			failed: func(p string, err error) { t.Errorf("%s: %v", p, err) },
		}
		w.glob(g)
		for _, p := range every {
			if g.match(p) {
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
