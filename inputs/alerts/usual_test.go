package alerts

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const unusual = `  busy: {window: 1m, unusual: {deviations: 4}, resolve_after: 0s, forget: 30d}` + "\n"

// TestUnusual learns what is usual by the hour of the week, from three weeks: many at noon on
// working days, few else.
func TestUnusual(t *testing.T) {
	p := newPlay(t, unusual)
	rnd := rand.New(rand.NewPCG(1, 1))
	usually := func(at time.Duration) int {
		when := p.began.Add(at)
		if d := when.Weekday(); d != time.Saturday && d != time.Sunday && when.Hour() >= 11 && when.Hour() <= 13 {
			return 100 + rnd.IntN(21) - 10
		}
		return 2 + rnd.IntN(3) - 1
	}
	minute := func(at time.Duration, n int) {
		p.now = p.began.Add(at)
		p.log(1, at, failures(n)...)
		p.now = p.now.Add(30 * time.Second)
		p.pass()
	}
	const week = 7 * 24 * time.Hour
	for at := time.Duration(0); at < 3*week; at += time.Minute {
		minute(at, usually(at))
	}
	p.want()
	// At noon on Monday a hundred are usual, and 17 at three are not.
	for at := 3 * week; at < 3*week+3*time.Hour; at += time.Minute {
		minute(at, usually(at))
	}
	p.want()
	minute(3*week+3*time.Hour, 17)
	minute(3*week+3*time.Hour+2*time.Minute, 2)
	minute(3*week+3*time.Hour+4*time.Minute, 2)
	said := p.said()
	if len(said) != 2 || !strings.Contains(said[0], "firing busy: 17/min, usually 1.5±1.2") ||
		!strings.Contains(said[1], "resolved busy: over after") {
		t.Errorf("it said %q", said)
	}
}

// TestFewerThanUsual rings where something that always comes is missing.
func TestFewerThanUsual(t *testing.T) {
	p := newPlay(t, `  busy: {window: 1m, unusual: {deviations: 4, direction: both, learn: 1d}, resolve_after: 0s}`)
	at := time.Duration(0)
	for range 26 * 60 {
		p.now = p.began.Add(at)
		p.log(1, at, failures(50)...)
		p.pass()
		at += time.Minute
	}
	p.now = p.began.Add(at)
	p.want()
	p.to(at + 2*time.Minute)
	if said := p.said(); len(said) != 1 || !strings.Contains(said[0], "firing busy:") {
		t.Errorf("it said %q", said)
	}
}

// TestLearnedIsKept over a restart, and is not taken for what counts otherwise.
func TestLearnedIsKept(t *testing.T) {
	p := newPlay(t, unusual)
	for i := range 200 {
		p.log(1, time.Duration(i)*time.Minute, failures(50)...)
		p.to(time.Duration(i+1) * time.Minute)
	}
	text, some := p.e.learned()
	if !some {
		t.Fatal("nothing is learned")
	}
	state := p.e.state()
	for settings, want := range map[string]bool{unusual: true, strings.Replace(unusual, "1m", "2m", 1): false} {
		p.settings = settings
		p.restart(state)
		if err := p.e.learn(text); err != nil {
			t.Fatal(err)
		}
		g := p.e.rules[0].groups[""]
		known := false
		if g != nil {
			_, known = g.base.at(p.began.Add(2 * time.Hour).UnixNano())
		}
		if known != want {
			t.Errorf("%s: it is known what is usual: %t", settings, known)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		all  []float64
		want usual
	}{
		{[]float64{3}, usual{3, 1.7320508075688772}},
		{[]float64{1, 0, 0, 0, 1000}, usual{0, 1}},
		{[]float64{100, 200, 300, 400}, usual{250, 148.26}},
	} {
		if got := usualOf(test.all); got != test.want {
			t.Errorf("it is usually %v and not %v", got, test.want)
		}
	}
}
