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
	// listen is the input's setting, for an address.
	listen string
}

const (
	doorBatch   = 1000 // lines in a request
	doorSenders = 4
)

var (
	httpDoor   = door{"http", "/", "application/x-ndjson", packLines, "%q"}
	lokiDoor   = door{"loki", "/loki/api/v1/push", "application/x-protobuf", packPush, "%q"}
	bulkDoor   = door{"elasticsearch", "/bench/_bulk", "application/x-ndjson", packBulk, "%q"}
	otlpDoor   = door{"otlp", "/v1/logs", "application/x-protobuf", packOTLP, "[%q]"}
	syslogDoor = door{"syslog", "", "", packSyslog, "['tcp://%s']"} // without HTTP: what is sent is sent
)

// packOTLP makes records that say nothing but their line.
func packOTLP(lines [][]byte) []byte {
	resource := messageField(1, attribute("service.name", "bench"))
	var records []byte
	now := uint64(time.Now().UnixNano())
	for i, line := range lines {
		at := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, now+uint64(i))
		record := append(at, messageField(5, appendBytes(nil, 1, line))...)
		records = appendBytes(records, 2, record)
	}
	return messageField(1, resource, appendBytes(nil, 2, records))
}

// packSyslog makes messages of RFC 5424, one on each line.
func packSyslog(lines [][]byte) (body []byte) {
	head := time.Now().UTC().AppendFormat([]byte("<14>1 "), "2006-01-02T15:04:05.000000Z")
	head = append(head, " bench app 4711 - - "...)
	for _, line := range lines {
		body = append(append(append(body, head...), line...), '\n')
	}
	return body
}

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
			c := &client{door: d, address: address}
			defer c.close()
			for body := range bodies {
				c.post(body, quit)
			}
		})
	}
	listen := fmt.Sprintf(d.listen, address)
	return fmt.Sprintf("{type: %s, listen: %s}", d.kind, listen), func() { close(quit); all.Wait() }, nil
}

// A client sends bodies, one after the other.
type client struct {
	*door
	address string
	conn    net.Conn // without HTTP
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

// post sends a body until it is taken.
func (c *client) post(body []byte, quit chan struct{}) {
	for {
		if c.try(body) {
			return
		}
		select {
		case <-quit:
			return
		case <-time.After(20 * time.Millisecond): // it does not listen yet
		}
	}
}

// try sends a body once, and reports whether it is taken.
func (c *client) try(body []byte) bool {
	if c.path == "" {
		var err error
		if c.conn == nil {
			if c.conn, err = net.Dial("tcp", c.address); err != nil {
				c.conn = nil
				return false
			}
		}
		_, err = c.conn.Write(body)
		return err == nil
	}
	answer, err := http.Post("http://"+c.address+c.path, c.mime, bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode/100 == 2
}
