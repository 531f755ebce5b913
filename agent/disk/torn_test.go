package disk

import (
	"bytes"
	"testing"
)

func TestHasUnwritten(t *testing.T) {
	text := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	zeros := func(n int) []byte { return make([]byte, n) }
	cases := map[string]struct {
		p      []byte
		offset int64
		want   bool
	}{
		"nothing":              {nil, 7, false},
		"text":                 {text(2000), 7, false},
		"a sector":             {append(append(text(505), zeros(512)...), text(9)...), 7, true},
		"zeros over an edge":   {append(append(text(500), zeros(512)...), text(9)...), 7, false},
		"the rest of a sector": {append(zeros(505), text(9)...), 7, true},
		"the start of a last":  {append(text(505), 0), 7, true},
		"zeros in text":        {append(append(text(10), zeros(100)...), text(10)...), 0, false},
	}
	for name, c := range cases {
		if got := HasUnwritten(c.p, c.offset); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
