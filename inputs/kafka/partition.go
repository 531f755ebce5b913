package kafka

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// A partition is one that is being read. Its goroutine hands its records on, in their order.
type partition struct {
	in     *input
	at     place
	src    *event.Source // its carrier
	raw    *event.Source // of records that no Longshore has sent
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	wake   chan struct{}
	// announces says that a commit must say that something may be sent before anything is.
	announces bool

	// For its goroutine alone:
	next    uint64 // offset; what is before it was handed on
	origins origins

	mu       sync.Mutex
	queue    [][]*kgo.Record
	paused   bool
	done     pipeline.Cursor // see input.Commit
	sent     uint64
	saved    uint64        // what the group has
	caughtUp chan struct{} // closed when all that was sent is done; nil while nobody waits
}

func newPartition(in *input, at place) *partition {
	p := &partition{in: in, at: at, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(in.ctx)
	return p
}

// begin sets where it goes on.
func (p *partition) begin(src *event.Source, from pipeline.Cursor, s standing) {
	p.src, p.next, p.sent = src, from.Pos, from.Pos
	p.done = pipeline.Cursor{Pos: from.Pos, State: s.note.state}
	p.saved = uint64(max(0, s.committed))
	p.raw = p.in.feed.Describe(p.in.places.hash(p.at), p.at.String(), []event.Label{
		{Name: "kafka.topic", Value: p.at.topic}, {Name: event.LabelService, Value: p.at.topic},
	})
	p.origins = origins{partition: p, known: map[string]*event.Source{}}
	if lost := s.start - int64(from.Pos); s.committed >= 0 && lost > 0 {
		p.in.metrics.lost.Add(float64(lost))
		p.in.log.Error("records were removed before they were read, as the topic keeps them for too short a time",
			"partition", p.at.String(), "from", from.Pos, "to", s.start)
	}
}

// add takes what was fetched. It does not block: the partition is paused until that is handed on.
func (p *partition) add(f *kgo.FetchPartition) {
	p.in.metrics.lag.WithLabelValues(p.at.topic, strconv.Itoa(int(p.at.partition))).Set(lagOf(f))
	if len(f.Records) == 0 {
		return
	}
	p.mu.Lock()
	p.queue = append(p.queue, f.Records)
	pauses := !p.paused
	p.paused = true
	p.mu.Unlock()
	if pauses {
		p.in.client.PauseFetchPartitions(map[string][]int32{p.at.topic: {p.at.partition}})
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func lagOf(f *kgo.FetchPartition) float64 {
	if n := len(f.Records); n > 0 {
		return float64(max(0, f.LastStableOffset-f.Records[n-1].Offset-1))
	}
	return 0
}

// take returns what is next, or nil.
func (p *partition) take() []*kgo.Record {
	p.mu.Lock()
	if len(p.queue) > 0 {
		defer p.mu.Unlock()
		records := p.queue[0]
		p.queue = p.queue[1:]
		return records
	}
	resumes := p.paused
	p.paused = false
	p.mu.Unlock()
	if resumes {
		p.in.client.ResumeFetchPartitions(map[string][]int32{p.at.topic: {p.at.partition}})
	}
	return nil
}

// run hands records on until the partition is stopped.
func (p *partition) run() {
	defer close(p.ended)
	for {
		records := p.take()
		if records == nil {
			select {
			case <-p.wake:
				continue
			case <-p.ctx.Done():
				return
			}
		}
		if !p.announce() || !p.handOn(records) {
			return
		}
	}
}

// announce commits that something may be sent from now on, where the group does not know. It
// returns false if the partition was stopped.
func (p *partition) announce() bool {
	for pause := 100 * time.Millisecond; p.announces; pause = min(2*pause, commitTimeout) {
		err := p.in.commit([]*partition{p}, false)
		if err == nil {
			p.announces = false
			break
		}
		if backoff.Sleep(p.ctx, pause, nil) != nil {
			return false
		}
	}
	return p.ctx.Err() == nil
}

const (
	maxBatch        = 128 << 10 // bytes of a batch, at about the most
	maxBatchRecords = 1024
)

// handOn hands records on, in batches of one origin each. It returns false if it was stopped.
func (p *partition) handOn(records []*kgo.Record) bool {
	var b *event.Batch
	for _, r := range records {
		if uint64(r.Offset) < p.next {
			continue
		}
		src, pos, whole := p.origins.of(r)
		if b != nil && (b.Source != src || b.TimesUnique != whole || len(b.Arena) > maxBatch ||
			len(b.Records) >= maxBatchRecords) {
			b.MorePending = true
			if !p.send(b) {
				return false
			}
			b = nil
		}
		if b == nil {
			b = p.in.feed.Batch(p.src)
			b.Source, b.Carrier, b.TimesUnique, b.From = src, p.src, whole, p.next
		}
		if !r.Attrs.IsControl() && r.Value != nil {
			appendRecord(b, r, pos, whole)
		}
		p.next = uint64(r.Offset) + 1
		b.To = p.next
	}
	return b == nil || p.send(b)
}

// appendRecord appends a record as it was at its origin, or as a line.
func appendRecord(b *event.Batch, r *kgo.Record, pos uint64, whole bool) {
	if whole && hop.AppendRecord(b, uint64(r.Offset), r.Value) == nil {
		b.SetPosition(pos)
		return
	}
	b.Add(uint64(r.Offset), r.Timestamp.UnixNano(), b.Put(r.Value))
	b.SetPosition(pos)
}

func (p *partition) send(b *event.Batch) bool {
	b.Cursor = append(b.Cursor[:0], 1) // the position says it all
	from := b.From
	p.noteSent(b.To)
	if p.in.feed.Send(p.ctx, b) != nil {
		p.noteSent(from) // it was not taken
		return false
	}
	return true
}

func (p *partition) noteSent(to uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = to
}

// stop ends the partition's goroutine.
func (p *partition) stop() {
	p.cancel()
	<-p.ended
}

// wait waits until all that was sent is done, or ctx ends.
func (p *partition) wait(ctx context.Context) {
	p.mu.Lock()
	if p.done.Pos >= p.sent {
		p.mu.Unlock()
		return
	}
	done := make(chan struct{})
	p.caughtUp = done
	p.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// committed notes how far the partition is done.
func (p *partition) committed(at pipeline.Cursor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Pos <= p.done.Pos {
		return
	}
	p.done = at
	if p.done.Pos >= p.sent && p.caughtUp != nil {
		close(p.caughtUp)
		p.caughtUp = nil
	}
}

// hasNews reports whether there is something to commit.
func (p *partition) hasNews() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done.Pos > p.saved
}

// toCommit returns what is to be committed. Once the partition is stopped, nothing more is sent.
func (p *partition) toCommit() (pos uint64, n note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stopped := false
	select {
	case <-p.ended:
		stopped = true
	default:
	}
	return p.done.Pos, note{clean: stopped && p.done.Pos >= p.sent, state: p.done.State}
}

func (p *partition) wasCommitted(pos uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = max(p.saved, pos)
}

// origins knows the sources that records of a partition come from.
type origins struct {
	partition *partition
	known     map[string]*event.Source

	// Of the last record.
	id, labels []byte
	src        *event.Source
	whole      bool
}

// maxOrigins is how many are kept.
const maxOrigins = 10_000

// of returns the source of a record, and its position there. whole says that its value is a record
// as event.AppendRecord has written it.
func (o *origins) of(r *kgo.Record) (src *event.Source, pos uint64, whole bool) {
	var id, position, labels []byte
	for i := range r.Headers {
		switch h := &r.Headers[i]; h.Key {
		case hop.SourceHeader:
			id = h.Value
		case hop.PositionHeader:
			position = h.Value
		case hop.LabelsHeader:
			labels = h.Value
		}
	}
	raw := o.partition.raw
	if id == nil || position == nil {
		return raw, uint64(r.Offset), false
	}
	pos, err := hop.ParsePosition(position)
	if err != nil {
		return raw, uint64(r.Offset), false
	}
	if o.src != nil && bytes.Equal(id, o.id) && bytes.Equal(labels, o.labels) {
		return o.src, pos, o.whole
	}
	src, whole = o.find(id, labels)
	if src == nil {
		return raw, uint64(r.Offset), false
	}
	o.id, o.labels, o.src, o.whole = append(o.id[:0], id...), append(o.labels[:0], labels...), src, whole
	return src, pos, whole
}

// find returns the source that headers describe; nil where they do not.
func (o *origins) find(id, labels []byte) (src *event.Source, whole bool) {
	key := string(id) + string(labels)
	if src := o.known[key]; src != nil {
		return src, labels != nil
	}
	source, err := hop.ParseSource(id)
	if err != nil {
		return nil, false
	}
	of := o.partition.raw.Labels
	if labels != nil {
		if of, err = hop.ParseLabels(labels); err != nil {
			return nil, false
		}
	}
	if len(o.known) >= maxOrigins {
		clear(o.known)
	}
	src = o.partition.in.feed.Describe(source, source.String(), of)
	o.known[key] = src
	return src, labels != nil
}
