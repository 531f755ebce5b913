package main

import "fmt"

// claims are what was measured and must not be more than a mark, but for the CPU time of
// full speed, which has a table of its own.
type claims struct{ all []claim }

type claim struct {
	what, unit string
	got, mark  float64
}

// A limit is a mark of its name's unit; 0: there is none.
type limit struct {
	cores, mib, p99ms float64
}

func (c *claims) add(what, unit string, got, mark float64) {
	if mark != 0 {
		c.all = append(c.all, claim{what, unit, got, mark})
	}
}

// steady claims what was watched. Of the cores it tells too how many they would be if
// the floor were that of the machine that the marks were set for.
func (c *claims) steady(what string, s steadiness, l limit) {
	c.add(what, "cores", s.cores(), l.cores)
	c.add(what, "cores, by the floor", s.cores()*float64(markFloor)/float64(s.floor), l.cores)
	c.add(what, "peak MiB", mib(s.peak), l.mib)
	c.add(what, "p99, ms", s.latency(0.99).Seconds()*1e3, l.p99ms)
}

func (c *claims) print() {
	t := newTable("marks", "                   ", "measured", "mark", "")
	for _, one := range c.all {
		t.row(one.what, one.unit, fmt.Sprintf("%.4g", one.got), fmt.Sprintf("%.4g", one.mark),
			verdict(true, one.got <= one.mark))
	}
}
