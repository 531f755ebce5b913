// Longshore takes cargo off containers: it tails their logs and files, understands
// every line, and ships them to Loki or Elasticsearch.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/longshore/longshore/components"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the program at once
	a := app{
		stdin:      os.Stdin,
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		env:        os.LookupEnv,
		components: components.All(),
	}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
