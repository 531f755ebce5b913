package main

import (
	"os"
	"syscall"
)

// peakOf gives the most memory, in bytes, that a process had.
func peakOf(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss * 1024
	}
	return 0
}
