package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
)

// A door is an input that lines are sent to, as a kind of client does.
type door struct {
	kind string // of the input
	path string
	mime string
	pack func(lines [][]byte) []byte
}

const (
	doorBatch   = 1000 // lines in a request
	doorSenders = 4
)

var (
	httpDoor = door{"http", "/", "application/x-ndjson", packLines}
	lokiDoor = door{"loki", "/loki/api/v1/push", "application/x-protobuf", packPush}
	bulkDoor = door{"elasticsearch", "/bench/_bulk", "application/x-ndjson", packBulk}
)

func packLines(lines [][]byte) []byte { return append(bytes.Join(lines, []byte{'\n'}), '\n') }

func packBulk(lines [][]byte) (body []byte) {
	for _, line := range lines {
		body = append(append(append(body, "{\"create\":{}}\n"...), line...), '\n')
	}
	return body
}

// packPush makes one stream of Loki's push request, at times of a nanosecond each.
func packPush(lines [][]byte) []byte {
	stream := appendBytes(nil, 1, []byte(`{job="bench"}`))
	now := time.Now()
	for i, line := range lines {
		at := binary.AppendUvarint([]byte{1 << 3}, uint64(now.Unix()))
		at = binary.AppendUvarint(append(at, 2<<3), uint64(i+1))
		stream = appendBytes(stream, 2, appendBytes(appendBytes(nil, 1, at), 2, line))
	}
	return s2.EncodeSnappy(nil, appendBytes(nil, 1, stream))
}

func appendBytes(dst []byte, field byte, value []byte) []byte {
	dst = binary.AppendUvarint(append(dst, field<<3|2), uint64(len(value)))
	return append(dst, value...)
}

// send sends a file's lines to the agent once that listens, and returns its input.
func (d *door) send(path string) (config string, closed func(), err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := free.Addr().String()
	free.Close()
	lines := bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'})
	bodies := make(chan []byte, 2*doorSenders)
	quit := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(bodies)
		for len(lines) > 0 {
			n := min(doorBatch, len(lines))
			select {
			case bodies <- d.pack(lines[:n]):
			case <-quit:
				return
			}
			lines = lines[n:]
		}
	})
	for range doorSenders {
		all.Go(func() {
			for body := range bodies {
				d.post("http://"+address+d.path, body, quit)
			}
		})
	}
	return fmt.Sprintf("{type: %s, listen: %q}", d.kind, address), func() { close(quit); all.Wait() }, nil
}

// post sends a body until it is taken.
func (d *door) post(url string, body []byte, quit chan struct{}) {
	for {
		answer, err := http.Post(url, d.mime, bytes.NewReader(body))
		if err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode/100 == 2 {
				return
			}
		}
		select {
		case <-quit:
			return
		case <-time.After(20 * time.Millisecond): // it does not listen yet
		}
	}
}
