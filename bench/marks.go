package main

import (
	"fmt"
	"time"
)

// markFloor is what the floor took, in CPU time a million lines, on the machine
// that the marks were set for.
const markFloor = 270 * time.Millisecond

// measured is the least of what a work took, and of what the floor took beside it.
type measured struct {
	work       work
	cpu, floor time.Duration // per million lines
	peak       int64
}

// with takes in another run.
func (m measured) with(run measured) measured {
	if m.cpu == 0 {
		return run
	}
	m.cpu, m.floor, m.peak = min(m.cpu, run.cpu), min(m.floor, run.floor), max(m.peak, run.peak)
	return m
}

func (m measured) ratio() float64 { return float64(m.cpu) / float64(m.floor) }

// summary prints for each work whether it meets its mark: in seconds, as this machine was at its
// best moment of the runs, and as a ratio to the floor, which takes out how fast the machine is.
func summary(all []measured) {
	t := newTable("least of all runs", "CPU s per million", "floor", "× floor", "mark, s", "in seconds", "mark, ×",
		"as a ratio", "peak MiB")
	for _, m := range all {
		seconds, ratio := m.marks(all)
		t.row(m.work.name, seconds2(m.cpu), seconds2(m.floor), times(m.ratio()),
			seconds2(seconds), verdict(seconds != 0, m.cpu <= seconds), times(ratio),
			verdict(ratio != 0, m.ratio() <= ratio),
			fmt.Sprintf("%.1f", mib(m.peak)))
	}
}

// marks gives what a work may take, as CPU time and as a ratio to the floor; 0: it
// has no mark. A work that is held against another one takes its measure from that.
func (m measured) marks(all []measured) (seconds time.Duration, ratio float64) {
	if m.work.mark != 0 {
		return m.work.mark, float64(m.work.mark) / float64(markFloor)
	}
	for _, other := range all {
		if other.work.name == m.work.against {
			return time.Duration(float64(other.cpu) * againstMark), other.ratio() * againstMark
		}
	}
	return 0, 0
}

func verdict(has, met bool) string {
	switch {
	case !has:
		return "-"
	case met:
		return "met"
	}
	return "not met"
}

func seconds2(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", d.Seconds())
}

func times(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", ratio)
}
