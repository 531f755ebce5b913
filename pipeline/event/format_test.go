package event_test

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

func TestFormatsHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for f := event.FormatNone; f.String() != "unknown"; f++ {
		if f.String() == "" || seen[f.String()] {
			t.Errorf("format %d is named %q", f, f)
		}
		seen[f.String()] = true
	}
	if event.FormatZooKeeper.String() != "zookeeper" || event.FormatText.String() != "text" {
		t.Error("the names are out of step")
	}
}

func TestOddTimesAreMarked(t *testing.T) {
	t.Parallel()
	b := line{time: noon, message: "a"}.batch()
	b.Records[0].Flags |= event.OddTime
	if got := string(event.AppendRecord(nil, b, 0, false)); !strings.Contains(got, `,"time_rejected":true`) {
		t.Errorf("got %s", got)
	}
	for flags, want := range map[event.Flags]string{
		event.OddTime:                   `,"log.flags":["time_rejected"]`,
		event.OddTime | event.Truncated: `,"log.flags":["truncated","time_rejected"]`,
	} {
		b.Records[0].Flags = flags
		if got := string(event.AppendECS(nil, b, 0)); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
}
