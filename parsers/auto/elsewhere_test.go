package auto

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// parserIn returns a parser as a config makes it.
func parserIn(t *testing.T, zone string) pipeline.Parser {
	t.Helper()
	newParser, err := (&Config{}).withZone(zone).Parser()
	if err != nil {
		t.Fatal(err)
	}
	return newParser(nil)
}

func (c *Config) withZone(zone string) *Config { c.Timezone = zone; return c }

// TestTimesOfAnotherZone: where the source knows when a line was written, a time that names no zone
// and is whole quarter hours away was written elsewhere, in whatever form, and whatever lines came
// before. All other times stay as they are.
func TestTimesOfAnotherZone(t *testing.T) {
	written := time.Date(2026, 3, 4, 12, 30, 15, 250e6, time.UTC)
	forms := []string{
		"2006-01-02 15:04:05.000 ERROR [main] order failed",
		"[2006-01-02 15:04:05,000] INFO ready",
		`{"time":"2006-01-02T15:04:05.000","level":"info","msg":"ready"}`,
		`time="2006-01-02 15:04:05.000" level=info msg=ready`,
		"2006/01/02 15:04:05 ready",
		"Jan  2 15:04:05 web app[7]: ready",
	}
	tests := []struct {
		zone   string        // configured
		line   time.Duration // the time in the line, from when it was written
		zoned  bool          // the line names its zone
		want   time.Duration
		reason string
	}{
		{"UTC", time.Hour, false, 0, "Berlin in winter"},
		{"UTC", 9 * time.Hour, false, 0, "Tokyo"},
		{"UTC", 5*time.Hour + 30*time.Minute, false, 0, "Delhi"},
		{"UTC", 12*time.Hour + 45*time.Minute, false, 0, "Chatham"},
		{"UTC", -5 * time.Hour, false, 0, "New York in winter"},
		{"UTC", 2*time.Hour - 90*time.Second, false, -90 * time.Second, "two hours ahead, and late"},
		{"Europe/Berlin", -time.Hour, false, 0, "UTC, in Berlin"},
		{"Europe/Berlin", 4*time.Hour + 30*time.Minute, false, 0, "Delhi, seen from Berlin"},

		{"UTC", 0, false, 0, "here"},
		{"UTC", -3 * time.Second, false, -3 * time.Second, "late"},
		{"UTC", -time.Hour - 10*time.Second, false, -time.Hour - 10*time.Second, "an hour late, and not exactly"},
		{"UTC", -15 * time.Minute, false, -15 * time.Minute, "no place is there"},
		{"UTC", 50 * time.Minute, false, 50 * time.Minute, "ahead, and of no zone"},
		{"UTC", 15*time.Hour + time.Minute, false, 15*time.Hour + time.Minute, "further than any zone"},
		{"UTC", time.Hour, true, time.Hour, "an hour ahead, by its own word"},
		{"UTC", -5 * time.Hour, true, -5 * time.Hour, "five hours late, by its own word"},
		{"Europe/Berlin", -time.Hour, true, -time.Hour, "an hour late, by its own word, in Berlin"},
	}
	parsers := map[string]pipeline.Parser{}
	for range 2 { // whatever the parser remembers
		for _, test := range tests {
			if parsers[test.zone] == nil {
				parsers[test.zone] = parserIn(t, test.zone)
			}
			for _, form := range forms {
				line := lineAt(t, form, written.Add(test.line), test.zone, test.zoned)
				if line == "" {
					continue
				}
				b := batchAt(written.UnixNano(), line)
				if !parsers[test.zone].Parse(b, 0) {
					t.Fatalf("%s: not understood", line)
				}
				want := written.Add(test.want)
				if got := time.Unix(0, b.Records[0].Time).UTC(); got.Sub(want).Abs() > time.Second ||
					b.Records[0].Flags&event.LineTime == 0 {
					t.Errorf("%s, in %s (%s): %v, want %v", line, test.zone, test.reason, got, want)
				}
			}
		}
	}
}

// lineAt writes a line's time in the local time of a zone; "" where the form can name no zone.
func lineAt(t *testing.T, form string, at time.Time, zone string, zoned bool) string {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	if zoned {
		if !strings.Contains(form, "05.000") {
			return ""
		}
		form = strings.Replace(form, "05.000", "05.000Z07:00", 1)
	}
	return at.In(location).Format(form)
}

func batchAt(source int64, line string) *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "docker", "web", nil))
	b.Add(1, source, b.PutString(line))
	return b
}

// TestTimesWithinARuntimesLine: a runtime's file has the time that it wrote each line.
func TestTimesWithinARuntimesLine(t *testing.T) {
	written := time.Date(2026, 3, 4, 12, 30, 15, 250e6, time.UTC)
	stamp := written.Format(time.RFC3339Nano)
	for inner, want := range map[string]time.Duration{
		"2026-03-04 13:30:15.240 ERROR order failed":  -10 * time.Millisecond,
		"2026-03-04 07:30:15,100 ERROR order failed":  -150 * time.Millisecond,
		"2026-03-04T13:30:15.240Z ERROR order failed": time.Hour - 10*time.Millisecond,
		"2026-03-04 12:20:15.240 ERROR order failed":  -10*time.Minute - 10*time.Millisecond,
	} {
		for _, line := range []string{
			fmt.Sprintf(`{"log":"%s\n","stream":"stdout","time":"%s"}`, inner, stamp),
			fmt.Sprintf("%s stdout F %s", stamp, inner),
		} {
			b := batchAt(0, line)
			p := parserIn(t, "UTC")
			if !p.Parse(b, 0) || b.Records[0].Level != event.Error {
				t.Fatalf("%s: %+v", line, b.Records[0])
			}
			if got := time.Unix(0, b.Records[0].Time).Sub(written); got != want {
				t.Errorf("%s: %v from when it was written, want %v", line, got, want)
			}
		}
	}
	// What a syslog daemon wrote may be of any zone itself.
	b := batchAt(0, "Mar  4 13:30:15 web app[7]: 2026-03-04 12:30:15.240 ERROR order failed")
	if p := parserIn(t, "UTC"); !p.Parse(b, 0) || time.Unix(0, b.Records[0].Time).UTC().Hour() != 12 {
		t.Errorf("in syslog: %v", time.Unix(0, b.Records[0].Time).UTC())
	}
}
