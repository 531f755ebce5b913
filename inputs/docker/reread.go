package docker

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

var _ pipeline.Rereader = (*Input)(nil)

// CanReread implements pipeline.Rereader. What is read through the engine's API is gone as soon as
// the container is removed, or the engine rotates its log.
func (in *Input) CanReread(id event.SourceID) bool {
	b := in.sources.Of(id)
	return b != nil && b.history.rereadable.Load()
}

// Reread implements pipeline.Rereader.
func (in *Input) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	b := in.sources.Of(from.ID)
	if b == nil {
		return errNotFollowed
	}
	h, stream := b.history, streamOf(from.Key)
	e, err := h.entryFor(stream, from.Cursor.Pos)
	if err != nil {
		return err
	}
	src, err := feed.Open(from.ID, from.Key, nil)
	if err != nil {
		return err
	}
	var batches atomic.Int64
	r := &rereading{history: h, blocks: &in.blocks}
	r.batcher = batcher{
		ctx: ctx, feed: feed, log: slog.New(slog.DiscardHandler), metrics: in.rereadMetrics,
		openBatches: &batches, identity: &identity{}, again: h, panicked: in.panicked,
	}
	for s := range h.streams {
		st := &streamState{stream: logformat.Stream(s), key: from.Key}
		st.line.max = h.maxLine
		r.batcher.streams = append(r.batcher.streams, st)
	}
	r.stream = r.batcher.streams[stream]
	r.stream.id, r.stream.src, r.stream.sentTo = from.ID, src, from.Cursor.Pos
	r.batcher.only = r.stream
	r.entries = logformat.NewEntries(&r.batcher, func() {})
	return r.readFrom(e)
}

// streamOf returns the stream of a source's key.
func streamOf(key string) logformat.Stream {
	if strings.HasSuffix(key, "/"+logformat.Stderr.String()) {
		return logformat.Stderr
	}
	return logformat.Stdout
}

// A rereading reads one stream of a container once more, from the files that its history holds.
type rereading struct {
	history *history
	blocks  *blockPool
	batcher batcher
	stream  *streamState
	entries logformat.Entries
}

// readFrom reads from an entry to the end of the log.
func (r *rereading) readFrom(e entry) error {
	for {
		r.begin(e)
		last, dropped, err := r.readFiles(e)
		if err != nil {
			return err
		}
		next, more := r.history.laterEntry(r.stream.stream, r.stream.at.next, last)
		if !more && !dropped {
			return r.end()
		}
		if err := r.send(); err != nil {
			return err
		}
		if dropped {
			next, err = r.history.entryFor(r.stream.stream, r.stream.sentTo)
		}
		if err != nil {
			return err
		}
		e = next
	}
}

// begin takes up the state of an entry. What lies below where the stream was sent to is not sent
// again.
func (r *rereading) begin(e entry) {
	st := r.stream
	st.sentTo = max(st.sentTo, st.at.next)
	st.at, st.search, st.line.open = e.at[st.stream], search{}, false
	if e.searching[st.stream] {
		st.search.start(st.at)
	}
}

// readFiles reads files that continue each other, and returns the number of the last one. One may
// be dropped meanwhile, since there was nothing of the stream in it, or as it was given up.
func (r *rereading) readFiles(e entry) (last uint64, dropped bool, err error) {
	number, off := e.file, e.off
	for {
		f, end := r.history.take(number)
		if f == nil {
			return number, true, nil
		}
		ended, err := r.readFile(f, number, off, end)
		f.close()
		if err != nil || !ended {
			return number, false, err
		}
		number, off = number+1, 0
	}
}

// readFile reads a file to its end, or to where it was closed, and reports whether another one
// continues it.
func (r *rereading) readFile(f *logFile, number uint64, off, end int64) (ended bool, err error) {
	own, err := f.again(off)
	if err != nil {
		return false, err
	}
	t := &tail{file: own, off: off, end: end, blocks: r.blocks, corrupt: func() {}}
	for {
		ended = r.history.continues(number) // and so the file does not grow any more
		read, err := t.readToEnd(r.batcher.ctx, r.entries.Decode)
		if err != nil || ended || read == 0 {
			return ended, err
		}
	}
}

// end sends what there is at the end of the log. A line that is not complete is one only where the
// follower has ended it.
func (r *rereading) end() error {
	st := r.stream
	if st.line.open && !st.search.active {
		at := st.at
		at.next = r.history.raisedFrom(st.stream, at.next)
		if at.assign(st.line.ts) == r.history.endedAt(st.stream) {
			if err := r.batcher.endLine(st, false); err != nil {
				return err
			}
		}
	}
	st.at.next = r.history.raisedFrom(st.stream, st.at.next)
	return r.send()
}

func (r *rereading) send() error {
	st := r.stream
	switch {
	case st.batch != nil:
		return r.batcher.send(st)
	case st.at.next > st.sentTo:
		return r.batcher.sendUpTo(st, r.batcher.feed.Batch(st.src), st.at.next)
	}
	return nil
}
