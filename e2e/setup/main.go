// Command setup gets the real servers of the end-to-end tests onto this machine, all, or those
// named as its arguments. The tests would do it themselves when they need them; on a new machine it
// takes a quarter of an hour, which CI spends beside others.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

func main() {
	names := os.Args[1:]
	if len(names) == 0 {
		names = server.SetupNames()
	}
	failed := false
	for _, name := range names {
		began := time.Now()
		if err := server.Setup(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			failed = true
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: ready (%s)\n", name, time.Since(began).Round(100*time.Millisecond))
	}
	if failed {
		os.Exit(1)
	}
}
