package main

import (
	"fmt"
	"time"
)

// watch shows how far something is, on a terminal, while it runs.
func (a *app) watch(progress func() string, run func()) {
	if !a.styleOf(a.stderr) {
		run()
		return
	}
	done := make(chan struct{})
	go func() { run(); close(done) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			fmt.Fprint(a.stderr, "\r\x1b[K")
			return
		case <-tick.C:
			fmt.Fprintf(a.stderr, "\r\x1b[K%s", progress())
		}
	}
}
