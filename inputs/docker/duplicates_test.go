package docker

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestEngineSendsDuplicates has an engine that sends the first messages of every new file twice, as
// Docker before 23.0 does.
func TestEngineSendsDuplicates(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testDuplicates(t, seed) })
		})
	}
}

func testDuplicates(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 4))
	e := newFakeEngine(t)
	e.version = "1.41"
	tty := seed%4 == 3
	c := e.start(&fakeContainer{ID: "a", Name: "a", TTY: tty,
		Options: map[string]string{"max-size": "100k", "max-file": "3"}})
	r := run(t, e, pipetest.NewFeed(t), Config{})
	for range 40 {
		time.Sleep(time.Second + time.Duration(rnd.IntN(100))*time.Millisecond)
		n := 1 + rnd.IntN(40)
		if seed%5 == 4 && rnd.IntN(10) == 0 {
			n = maxRecent + 500
		}
		e.write(c, fresh(rnd, n, tty)...)
		if rnd.IntN(20) == 0 {
			synctest.Wait()
			e.restart()
		}
	}
	time.Sleep(time.Second)
	for _, s := range []logformat.Stream{logformat.Stdout, logformat.Stderr} {
		if diff := cmp.Diff(lines(c.Log, s), linesOf(r.feed.Got(), c, s)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", s, diff)
		}
	}
	r.wantNothingLogged()
}

// fresh returns n messages of now, most or all of which the engine sends twice.
func fresh(rnd *rand.Rand, n int, tty bool) []message {
	var log []message
	for i := range n {
		m := message{ts: time.Now().UnixNano() + int64(i)*100_000, text: "the same\n"}
		if !tty && rnd.IntN(3) == 0 {
			m.from = logformat.Stderr
			m.ts -= 150_000 // the streams race each other
		}
		if rnd.IntN(3) == 0 {
			m.text = fmt.Sprintf("%d\n", rnd.IntN(5))
		}
		if rnd.IntN(10) == 0 {
			log = append(log, message{ts: m.ts, from: m.from, text: "a part"})
		}
		log = append(log, m)
	}
	log[len(log)-1].duplicates = max(1, len(log)-rnd.IntN(3))
	return log
}
