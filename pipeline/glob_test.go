package pipeline

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a*", "abc", true}, {"*c", "abc", true},
		{"a*c", "abbc", true}, {"a*c", "abcd", false}, {"*b*", "abc", true}, {"a**c", "ac", true}, {"abc", "ab", false},
		{"ab", "abc", false},
		{"*ab*ab", "abab", true}, {"*a", "aab", false},
	} {
		if Match(c.pattern, c.s) != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.s, !c.want)
		}
	}
	if Match(strings.Repeat("*a", 1000), strings.Repeat("a", 5000)+"b") {
		t.Error("a hostile pattern matches")
	}
}
