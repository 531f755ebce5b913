package docker

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestManyContainers follows 500 containers: each costs one request, one connection and few
// goroutines.
func TestManyContainers(t *testing.T) {
	const n = 500
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		for i := range n {
			e.add(&fakeContainer{ID: fmt.Sprintf("%03d", i), Name: fmt.Sprint("c", i), State: "running",
				Log: []message{out(1, "one\n")}})
		}
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), n)
		time.Sleep(time.Minute) // connections that nobody uses are closed
		synctest.Wait()
		requests, sinces := e.asked()
		if len(sinces) != n {
			t.Errorf("%d logs were requested", len(sinces))
		}
		if len(requests) > 2*n+4 { // one inspects, one reads
			t.Errorf("%d requests were made", len(requests))
		}
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		followers, conns := strings.Count(stacks.String(), "created by sync.(*WaitGroup).Go in"),
			strings.Count(stacks.String(), "created by net/http.(*Transport).dialConn")
		if followers > n+10 || conns > 2*(n+10) {
			t.Errorf("%d followers, and %d goroutines of connections", followers, conns)
		}
		if dials := e.dials(); dials > 2*n {
			t.Errorf("%d connections were made", dials)
		}
		time.Sleep(3 * listInterval)
		if again, _ := e.asked(); len(again)-len(requests) > 3*(2*n+1) { // one inspects, one looks for what is new
			t.Errorf("%d requests in three rounds", len(again)-len(requests))
		}
		r.wantNothingLogged()
	})
}

// buffered counts the bytes that a batcher holds.
func (b *batcher) buffered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for i := range b.streams {
		n += cap(b.streams[i].line.buf)
		if batch := b.streams[i].batch; batch != nil {
			n += cap(batch.Arena)
		}
	}
	return n
}

// TestFlood reads lines without end, at once or piece by piece.
func TestFlood(t *testing.T) {
	const maxLine, total = 1 << 20, 48 << 20
	feed := newNullFeed()
	for name, encode := range map[string]func(i int) []byte{
		"one instant": func(int) []byte {
			return encodeMessage(message{ts: 5, text: strings.Repeat("x", partSize)}, false)
		},
		"two streams": func(i int) []byte {
			return encodeMessage(message{ts: 5, from: logformat.Stream(i % 2), text: strings.Repeat("x", partSize)},
				false)
		},
		"ever later": func(i int) []byte {
			return encodeMessage(message{ts: int64(i), text: strings.Repeat("x", partSize)}, false)
		},
		"one frame": func(i int) []byte {
			if i == 0 {
				return []byte("\x01\x00\x00\x00\x03\xff\xff\xff2026-01-02T03:04:05.000000006Z ")
			}
			if i >= (64<<20)/partSize-2 {
				return nil
			}
			return bytes.Repeat([]byte("x"), partSize)
		},
		"tty": func(i int) []byte {
			if i == 0 {
				return encodeMessage(message{ts: 5, text: "x"}, true)
			}
			return bytes.Repeat([]byte("Z"), partSize)
		},
	} {
		b := newBatcher(t, feed)
		d := logformat.NewDecoder(b, '2', name == "tty")
		for i := range total / partSize {
			if err := b.decode(d, encode(i), 0, true); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n := b.buffered()
			if bound := 2*2*maxLine + 2*maxBatchBytes + 4*partSize; n > bound {
				t.Fatalf("%s: %d bytes are held after %d parts", name, n, i)
			}
		}
		b.stop(false)
	}
}

// FuzzBatcher gives bytes to all that is between a connection and a batch: it fails only by an
// error, and holds no more than it may.
func FuzzBatcher(f *testing.F) {
	const stamp = "2026-01-02T03:04:05.000000006Z "
	f.Add([]byte(encodeLine(logformat.Stdout, stamp+"x\n", false)), false, false, "1m")
	f.Add([]byte(stamp+"x\n"+stamp+"y"), true, true, "k")
	f.Fuzz(func(t *testing.T, in []byte, isTTY, joins bool, size string) {
		b := newBatcher(t, newNullFeed())
		for range 3 {
			b.connect(int64(len(in)), rotationOf("json-file", map[string]string{"max-size": size, "max-file": "3"}),
				joins)
			d := logformat.NewDecoder(b, append(in, 0)[0], isTTY)
			if b.decode(d, in, 1, true) != nil {
				b.abort(d)
			} else {
				b.close(d)
			}
			b.endFullRead()
		}
		b.endLog()
		b.stop(false)
		for i := range b.streams {
			at := b.streams[i].at
			if back, ok := parseCursor(at.appendCursor(nil), at.next); at.earliest >= 0 &&
				(!ok || back.anchor != at.anchor || back.count != at.count) {
				t.Fatalf("the cursor of %+v cannot be decoded", at)
			}
		}
	})
}

