package auto

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestHiddenHeads: what a terminal does not show hides neither the time nor the level of a line,
// nor that it is JSON.
func TestHiddenHeads(t *testing.T) {
	src := event.NewSource(1, "test", "test", nil)
	say := func(line string) string {
		b := pipetest.ParserBatch(src, 1714564810e9, []byte(line))
		pipetest.ParseChecked(t, New(nil), b, 1)
		return string(event.AppendRecord(nil, b, 1, false))
	}
	heads := []string{
		`{"level":"error","msg":"failed","time":"2024-05-01T12:00:00Z"}`,
		"2024-05-01T12:00:00Z ERROR failed",
		"level=error msg=failed time=2024-05-01T12:00:00Z",
		"E0501 12:00:00.000000       1 main.go:7] failed",
	}
	for _, hidden := range []string{"\ufeff", "\u200b", "\u200e\u2060", "\ufeff\ufeff"} {
		for _, head := range heads {
			if got, want := say(hidden+head), say(head); got != want {
				t.Errorf("%q in front: %s\nwithout it: %s", hidden, got, want)
			}
		}
	}
	for _, bar := range []string{"\r 10%|#    |\r100%|#####|\r", "Loading model...\r", "\r"} {
		for _, head := range heads {
			got := say(bar + head)
			if !strings.Contains(got, `"level":"error"`) || !strings.Contains(got, `"timestamp":"2024-05-01T12:00:00`) {
				t.Errorf("%q in front: %s", bar, got)
			}
		}
	}
	for _, plain := range []string{
		"\r 10%|#    |\r100%|#####|", "an ordinary\rline", "\ufeffprose with ERROR in it", "\r\r", "\ufeff", "50%\r",
	} {
		if got := say(plain); strings.Contains(got, `"level"`) {
			t.Errorf("%q: %s", plain, got)
		}
	}
	if got := say("2024-05-01T12:00:00Z INFO half\rERROR done"); !strings.Contains(got, `"level":"info"`) {
		t.Errorf("a head at the beginning of the line is not its head: %s", got)
	}
}
