package text

import (
	"testing"
	"time"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var source = event.NewSource(1, "test", "test", nil)

func parse(t testing.TB, p *Parser, at int64, line string) (string, event.Format) {
	b := pipetest.ParserBatch(source, at, []byte(line))
	pipetest.ParseChecked(t, p, b, 1)
	return string(event.AppendRecord(nil, b, 1, false)), b.Records[1].Format
}

// TestTwoLines is about heads that have two lines. The golden files of the parser
// auto have all others.
func TestTwoLines(t *testing.T) {
	tests := []struct {
		line, want string
		format     event.Format
	}{
		{"May 01, 2024 12:00:00 PM com.example.App main\nSEVERE: failed",
			`{"timestamp":"2024-05-01T12:00:00.000Z","level":"error","message":"failed",` +
				`"logger":"com.example.App","method":"main"}`, event.FormatJUL},
		{"May 01, 2024 12:00:00 PM App lambda$main$0\nINFO: started\nand more",
			`{"timestamp":"2024-05-01T12:00:00.000Z","level":"info","message":"started\nand ` +
				`more","logger":"App","method":"lambda$main$0"}`, event.FormatJUL},
		{"May 01, 2024 12:00:00 PM some words\nof prose",
			`{"timestamp":"2024-05-01T12:00:00.000Z","message":"some words\nof prose"}`, event.FormatText},
		{"=ERROR REPORT==== 1-May-2024::12:00:00 ===\nfailed",
			`{"timestamp":"2024-05-01T12:00:00.000Z","level":"error","message":"failed"}`, event.FormatErlang},
		{"info: Shop.Worker[14]\n      Started", `{"timestamp":"1970-01-01T00:00:00.000Z","level":"info",` +
			`"message":"Started","logger":"Shop.Worker","event_id":14}`, event.FormatDotNet},
	}
	for _, test := range tests {
		if got, format := parse(t, &Parser{}, 0, test.line); got != test.want || format != test.format {
			t.Errorf("%q (%v):\ngot  %s\nwant %s", test.line, format, got, test.want)
		}
	}
}

// TestNoYear is about times without a year where the source knows no time.
func TestNoYear(t *testing.T) {
	now := func() time.Time { return time.Date(2024, 1, 1, 0, 0, 5, 0, time.UTC) }
	for line, want := range map[string]string{
		"Dec 31 23:59:59 web-1 app[1]: x": `{"timestamp":"2023-12-31T23:59:59.000Z","message":"x",` +
			`"service":"app","hostname":"web-1","pid":1}`,
		"I0101 00:00:01.000000       1 server.go:42] x": `{"timestamp":"2024-01-01T00:00:01.000Z",` +
			`"level":"info","message":"x","thread":1,"caller":"server.go:42"}`,
	} {
		if got, _ := parse(t, &Parser{Now: now}, 0, line); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", line, got, want)
		}
	}
}

// TestZoneNames is about the abbreviations that stand behind times.
func TestZoneNames(t *testing.T) {
	tests := []struct{ zone, line, want string }{
		{"", "2024-05-01 14:00:00.123 CEST [7] LOG:  ready", "12:00:00.123"},
		{"Europe/Berlin", "2024-05-01 14:00:00.123 CEST [7] LOG:  ready", "12:00:00.123"},
		{"", "2024-05-01 14:00:00.123 IST [7] LOG:  ready", "08:30:00.123"},
		{"Europe/Dublin", "2024-05-01 14:00:00.123 IST [7] LOG:  ready", "13:00:00.123"},
		{"Asia/Shanghai", "2024-05-01 14:00:00.123 CST [7] LOG:  ready", "06:00:00.123"},
		{"", "2024-05-01 14:00:00.123 CST [7] LOG:  ready", "20:00:00.123"},
		{"Europe/Berlin", "2024-05-01 14:00:00.123 -03 [7] LOG:  ready", "17:00:00.123"},
	}
	for _, test := range tests {
		zone, err := recognize.LoadZone(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"timestamp":"2024-05-01T` + test.want + `Z","level":"info","message":"ready","pid":7}`
		if got, _ := parse(t, &Parser{Zone: zone}, 0, test.line); got != want {
			t.Errorf("%s in %q: got %s, want %s", test.line, test.zone, got, want)
		}
	}
	const unknown = "2024-05-01 14:00:00.123 QQT [7] LOG:  ready"
	want := `{"timestamp":"1970-01-01T00:00:00.000Z","level":"info","message":"` + unknown + `"}`
	if got, _ := parse(t, &Parser{}, 0, unknown); got != want {
		t.Errorf("nobody knows what time that is: got %s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"2024-05-01 12:00:00,123 INFO [main] a.B - x", "[2024-05-01 12:00:00,123][INFO ][a.b] [n] x",
		"I0501 12:00:00.123456 1 a.go:1] x",
		"[I 240501 12:00:00 a:1] x", "=INFO REPORT==== 1-May-2024::12:00:00 ===\nx",
		"May 1, 2024 1:00:00 PM a.B c\nINFO: x",
		"[GIN] 2024/05/01 - 12:00:00 | 200 | 1ms | 127.0.0.1 | GET \"/\"", "[Nest] 1  - 5/1/2024, 1:00:00 PM LOG [a] x",
		"<13>1 2024-05-01T12:00:00Z h a 1 - - x",
		"05-01 12:00:00.123  1  2 I a: x", "I/a( 1): x", "[    0.000001] x", "2024-05-01T12:00:00Z stdout F x",
		"INFO[0000] x", "a:1 [01/May/2024:12:00:00.1] f b/s 0/0/0/0/0 200 1 \"GET /\"",
	} {
		f.Add([]byte(line), int64(0))
	}
	f.Fuzz(func(t *testing.T, line []byte, at int64) {
		b := pipetest.ParserBatch(source, at, line)
		pipetest.ParseChecked(t, &Parser{}, b, 1)
		if rec := &b.Records[1]; (rec.Format == event.FormatNone) != (rec.Flags&event.Parsed == 0) {
			t.Errorf("%q is understood as %v, its flags are %b", line, rec.Format, rec.Flags)
		}
	})
}

// TestUnclosed: no head needs its bracket to be closed.
func TestUnclosed(t *testing.T) {
	for _, head := range []string{"In(14", "  In(14", "ab (x", "[In(14", "<In", "({[<"} {
		for _, rest := range []string{"", " 2024-05-01T12:00:00Z host x", ": 2024-05-01 12:00:00 ERROR x", " x"} {
			for _, before := range []string{"", "2024-05-01 12:00:00 ", "May  1 12:00:00 host app: "} {
				parse(t, new(Parser), 1714564810e9, before+head+rest+" and what is behind it")
			}
		}
	}
}
