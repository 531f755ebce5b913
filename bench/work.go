package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// A work is one kind of lines and the output they go to.
type work struct {
	name    string
	format  format
	output  string // of the agent's config; %s is the receiver's address
	files   int    // the lines are spread over; 0: one
	workers int    // GOMAXPROCS; 0: one

	mark    time.Duration // of CPU that a million lines may take; 0: none
	against string        // the work of which it may take againstMark times as much
}

// againstMark is how much more a work may take than the one that it is held against.
const againstMark = 1.1

const lokiOutput = `{type: loki, url: "http://%s"}`

const esOutput = `{type: elasticsearch, urls: ["http://%%s"], index: bench, compression: %s}`

var works = []work{
	{name: "json-to-loki", format: jsonLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "json-to-elasticsearch", format: jsonLine, output: fmt.Sprintf(esOutput, "none"), mark: 1100 * time.Millisecond},
	{name: "json-to-elasticsearch-gzip", format: jsonLine, output: fmt.Sprintf(esOutput, "gzip"), mark: 1800 * time.Millisecond},
	{name: "logfmt-to-loki", format: logfmtLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "nginx-to-loki", format: nginxLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "log4j-to-loki", format: log4jLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "eight-files-one-worker", format: jsonLine, output: lokiOutput, files: 8},
	{name: "eight-files-two-workers", format: jsonLine, output: lokiOutput, files: 8, workers: 2, against: "eight-files-one-worker"},
}

// writeFiles spreads n lines over the work's files in a folder.
func (w work) writeFiles(dir string, n int) error {
	files := max(1, w.files)
	for f := range files {
		count := n / files
		if f == 0 {
			count += n % files
		}
		if err := writeLines(filepath.Join(dir, fmt.Sprintf("%d.log", f)), count, w.format); err != nil {
			return err
		}
	}
	return nil
}

func writeLines(path string, n int, line format) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rnd := rand.New(rand.NewPCG(1, 2))
	var buf []byte
	for i := range n {
		buf = append(line(buf[:0], i, rnd), '\n')
		w.Write(buf)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}
