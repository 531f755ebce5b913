package docker

import (
	"context"
	"time"
)

const (
	// reviewEvery is how often it is looked whether files must still be held open while their
	// container is not read.
	reviewEvery = time.Second
	// awaitEvery is how often it is looked whether outputs have all of a removed container.
	awaitEvery = 50 * time.Millisecond
	// heldFor is how long a deleted file of which nothing is read is held open in any case.
	heldFor = 10 * time.Second
)

// laggards says how far the outputs are that lag, and since when.
type laggards struct {
	from  [2]uint64
	since time.Time
	told  [2]uint64 // from where it was told that files are given up
}

// openHistory notes that the log is opened.
func (f *follower) openHistory(listed []*logFile, t *tail) {
	f.batcher.mu.Lock()
	f.history.open(listed, t.file, t.off, &f.batcher)
	f.batcher.mu.Unlock()
	f.review()
}

// leaveFiles notes that the log is read by the API.
func (f *follower) leaveFiles() {
	if !f.history.isEmpty() {
		f.review()
	}
}

// mark is called for each block that was read.
func (f *follower) mark() {
	t := f.tail
	if t.skipping || !f.history.markDue(t.file, t.off) {
		return
	}
	if at, ok := f.batcher.betweenLines(); ok {
		f.history.mark(t.file, t.off, at)
		f.review()
	}
}

// betweenLines returns the positions of the streams. It reports false while one is in a line, or
// searched.
func (b *batcher) betweenLines() (at [2]position, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, st := range b.streams {
		if st.line.open || st.search.active {
			return at, false
		}
		at[i] = st.at
	}
	return at, true
}

// review tells the outputs that lag what they must read soon, and closes the files that none reads
// again. It reports whether something may have to be read again by now.
func (f *follower) review() (needed bool) {
	reading := f.tail != nil
	if !reading {
		f.history.rereadable.Store(false) // before it is asked whether something was let go
	}
	from, needed := f.from(f.history.leavingTo())
	switch covered := f.history.release(from); {
	case reading:
		f.history.rereadable.Store(covered)
	case !needed:
		f.history.clear()
	}
	if from != f.lagging.from || !f.history.hasGone() {
		f.lagging.from, f.lagging.since = from, time.Now()
	}
	if time.Since(f.lagging.since) >= heldFor && f.in.held.Load() > f.batcher.feed.SpoolRoom() {
		f.giveUp(from)
	}
	return needed
}

// giveUp closes files that were not read again, and tells so once for a place where that stands.
func (f *follower) giveUp(from [2]uint64) {
	f.history.giveUp()
	if from != f.lagging.told {
		f.lagging.told = from
		f.in.log.Warn("log files of a container that the engine has deleted are closed, although an output that "+
			"lags has not read them: the spool has no room for them", "container", f.batcher.identity.name)
	}
}

// from returns from where each stream may be read again, and whether that is before what was sent.
func (f *follower) from(leavingTo [2]uint64) (from [2]uint64, needed bool) {
	b := &f.batcher
	b.mu.Lock()
	defer b.mu.Unlock()
	from = [2]uint64{noPosition, noPosition}
	for i, st := range b.streams {
		if st.src == nil {
			continue
		}
		var behind bool
		from[i], behind = b.feed.Behind(st.src, leavingTo[i])
		needed = needed || behind || from[i] < st.sentTo
	}
	return from, needed
}

// await waits until the container may have changed.
func (f *follower) await(ctx context.Context) {
	for ctx.Err() == nil {
		var again <-chan time.Time
		if !f.history.isEmpty() {
			again = time.After(reviewEvery)
		}
		select {
		case <-f.woken:
			return
		case <-again:
			f.review()
		case <-ctx.Done():
		}
	}
}

// awaitLagging waits until the outputs have all of a container that was removed.
func (f *follower) awaitLagging(ctx context.Context) {
	f.history.leave()
	for f.review() && !f.history.isEmpty() {
		select {
		case <-time.After(awaitEvery):
		case <-ctx.Done():
			return
		}
	}
}
