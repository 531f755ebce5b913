package auto

import "testing"

// TestAppendPlain: what controls a terminal is no part of a text; an escape that begins nothing is.
func TestAppendPlain(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[31mred\x1b[0m":          "red",
		"\x1b[?1h\x1b=[12:00 INF] up": "[12:00 INF] up",
		"a\x1b>b":                     "ab",
		"\x1b[1mbold\x1b(B\x1b[m end": "bold end",
		"a\x1b)0b":                    "ab",
		"\x1b":                        "\x1b",
		"\x1b(":                       "\x1b(",
		"\x1b[":                       "\x1b[",
		"\x1b[31":                     "\x1b[31",
		"\x1bx":                       "\x1bx",
	} {
		if got := string(appendPlain(nil, []byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
