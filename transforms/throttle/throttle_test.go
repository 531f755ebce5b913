package throttle

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `{rate: 10, key: "{text}", max_keys: 10}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transform := pipetest.MustTransform(t, &Config{Rate: 2, Burst: 3, Key: "{who}", Max: 100}, nil)
		pass := func(lines ...string) string {
			var marks string
			for _, record := range pipetest.Transformed(t, transform, newJSON, lines...) {
				if record == "dropped" {
					marks += "-"
				} else {
					marks += "+"
				}
			}
			return marks
		}
		a, b := `{"who":"a"}`, `{"who":"b"}`
		got := []string{pass(a, a, b, a, a, b)}
		time.Sleep(time.Second)
		got = append(got, pass(a, a, a, b, b, b, b))
		time.Sleep(time.Hour)
		got = append(got, pass(a, a, a, a))
		if diff := cmp.Diff([]string{"++++-+", "++-+++-", "+++-"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWarnsOfDroppedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		env := pipetest.TransformEnv(t)
		env.Log = slog.New(slog.NewTextHandler(&log, nil))
		transform, err := (&Config{Rate: 1, Key: "all", Max: 10}).Transform(env)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Repeat([]string{"x"}, 11)
		pipetest.Transformed(t, transform, newJSON, lines...)
		time.Sleep(2 * time.Minute)
		pipetest.Transformed(t, transform, newJSON, lines[:1]...)
		time.Sleep(2 * time.Minute)
		pipetest.Transformed(t, transform, newJSON, lines...)
		var got []string
		for line := range strings.Lines(log.String()) {
			got = append(got, line[strings.Index(line, "dropped="):strings.Index(line, " key=")])
		}
		if diff := cmp.Diff([]string{"dropped=1", "dropped=9", "dropped=1"}, got); diff != "" {
			t.Errorf("%s\n%s", diff, log.String())
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	transform := &throttle{rate: 1, burst: 1, max: 100}
	for i := range 10_000 {
		transform.text = strconv.AppendInt(transform.text[:0], int64(i), 10)
		transform.bucket(time.Time{})
		if n := len(transform.young) + len(transform.old); n > 100 {
			t.Fatalf("%d keys are remembered", n)
		}
	}
}
