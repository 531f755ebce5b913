package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// A work is one kind of lines and the output they go to.
type work struct {
	name   string
	line   func(dst []byte, i int, rnd *rand.Rand) []byte
	output string // of the agent's config; %s is the receiver's address
}

const lokiOutput = `{type: loki, url: "http://%s"}`

var works = []work{
	{"json-to-loki", jsonLine, lokiOutput},
	{"json-to-elasticsearch", jsonLine, `{type: elasticsearch, urls: ["http://%s"], index: bench, compression: none}`},
	{"json-to-elasticsearch-gzip", jsonLine, `{type: elasticsearch, urls: ["http://%s"], index: bench, compression: gzip}`},
}

var (
	levels   = []string{"info", "info", "info", "info", "debug", "warn", "error"}
	messages = []string{"request completed", "order accepted by payment", "cache miss, asking origin", "user session was renewed"}
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// jsonLine writes a line of some 220 bytes with a time, a level and a trace id.
func jsonLine(dst []byte, i int, rnd *rand.Rand) []byte {
	at := start.Add(time.Duration(i) * 37 * time.Microsecond)
	dst = append(dst, `{"time":"`...)
	dst = at.AppendFormat(dst, "2006-01-02T15:04:05.000000Z07:00")
	return fmt.Appendf(dst, `","level":%q,"msg":%q,"trace_id":"%016x%016x","method":"GET","path":"/api/v1/items/%d","status":%d,"duration_ms":%.3f,"user":"u%05d"}`,
		levels[rnd.IntN(len(levels))], messages[rnd.IntN(len(messages))], rnd.Uint64(), rnd.Uint64(),
		rnd.IntN(100000), 200+rnd.IntN(4)*100, rnd.Float64()*100, rnd.IntN(100000))
}

func writeLines(path string, n int, line func([]byte, int, *rand.Rand) []byte) error {
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
