// Command imitation is the imitation of Loki, used like Loki's own program where none is at hand:
// it listens at port 3100, takes a -config.file, and with -health asks one that runs whether it is
// ready.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/longshore/longshore/soak/receiver"
)

func main() {
	config := flag.String("config.file", "", "a configuration of Loki")
	health := flag.Bool("health", false, "ask the one that runs, and end")
	flag.Parse()
	if err := run(*config, *health); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(config string, health bool) error {
	if health {
		return ask("http://localhost:3100/ready")
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	c, err := receiver.ReadLokiConfig(string(text))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "imitation-")
	if err != nil {
		return err
	}
	loki, err := receiver.NewLokiLike(dir, receiver.NewFaults(1, 0, 0), c)
	if err != nil {
		return err
	}
	defer loki.Close()
	return http.ListenAndServe(":3100", loki.Handler())
}

func ask(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}
