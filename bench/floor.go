package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/s2"
)

// The floor is the least that shipping a file can take: read it, find where its lines end, compress
// it and send it, and know nothing of what is in it. It is a process of its own, pinned as the
// agent is, and runs before each run of the agent, since how fast a machine is changes by the
// minute: a ratio to the floor of that minute says more than seconds do.
//
// It always ships the same JSON lines, whatever work it is compared with, so that
// it measures the machine and nothing else.

const (
	floorCommand = "floor"
	floorPath    = "/floor"
	floorBlock   = 1 << 20
)

// runFloor is the whole of the floor's process.
func runFloor(path, url string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, floorBlock)
	packed := make([]byte, s2.MaxEncodedLen(floorBlock))
	for lines := 0; ; {
		n, err := io.ReadFull(f, block)
		if n == 0 {
			fmt.Println(lines, "lines")
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF { // which a last, short block gives
			return fmt.Errorf("reading %s: %w", path, err)
		}
		lines += findLines(block[:n])
		if err := post(url, s2.EncodeSnappy(packed, block[:n])); err != nil {
			return fmt.Errorf("sending to %s: %w", url, err)
		}
	}
}

// findLines looks for every end of a line, one after the other, as one who cuts lines must.
func findLines(p []byte) (n int) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return n
		}
		n++
		p = p[i+1:]
	}
}

func post(url string, body []byte) error {
	res, err := http.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the receiver said %s", res.Status)
	}
	return nil
}

// floorFile is where the floor's lines are. It is made when it is first asked for.
func (b bench) floorFile() (string, error) {
	path := filepath.Join(b.dir, "floor.log")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, writeLines(path, b.lines, jsonLine)
}

// floor gives the CPU time that the floor takes for a million lines now.
func (b bench) floor(ctx context.Context) (time.Duration, error) {
	path, err := b.floorFile()
	if err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	recv, err := newReceiver(int64(b.lines))
	if err != nil {
		return 0, err
	}
	defer recv.close()
	cmd := exec.Command(self, floorCommand, path, "http://"+recv.address+floorPath)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	f, err := start(ctx, cmd, 1)
	if err != nil {
		return 0, err
	}
	if err := <-f.ended; err != nil {
		return 0, fmt.Errorf("the floor: %w\n%s", err, f.out.Bytes())
	}
	if n := recv.lines.Load(); n != int64(b.lines) {
		return 0, fmt.Errorf("the floor: %d lines came, want %d", n, b.lines)
	}
	state := f.cmd.ProcessState
	return perMillion(state.UserTime()+state.SystemTime(), b.lines), nil
}

func perMillion(cpu time.Duration, lines int) time.Duration {
	return time.Duration(float64(cpu) / float64(lines) * 1e6)
}
