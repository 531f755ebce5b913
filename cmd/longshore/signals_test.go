package main

import (
	"os/signal"
	"syscall"
	"testing"
)

// TestSignals: the first of those that ask to end, or that others reload on, ends the context.
func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1,
		syscall.SIGUSR2} {
		if signal.Ignored(s) {
			continue // under nohup
		}
		ctx, stop := untilSignal(t.Context())
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		stop()
	}
}
