package systemd

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// monotonic returns the line with the time of the clock that does not jump, by which the manager
// knows that a reload began after it had asked for it.
func monotonic() string {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return "" // an empty line says nothing
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000)
}
