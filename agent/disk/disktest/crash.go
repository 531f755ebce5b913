package disktest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// What Crash does with what was not synced.
const (
	Dropped = 0 // none of it is on disk
	Kept    = 1 // all of it is
)

const sector = 512

// Crash returns the disk as it may be after a power loss now. What was synced is there. Of the
// rest, seed decides reproducibly: Dropped, Kept, or, for all other seeds, for every file and
// folder: all, nothing, a prefix that ends at any byte or operation, or any subset of sectors
// (missing ones read as before, or as zeros) or operations.
func (d *Disk) Crash(seed uint64) *Disk {
	return d.after(&loss{seed: seed, rnd: rand.New(rand.NewPCG(seed, 0))})
}

// Kill returns the disk as the next process finds it when this one is killed: all is there, and
// what was not synced still is not.
func (d *Disk) Kill() *Disk { return d.after(nil) }

func (d *Disk) after(l *loss) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := copier{loss: l, files: map[*inode]*inode{}}
	next := New()
	next.root = c.folder(d.root)
	next.room = d.room
	return next
}

// A copier copies a tree, with a loss where there is one.
type copier struct {
	loss  *loss
	files map[*inode]*inode
}

func (c *copier) folder(f *folder) *folder {
	if c.loss != nil {
		left := c.entries(c.loss.names(f))
		return &folder{now: left, stored: maps.Clone(left)}
	}
	next := &folder{now: c.entries(f.now), stored: c.entries(f.stored)}
	for _, ch := range f.changes {
		next.changes = append(next.changes, c.entries(ch))
	}
	return next
}

// entries copies nodes in the order of their names, which makes a seed's choices reproducible.
func (c *copier) entries(from map[string]any) map[string]any {
	to := make(map[string]any, len(from))
	for _, name := range slices.Sorted(maps.Keys(from)) {
		switch node := from[name].(type) {
		case *folder:
			to[name] = c.folder(node)
		case *inode:
			to[name] = c.inode(node)
		default:
			to[name] = nil
		}
	}
	return to
}

func (c *copier) inode(n *inode) *inode {
	if c.files[n] == nil {
		c.files[n] = c.copyInode(n)
	}
	return c.files[n]
}

func (c *copier) copyInode(n *inode) *inode {
	if c.loss == nil {
		return &inode{slices.Clone(n.now), slices.Clone(n.stored), slices.Clone(n.lost), n.low}
	}
	left := c.loss.content(n)
	return &inode{left, slices.Clone(left), make([]byte, len(left)), len(left)}
}

// A loss decides what remains.
type loss struct {
	seed uint64
	rnd  *rand.Rand
}

// Ways to lose what was not synced.
const (
	nothingKept = iota
	allKept
	prefixKept
	someKept
)

func (l *loss) way() int {
	switch l.seed {
	case Dropped:
		return nothingKept
	case Kept:
		return allKept
	}
	return l.rnd.IntN(someKept + 1)
}

// names returns the entries that remain of a folder.
func (l *loss) names(f *folder) map[string]any {
	left := maps.Clone(f.stored)
	way := l.way()
	kept := l.rnd.IntN(len(f.changes) + 1)
	for i, ch := range f.changes {
		if way == allKept || way == prefixKept && i < kept || way == someKept && l.rnd.IntN(2) == 0 {
			ch.apply(left)
		}
	}
	return left
}

// content returns what remains of a file.
func (l *loss) content(n *inode) []byte {
	switch l.way() {
	case nothingKept:
		return slices.Clone(n.stored)
	case allKept:
		return slices.Clone(n.now)
	case prefixKept:
		return l.prefix(n)
	}
	return l.sectors(n)
}

// prefix keeps what was written up to some byte; what was appended ends there.
func (l *loss) prefix(n *inode) []byte {
	end := l.rnd.IntN(len(n.now) + 1)
	if len(n.now) > len(n.stored) {
		end = len(n.stored) + l.rnd.IntN(len(n.now)-len(n.stored)+1)
	}
	left := make([]byte, max(end, min(len(n.stored), n.low)))
	copy(left, n.stored)
	copy(left[:end], n.now)
	return left
}

// sectors keeps some of the sectors, and any size that the file may have had.
func (l *loss) sectors(n *inode) []byte {
	low, high := min(n.low, len(n.stored)), max(len(n.now), len(n.stored))
	sizes := []int{len(n.now), len(n.stored), low + l.rnd.IntN(high-low+1)}
	left := make([]byte, sizes[l.rnd.IntN(len(sizes))])
	copy(left, n.stored)
	for at := 0; at < min(len(left), len(n.now)); at += sector {
		if l.rnd.IntN(2) == 0 {
			copy(left[at:min(at+sector, len(left))], n.now[at:])
		}
	}
	return left
}

// EveryCrash calls run again and again on an empty disk whose power fails at its first operation,
// its second, and so on until it completes. After each, check gets what run returned and a disk to
// start again on: as a kill leaves it, and as power losses of seeds 0 to seeds-1 do.
func EveryCrash[T any](t *testing.T, seeds uint64, run func(d *Disk) T, check func(t *testing.T, d *Disk, done T)) {
	t.Helper()
	for n := 1; ; n++ {
		d := New()
		d.StopAt(n)
		done := run(d)
		check(t, d.Kill(), done)
		for seed := range seeds {
			check(t, d.Crash(seed), done)
			if t.Failed() {
				t.Fatalf("power loss at operation %d, seed %d", n, seed)
			}
		}
		if !d.Stopped() {
			return
		}
	}
}
