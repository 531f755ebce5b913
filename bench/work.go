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
	kafka   bool   // the output speaks Kafka's protocol
	door    *door  // that the lines are sent to, instead of a file that is read; nil for none
	docker  bool   // the file is the log of a container, and found through the Docker Engine
	workers int    // GOMAXPROCS; 0: one
	alerts  string // what is to ring, and where; "": nothing

	mark    time.Duration // of CPU that a million lines may take; 0: none
	against string        // the work of which it may take againstMark times as much
}

// againstMark is how much more a work may take than the one that it is held against.
const againstMark = 1.1

// twoAlerts are one with groups, of which a seventh of the records count, and one by what is said.
const twoAlerts = `
  nobody: {type: webhook, url: "http://127.0.0.1:1"}
alerts:
  errors: {if: level >= "error", by: [service], at_least: 1000000}
  memory: {if: message contains "out of memory", at_least: 1000000}
`

const lokiOutput = `{type: loki, url: "http://%s"}`

const esOutput = `{type: elasticsearch, urls: ["http://%%s"], index: bench, compression: %s}`

const otlpOutput = `{type: otlp, url: "http://%%s", compression: %s}`

var works = []work{
	{name: "json-to-loki", format: jsonLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "json-to-loki-two-alerts", format: jsonLine, output: lokiOutput, alerts: twoAlerts, against: "json-to-loki"},
	{name: "json-to-elasticsearch", format: jsonLine, output: fmt.Sprintf(esOutput, "none"),
		mark: 1100 * time.Millisecond},
	{name: "json-to-elasticsearch-gzip", format: jsonLine, output: fmt.Sprintf(esOutput, "gzip"),
		mark: 1800 * time.Millisecond},
	{name: "json-to-otlp", format: jsonLine, output: fmt.Sprintf(otlpOutput, "none"), mark: 1200 * time.Millisecond},
	{name: "json-to-otlp-gzip", format: jsonLine, output: fmt.Sprintf(otlpOutput, "gzip")},
	{name: "json-to-otlp-zstd", format: jsonLine, output: fmt.Sprintf(otlpOutput, "zstd")},
	{name: "json-to-kafka", format: jsonLine, output: fmt.Sprintf(kafkaOutput, "snappy"), kafka: true,
		mark: 1200 * time.Millisecond},
	{name: "json-to-kafka-zstd", format: jsonLine, output: fmt.Sprintf(kafkaOutput, "zstd"), kafka: true},
	{name: "http-to-loki", format: jsonLine, output: lokiOutput, door: &httpDoor},
	{name: "loki-to-loki", format: jsonLine, output: lokiOutput, door: &lokiDoor},
	{name: "bulk-to-loki", format: jsonLine, output: lokiOutput, door: &bulkDoor},
	{name: "otlp-to-loki", format: jsonLine, output: lokiOutput, door: &otlpDoor},
	{name: "syslog-to-loki", format: jsonLine, output: lokiOutput, door: &syslogDoor, mark: 1000 * time.Millisecond},
	{name: "logfmt-to-loki", format: logfmtLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "nginx-to-loki", format: nginxLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "log4j-to-loki", format: log4jLine, output: lokiOutput, mark: 1000 * time.Millisecond},
	{name: "json-file-to-loki", format: dockerLine(jsonLine), output: lokiOutput, docker: true,
		mark: 1100 * time.Millisecond},
	{name: "json-file-by-file-input", format: dockerLine(jsonLine), output: lokiOutput},
	{name: "eight-files-one-worker", format: jsonLine, output: lokiOutput, files: 8},
	{name: "eight-files-two-workers", format: jsonLine, output: lokiOutput, files: 8, workers: 2,
		against: "eight-files-one-worker"},
}

// writeFiles spreads n lines over the work's files in a folder.
func (w work) writeFiles(dir string, n int) error {
	files := max(1, w.files)
	for f := range files {
		count := n / files
		if f == 0 {
			count += n % files
		}
		if err := writeLines(w.file(dir, f), count, w.format); err != nil {
			return err
		}
	}
	return nil
}

// file is the i-th file in a folder; that of a container is where dockerd has it.
func (w work) file(dir string, i int) string {
	if w.docker {
		return jsonFile(dir, newContainer(i).id)
	}
	return filepath.Join(dir, fmt.Sprintf("%d.log", i))
}

// input gives the agent's config for the files in a folder. What it needs to find them
// lasts until closed.
func (w work) input(dir string) (config string, closed func(), err error) {
	if w.door != nil {
		return w.door.send(w.file(dir, 0))
	}
	if !w.docker {
		return fileInput(dir), func() {}, nil
	}
	c := newContainer(0)
	c.logPath = w.file(dir, 0)
	e, err := newEngine(dir, []*container{c})
	if err != nil {
		return "", nil, err
	}
	return e.input(", mode: files"), e.close, nil
}

func writeLines(path string, n int, line format) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
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