// FuzzSearch reads a log with times in any order whole, and again from each of its cursors: all
// lines keep their positions.
func FuzzSearch(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0x83, 4, 0x85, 4, 200, 7})
	f.Add([]byte{50, 50, 0xff, 0xfe, 3, 3, 3, 0x80})
	f.Fuzz(func(t *testing.T, in []byte) {
		log := fuzzLog(in)
		whole := readLog(t, log, position{}, 0)
		for i, at := range whole.cursors {
			back, ok := parseCursor(at.appendCursor(nil), at.next)
			if !ok {
				t.Fatalf("cursor %d cannot be decoded: %+v", i, at)
			}
			rest := readLog(t, log, back, back.since())
			if fmt.Sprint(rest.lines) != fmt.Sprint(whole.lines[i+1:]) {
				t.Fatalf("after line %d: %v, want %v", i, rest.lines, whole.lines[i+1:])
			}
		}
	})
}

// fuzzLog makes a log from bytes, which give the stream, the time between messages and the text.
func fuzzLog(in []byte) []message {
	var log []message
	now := at(0)
	for i, b := range in[:min(len(in), 60)] {
		now += int64(b&31) * second / 8
		ts := now - int64(b>>5&3)*second/8
		log = append(log, message{ts: ts, from: logformat.Stream(b >> 7), text: fmt.Sprint(i%3, "\n")})
	}
	return log
}

type readBack struct {
	lines   []string
	cursors []position // behind each of the lines
}

// readLog reads the stdout of a log from a position, as a batcher does.
func readLog(t *testing.T, log []message, from position, since int64) readBack {
	var got readBack
	var find search
	at := from
	find.start(at)
	for _, m := range log {
		if m.ts < since {
			continue // as engines before 23.0 do
		}
		if find.active {
			if find.observe(m.ts) {
				t.Fatalf("the anchor of %+v is gone", from)
			}
		}
		switch line := []byte(m.text); {
		case find.active:
			at.observeAgain(m.ts, find.anchorFound)
			if m.from == logformat.Stdout && !find.matchLine(m.ts, line) {
				t.Fatalf("the log differs at %+v", m)
			}
		default:
			at.observe(m.ts, false)
			if m.from == logformat.Stdout {
				pos := at.assign(m.ts)
				at.last, at.sum = m.ts, checksum(line)
				at.count++
				got.lines = append(got.lines, fmt.Sprint(pos, m.text))
				got.cursors = append(got.cursors, at)
			}
		}
	}
	return got
}

func TestOptionsOfTheDriver(t *testing.T) {
	for _, tt := range []struct {
		driver  string
		options map[string]string
		want    rotation
	}{
		{"json-file", nil, rotation{size: 0, files: 1}},
		{"json-file", map[string]string{"max-size": "10m"}, rotation{size: 10 << 20, files: 1}},
		{"json-file", map[string]string{"max-size": "1.5kb", "max-file": "3"}, rotation{size: 1536, files: 3}},
		{"json-file", map[string]string{"max-size": "-1", "max-file": "x"}, rotation{size: 0, files: 1}},
		{"json-file", map[string]string{"max-size": "1k", "max-file": "3", "compress": "true"},
			rotation{size: 1024, files: 3, compressed: true}},
		{"local", nil, rotation{size: 20 << 20, files: 5, compressed: true}},
		{"local", map[string]string{"max-size": "1g", "max-file": "2", "compress": "false"},
			rotation{size: 1 << 30, files: 2}},
		{"journald", map[string]string{"max-size": "1g"}, rotation{}},
	} {
		c := container.HostConfig{LogConfig: container.LogConfig{Type: tt.driver, Config: tt.options}}
		if got := rotationOf(c.LogConfig.Type, c.LogConfig.Config); got != tt.want {
			t.Errorf("%s %v: got %+v, want %+v", tt.driver, tt.options, got, tt.want)
		}
	}
}

func FuzzCursor(f *testing.F) {
	p := position{anchor: 5, earliest: 4, count: 3, last: 2, sum: 1, next: 9, anchored: true}
	f.Add(p.appendCursor(nil), uint64(9))
	f.Fuzz(func(t *testing.T, state []byte, pos uint64) {
		p, ok := parseCursor(state, pos)
		if !ok {
			return
		}
		if again := p.appendCursor(nil); !bytes.Equal(again, state) {
			t.Fatalf("% x becomes % x", state, again)
		}
		p.since()
		p.idlePosition()
		p.assign(int64(pos))
	})
}
