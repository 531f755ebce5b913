package logformat

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "plain", `\n`, `a\"b\\c\/d\be\ff\n\r\t`, `\u003c\u0026\u2028\ufffd`,
		`\ud83d\ude00 \ud83d x\ude00`,
		`12345678\"`, `1234567\`, `\u12`, `"`, `a"b\"`, `\\"`, `\x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		dst := make([]byte, len(p)+unescapeRoom)
		n, ok := unescape(dst, p)
		for _, c := range p {
			if c < ' ' {
				return // kept, though JSON does not allow it
			}
		}
		if !utf8.Valid(p) {
			return
		}
		var want string
		err := json.Unmarshal([]byte(`"`+string(p)+`"`), &want)
		if ok != (err == nil) {
			t.Fatalf("%q: %t, and encoding/json says %v", p, ok, err)
		}
		if ok && string(dst[:n]) != want {
			t.Fatalf("%q: %q, want %q", p, dst[:n], want)
		}
	})
}
