package text

import (
	"bytes"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

var timesInText = []string{
	"2024-05-01 12:00:00.123", "2024-05-01T12:00Z", "2024-05-01-12.00.00.123456", "2024/05/01 12:00:00",
	"20240501T120000Z", "20240501 12:00:00", "240501 120000 ", "240501  3:04:05", "1714564810 2024.05.01",
	"1714564810.123: x", "1.7145648e+09: x", "1714564810123 x", "[1714564810] x", "Jan  2 03:04:05",
	"Jan 2, 2024 3:04:05 PM", "January 2, 2024 3:04:05 PM", "1/2/2024, 3:04:05 PM", "1/2/24 3:04:05:000 CET",
	"02.01.2024 15:04:05", "02-Jan 15:04 x", "2-Jan-2024::15:04:05.000", "2024 Jan  2 15:04:05",
	"Wednesday, 01 May 2024", "Wed, 01 May 2024 12:00:00 GMT",
}

func TestMayHaveTime(t *testing.T) {
	for _, prose := range []string{"", "1", "12:", "port 4711, 12 ms: done", "12.30.45 is no time, nor 10.0.3.17",
		"a:b::c 1:2:3 x12345 ", "v1.2.3-rc4"} {
		if want := prose == "12:"; mayHaveTime([]byte(prose)) != want {
			t.Errorf("%q: want %v", prose, want)
		}
	}
}

// FuzzMayHaveTime: what is read as a time has what all have.
func FuzzMayHaveTime(f *testing.F) {
	for _, text := range timesInText {
		f.Add([]byte(text))
	}
	rec := event.Record{Time: 1714564810e9}
	f.Fuzz(func(t *testing.T, p []byte) {
		text := append([]byte(" "), append(p, " and what is behind it"...)...)
		h := head{line: &line{p: &Parser{}, rec: &rec, text: text}}
		s := seeker{p: text, at: 1}
		timed := h.timeFrom(1, 1) > 0 || s.next() && !s.isGroup() && h.epochWithDate(&s) > 0
		exponent := bytes.IndexByte(p[:min(len(p), 8)], 'e') > 0 && p[1] == '.' // to a month
		if timed && !exponent && !mayHaveTime(text[:min(len(text), longestTime)]) {
			t.Errorf("%q is a time up to %d", p, h.at)
		}
	})
}
