package graph

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/disk/payload"
)

func TestUniquifier(t *testing.T) {
	tests := []struct {
		name     string
		in, want []int64
	}{
		{"ascending times stay", []int64{1, 2, 5, 9}, []int64{1, 2, 5, 9}},
		{"equal times count up", []int64{5, 5, 5}, []int64{5, 6, 7}},
		{"what was counted into is taken", []int64{5, 5, 5, 6, 7, 8}, []int64{5, 6, 7, 8, 9, 10}},
		{"out of order", []int64{5, 3, 5, 3, 4}, []int64{5, 3, 6, 4, 7}},
		{"an anchor among many instants", []int64{5, 100, 200, 300, 400, 500, 5, 600, 700, 800, 900, 5, 1000, 5},
			[]int64{5, 100, 200, 300, 400, 500, 6, 600, 700, 800, 900, 7, 1000, 8}},
		{"before the epoch", []int64{-5, -5, 0, 0}, []int64{-5, -4, 0, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var u uniquifier
			var got []int64
			for _, at := range test.in {
				got = append(got, u.unique(at))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTimestampsAreUniqueAndSurviveARestart interleaves two clocks of milliseconds, and cuts the
// run at every place: the state must bring the same times again.
func TestTimestampsAreUniqueAndSurviveARestart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var in, want []int64
	var whole uniquifier
	seen := map[int64]bool{}
	at := int64(1_700_000_000_000)
	for range 2000 {
		at += rnd.Int64N(2)
		in = append(in, (at-rnd.Int64N(4))*1_000_000)
	}
	var states [][]byte
	for _, at := range in {
		states = append(states, whole.append(nil))
		u := whole.unique(at)
		if seen[u] {
			t.Fatalf("the time %d is given twice", u)
		}
		seen[u] = true
		want = append(want, u)
	}
	for cut := 0; cut < len(in); cut += 97 {
		r := payload.Reader{Rest: append(states[cut], "rest"...)}
		again := readUniquifier(&r)
		if r.Damaged || string(r.Rest) != "rest" {
			t.Fatalf("the state at %d cannot be read", cut)
		}
		for i := cut; i < len(in); i++ {
			if got := again.unique(in[i]); got != want[i] {
				t.Fatalf("cut at %d: time %d became %d, want %d", cut, i, got, want[i])
			}
		}
	}
}

func FuzzReadState(f *testing.F) {
	var t uniquifier
	for _, at := range []int64{5, 5, 9, -3} {
		t.unique(at)
	}
	r := resumption{pipeline: "main", uniquifier: t, begin: 700}
	f.Add(appendState(nil, []resumption{r, r}, []byte("cursor")))
	f.Fuzz(func(t *testing.T, p []byte) {
		of, cursor, ok := readState(p)
		if ok && len(cursor) > len(p) {
			t.Fatal("the cursor is longer than the state")
		}
		for _, r := range of {
			r.uniquifier.unique(7)
		}
	})
}

func BenchmarkUniquifier(b *testing.B) {
	var t uniquifier
	at := int64(1_700_000_000_000_000_000)
	for i := range b.N {
		t.unique(at + int64(i/3)*1_000_000)
	}
}
