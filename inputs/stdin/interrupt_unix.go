//go:build unix

package stdin

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// interruptible returns a reader whose Read returns io.EOF soon after ctx ends, even if nothing
// ever comes, and a function that releases it.
//
// A read deadline would need standard input to be non-blocking, which would change the open
// terminal or pipe for every process that shares it. Instead, poll(2) waits for input or for a byte
// in a pipe of its own, and Read is called only when it will not block.
func interruptible(ctx context.Context, r io.Reader) (io.Reader, func(), error) {
	file, ok := r.(*os.File)
	if !ok {
		return r, func() {}, nil
	}
	wake, waker, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	closeWaker := sync.OnceFunc(func() { waker.Close() })
	stop := context.AfterFunc(ctx, closeWaker)
	p := &pollReader{file: file, wake: wake}
	return p, func() {
		stop()
		closeWaker()
		wake.Close()
	}, nil
}

// A pollReader reads file until the other end of wake is closed.
type pollReader struct{ file, wake *os.File }

func (p *pollReader) Read(buf []byte) (int, error) {
	fds := []unix.PollFd{
		{Fd: int32(p.file.Fd()), Events: unix.POLLIN},
		{Fd: int32(p.wake.Fd()), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, os.NewSyscallError("poll", err)
		case fds[1].Revents != 0:
			return 0, io.EOF
		}
		return p.file.Read(buf)
	}
}
