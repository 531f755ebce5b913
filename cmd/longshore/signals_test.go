package main

import (
	"os/signal"
	"syscall"
	"testing"
)

// TestSignals: the first of those that ask to end, or that others reopen files on, ends the
// context; so does SIGHUP in commands that have nothing to reload.
func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1,
		syscall.SIGUSR2} {
		if signal.Ignored(s) {
			continue // under nohup
		}
		ctx, stop := untilSignal(t.Context(), true)
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		stop()
	}
}
