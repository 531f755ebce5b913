package event_test

import (
	"math"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

func TestAppendTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ns   int64
		want string
	}{
		{0, "1970-01-01T00:00:00.000Z"},
		{1, "1970-01-01T00:00:00.000000001Z"},
		{1_000, "1970-01-01T00:00:00.000001Z"},
		{1_000_000, "1970-01-01T00:00:00.001Z"},
		{-1, "1969-12-31T23:59:59.999999999Z"},
		{-1_000_000_000, "1969-12-31T23:59:59.000Z"},
		{951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"},
		{1_700_000_000_120_000_000, "2023-11-14T22:13:20.120Z"},
		{math.MaxInt64, "2262-04-11T23:47:16.854775807Z"},
		{math.MinInt64, "1677-09-21T00:12:43.145224192Z"},
	}
	for _, tt := range tests {
		if got := string(event.AppendTime(nil, tt.ns)); got != tt.want {
			t.Errorf("AppendTime(%d): got %s, want %s", tt.ns, got, tt.want)
		}
	}
}

// FuzzTime: AppendTime writes what package time writes in the layout with
// the fewest of 3, 6 or 9 digits, and Days counts as it does.
func FuzzTime(f *testing.F) {
	for _, ns := range []int64{0, -1, 1, math.MaxInt64, math.MinInt64, 1_709_164_800_000_000_000,
		-2_208_988_800_000_000_000, 4_107_542_400_000_000_000} {
		f.Add(ns)
	}
	f.Fuzz(func(t *testing.T, ns int64) {
		for _, ns := range []int64{ns, ns / 1e3 * 1e3, ns / 1e6 * 1e6, ns / 1e9 * 1e9} {
			at := time.Unix(0, ns).UTC()
			if got, want := string(event.AppendTime(nil, ns)), at.Format(layoutOf(ns)); got != want {
				t.Errorf("AppendTime(%d): got %s, want %s", ns, got, want)
			}
			midnight := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
			if got, want := event.Days(int64(at.Year()), int64(at.Month()), int64(at.Day())),
				midnight.Unix()/86400; got != want {
				t.Errorf("Days of %s: got %d, want %d", midnight, got, want)
			}
		}
	})
}

func layoutOf(ns int64) string {
	switch {
	case ns%1e6 == 0:
		return "2006-01-02T15:04:05.000Z"
	case ns%1e3 == 0:
		return "2006-01-02T15:04:05.000000Z"
	}
	return "2006-01-02T15:04:05.000000000Z"
}

func BenchmarkAppendTime(b *testing.B) {
	dst := make([]byte, 0, 64)
	for b.Loop() {
		dst = event.AppendTime(dst[:0], noon+1)
	}
}
