package spool

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/longshore/longshore/agent/disk"
)

// Append appends a record of at least one byte and returns when it is on disk; concurrent calls
// share an fsync. The bytes are the caller's again afterwards. After an error the record is not in
// the queue, but one whose fsync failed may be found there after a restart. A later call may
// succeed: ErrFull passes when Room fires, a full disk when space is freed.
func (s *Spool) Append(record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	size := int64(frameHead + len(record))
	if len(record) > maxRecord || size+int64(headerSize) > s.o.MaxSize {
		return ErrTooLarge
	}
	if len(record) == 0 {
		return fmt.Errorf("appending to the spool: %w: an empty record", errFrame)
	}
	s.appending++
	defer s.appended()
	if err := s.reserve(size); err != nil {
		return err
	}
	g, err := s.write(record)
	if err != nil {
		return err
	}
	return s.commit(g)
}

func (s *Spool) appended() {
	s.appending--
	s.wake.Broadcast()
}

// reserve makes sure that the active segment has room for a frame.
func (s *Spool) reserve(size int64) error {
	for s.active != nil && s.overflows(size) {
		if s.synced() {
			s.seal()
			continue
		}
		s.syncAll()
	}
	if err := s.fit(size); err != nil {
		return err
	}
	if s.active != nil {
		return nil
	}
	return s.create(size)
}

func (s *Spool) overflows(size int64) bool {
	g := s.active
	return g.unusable || g.written > int64(headerSize) && g.written+size > s.o.SegmentSize
}

// fit enforces MaxSize.
func (s *Spool) fit(size int64) error {
	if s.active == nil {
		size += int64(headerSize)
	}
	if s.bytes+size > s.o.MaxSize {
		return ErrFull
	}
	return nil
}

// create begins a segment. Its header and its name are on disk before the first record is written.
func (s *Spool) create(size int64) error {
	if err := s.checkFree(size); err != nil {
		return err
	}
	number := s.number
	s.number++
	header := appendHeader(nil, number, nonce())
	g := &segment{number: number, path: pathOf(s.dir, number, suffixSegment), out: map[int64]struct{}{}}
	f, err := disk.Replace(s.fs, g.path, header)
	if err != nil {
		return fmt.Errorf("beginning a spool segment: %w", err)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		f.Close()
		s.fs.Remove(g.path)
		return fmt.Errorf("beginning a spool segment: %w", err)
	}
	g.file, g.seed = f, seedOf(header)
	g.written, g.good, g.next = int64(headerSize), int64(headerSize), int64(headerSize)
	s.segments = append(s.segments, g)
	s.active = g
	s.bytes += g.written
	return nil
}

func (s *Spool) checkFree(size int64) error {
	if s.o.KeepFree <= 0 {
		return nil
	}
	free, err := s.fs.Free(s.dir)
	if err != nil {
		return fmt.Errorf("checking the free space for the spool: %w", err)
	}
	if free < s.o.KeepFree+max(size, s.o.SegmentSize) {
		return fmt.Errorf("the spool keeps %d bytes free on the disk of %s: %w", s.o.KeepFree, s.dir, syscall.ENOSPC)
	}
	return nil
}

func nonce() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// write writes a frame to the active segment and returns its group. After an error the segment ends
// where it did.
func (s *Spool) write(record []byte) (*group, error) {
	g := s.active
	var head [frameHead]byte
	_, err := g.file.WriteAt(appendHead(head[:0], g.seed, record), g.written)
	if err == nil {
		_, err = g.file.WriteAt(record, g.written+frameHead)
	}
	if err != nil {
		g.unusable = g.file.Truncate(g.written) != nil
		return nil, fmt.Errorf("writing to the spool: %w", err)
	}
	size := int64(frameHead + len(record))
	g.written += size
	s.bytes += size
	s.group.records++
	return s.group, nil
}

// commit returns when a group is on disk. The first of those who wait does the work for all.
func (s *Spool) commit(g *group) error {
	for !g.done {
		if s.syncing {
			s.wake.Wait()
			continue
		}
		s.sync()
	}
	return g.err
}

// sync writes the current group to disk, while others write the next one.
func (s *Spool) sync() {
	seg, g, upTo := s.active, s.group, s.active.written
	s.group, s.syncing = &group{}, true
	s.mu.Unlock()
	err := seg.file.Sync()
	s.mu.Lock()
	s.syncing = false
	if err != nil {
		s.syncFailed(g, fmt.Errorf("writing to the spool: %w", err))
	} else {
		seg.good, seg.left = upTo, seg.left+g.records
		g.done = true
		notify(s.ready)
	}
	s.wake.Broadcast()
}

// syncFailed ends the active segment where it is surely on disk. All that was written after that is
// discarded: no later fsync of this file would tell whether it is there.
func (s *Spool) syncFailed(g *group, err error) {
	for _, g := range []*group{g, s.group} {
		g.done, g.err = true, err
	}
	s.group = &group{}
	seg := s.active
	s.bytes -= seg.written - seg.good
	seg.written = seg.good
	if seg.file.Truncate(seg.good) == nil {
		seg.file.Sync()
	}
	s.seal()
}

// synced reports whether all that was written is on disk.
func (s *Spool) synced() bool { return !s.syncing && s.group.records == 0 }

func (s *Spool) syncAll() {
	if s.syncing {
		s.wake.Wait()
		return
	}
	s.sync()
}

// seal ends the active segment. There may be thousands that nobody reads yet, so none of them is
// open.
func (s *Spool) seal() {
	g := s.active
	s.active = nil
	g.closeFile()
	s.tidy(g)
}
