package disktest

import (
	"bytes"
	"errors"
	"io"
	"syscall"
)

// An inode has the present content, and the one that is on disk.
type inode struct {
	now, stored []byte
	lost        []byte // by byte of now, 1: a Sync failed, and it was not written again
	low         int    // the shortest it was since the last Sync
}

// write is a WriteAt for which there is room.
func (n *inode) write(p []byte, at int) {
	n.grow(at + len(p))
	copy(n.now[at:], p)
	clear(n.lost[at : at+len(p)])
}

func (n *inode) grow(size int) {
	if more := size - len(n.now); more > 0 {
		n.now = append(n.now, make([]byte, more)...)
		n.lost = append(n.lost, make([]byte, more)...)
	}
}

func (n *inode) truncate(size int) {
	n.grow(size)
	n.now, n.lost = n.now[:size], n.lost[:size]
	n.low = min(n.low, size)
}

func (n *inode) sync() {
	was := n.stored
	n.stored, n.low = bytes.Clone(n.now), len(n.now)
	if bytes.IndexByte(n.lost, 1) < 0 {
		return
	}
	for i, lost := range n.lost {
		if lost == 1 {
			n.stored[i] = 0
			copy(n.stored[i:i+1], was[min(i, len(was)):])
		}
	}
}

// lose marks all that is not on disk, so that only writing it again helps.
func (n *inode) lose() {
	for i := range n.now {
		if i >= len(n.stored) || n.stored[i] != n.now[i] {
			n.lost[i] = 1
		}
	}
}

// resize changes the size of a file, within the room there is.
func (d *Disk) resize(n *inode, size int) error {
	more := size - len(n.now)
	if d.room >= 0 && int64(more) > d.room {
		return syscall.ENOSPC
	}
	d.giveBack(-more)
	n.truncate(size)
	return nil
}

// file implements disk.File.
type file struct {
	d    *Disk
	name string
	node *inode
}

func (f *file) Name() string { return f.name }
func (f *file) Close() error { return nil }

func (f *file) ReadAt(p []byte, at int64) (n int, err error) {
	end := false
	err = f.d.do(Read, f.name, func() error {
		if at < int64(len(f.node.now)) {
			n = copy(p, f.node.now[at:])
		}
		end = n < len(p)
		return nil
	})
	if err == nil && end {
		err = io.EOF
	}
	return n, err
}

func (f *file) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.d.do(Write, f.name, func() error {
		n, err = f.write(p, int(at))
		return err
	})
	var short *Short
	if errors.As(err, &short) {
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		n, _ = f.write(p[:min(short.Bytes, len(p))], int(at))
	}
	return n, err
}

// write writes as much as there is room for.
func (f *file) write(p []byte, at int) (int, error) {
	n := len(p)
	if more := at + n - len(f.node.now); more > 0 && f.d.room >= 0 {
		if over := more - int(f.d.room); over > 0 {
			n = max(0, n-over)
		}
		f.d.room -= int64(max(0, at+n-len(f.node.now)))
	}
	f.node.write(p[:n], at)
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *file) Size() (size int64, err error) {
	err = f.d.do(Size, f.name, func() error {
		size = int64(len(f.node.now))
		return nil
	})
	return size, err
}

func (f *file) Truncate(size int64) error {
	return f.d.do(Truncate, f.name, func() error { return f.d.resize(f.node, int(size)) })
}

func (f *file) Sync() error {
	err := f.d.do(Sync, f.name, func() error {
		f.node.sync()
		return nil
	})
	if err != nil {
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		if !f.d.stopped {
			f.node.lose()
		}
	}
	return err
}
