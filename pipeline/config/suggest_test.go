package config

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"url", "urls", "docker", "elasticsearch", "data_dir", "read_from", "warn", "password"}
	tests := []struct{ name, want string }{
		{"docker", "docker"},
		{"dokcer", "docker"},
		{"Docker", "docker"},
		{"elastic", "elasticsearch"},
		{"warning", "warn"},
		{"data-dir", "data_dir"},
		{"datadir", "data_dir"},
		{"readfrom", "read_from"},
		{"urll", "url"},
		{"passwort", "password"},
		{"xyz", ""},
		{"u", ""},
		{"", ""},
		{"journald", ""},
	}
	for _, test := range tests {
		if got := nearest(test.name, known); got != test.want {
			t.Errorf("the nearest to %q is %q, want %q", test.name, got, test.want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0},
		{"abc", "acb", 1}, {"abc", "axc", 1}, {"abc", "abcd", 1}, {"abc", "bc", 1}, {"kitten", "sitting", 3},
	}
	for _, test := range tests {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q and %q are %d apart, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("%q and %q are %d apart, want %d", test.b, test.a, got, test.want)
		}
	}
}
