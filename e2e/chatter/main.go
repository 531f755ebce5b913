// Command chatter writes numbered log lines in one of several formats, for
// end-to-end tests. What each line says follows from its number alone.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
)

func main() {
	name := flag.String("name", "chatter", "name that stands in every line")
	format := flag.String("format", "json", "json, logfmt, plain or long")
	lines := flag.Int("lines", 1000, "lines to write")
	rate := flag.Int("rate", 0, "lines a second; 0 for no limit")
	both := flag.Bool("both", false, "write every second line to standard error")
	file := flag.String("copy", "", "write what is in this file instead")
	hold := flag.Bool("hold", false, "wait for SIGTERM after the lines")
	code := flag.Int("exit", 0, "exit code")
	flag.Parse()
	if *file != "" {
		copyFile(*file)
		return
	}

	out := []*bufio.Writer{bufio.NewWriter(os.Stdout)}
	if *both {
		out = append(out, bufio.NewWriter(os.Stderr))
	}
	start := time.Now()
	for i := range *lines {
		w := out[i%len(out)]
		fmt.Fprintln(w, script.Line(*format, *name, i, time.Now()))
		if *rate > 0 {
			w.Flush()
			time.Sleep(time.Until(start.Add(time.Duration(i+1) * time.Second / time.Duration(*rate))))
		}
	}
	for _, w := range out {
		w.Flush()
	}
	if *hold {
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
		<-ended
	}
	os.Exit(*code)
}

func copyFile(path string) {
	f, err := os.Open(path)
	if err == nil {
		_, err = io.Copy(os.Stdout, f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
