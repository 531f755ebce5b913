package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/longshore/longshore/pipeline"
)

const (
	// maxFound bounds the records that are remembered of what was read back: 64 MiB or so.
	maxFound = 1 << 20
	// foundAge is how long after the last question they are.
	foundAge = time.Minute
)

// A rereading is what the partitions hold of late, as far as they were read back.
type rereading struct {
	mu         sync.Mutex // held while reading: whoever else asks wants the same
	partitions map[partitionKey]*readBack
	found      int
	asked      time.Time
	kept       atomic.Bool // something is remembered
}

// A readBack is what a partition holds from a time on.
type readBack struct {
	from  time.Time
	next  int64 // offset of what was not read yet
	found map[identity]struct{}
}

// Stored implements pipeline.Reconciler. It reads the partitions of a body's records from shortly
// before they can have been sent, up to where they end once nothing of ours is on its way any more.
func (o *Output) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	ids := make([]identity, len(body.Items))
	named := ids[:0:0]
	for i := range body.Items {
		if it, ok := readItem(body.Item(i)); ok {
			if id, ok := it.identity(); ok {
				ids[i] = id
				named = append(named, id)
			}
		}
	}
	found, err := o.lookUp(ctx, body, named)
	if err != nil {
		return err
	}
	for i, id := range ids {
		_, stored[i] = found[id]
	}
	o.notes.settled(named)
	return nil
}

func (o *Output) lookUp(ctx context.Context, body *pipeline.Body, ids []identity) (map[identity]struct{}, error) {
	from, err := o.notes.from(ids)
	if err != nil {
		return nil, &pipeline.SendError{Outcome: pipeline.Retry, Reason: err.Error(), Err: err}
	}
	if err := o.producers.fence(ctx); err != nil {
		return nil, sendError(o.Location(), err, true)
	}
	keys, err := o.partitionsOf(ctx, body)
	if err != nil {
		return nil, err
	}
	o.reading.mu.Lock()
	defer o.reading.mu.Unlock()
	o.reading.prepare(keys, from)
	asked := map[identity]struct{}{}
	for _, id := range ids {
		asked[id] = struct{}{}
	}
	found := map[identity]struct{}{}
	if err := o.readOn(ctx, keys, from, asked, found); err != nil {
		return nil, sendError(o.Location(), fmt.Errorf("reading back what is stored: %w", err), true)
	}
	return found, nil
}

// prepare forgets what is of no use for a question from a time on.
func (r *rereading) prepare(keys []partitionKey, from time.Time) {
	if r.partitions == nil || time.Since(r.asked) > foundAge || r.found > maxFound {
		r.partitions, r.found = map[partitionKey]*readBack{}, 0
	}
	r.asked = time.Now()
	r.kept.Store(true)
	for _, key := range keys {
		if p := r.partitions[key]; p != nil && p.from.After(from) {
			r.found -= len(p.found)
			delete(r.partitions, key)
		}
	}
}

// release forgets what was read back, once nobody has asked for a while.
func (r *rereading) release() {
	if !r.kept.Load() || !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	if time.Since(r.asked) > foundAge {
		r.partitions, r.found = nil, 0
		r.kept.Store(false)
	}
}

// partitionsOf returns the partitions in which records of a body can be: with a key the one that it
// chooses, without one all of the topic.
func (o *Output) partitionsOf(ctx context.Context, body *pipeline.Body) ([]partitionKey, error) {
	topics, err := o.topics.of(ctx, body.Groups)
	if err != nil {
		return nil, sendError(o.Location(), err, true)
	}
	keys := map[partitionKey]struct{}{}
	for i := range body.Items {
		it, ok := readItem(body.Item(i))
		if !ok || int(body.Items[i].Group) >= len(topics) {
			continue
		}
		t := topics[body.Items[i].Group]
		if t.err != nil {
			if errors.Is(t.err, kerr.UnknownTopicOrPartition) {
				continue // it holds nothing
			}
			return nil, sendError("topic "+t.name, t.err, true)
		}
		if it.key != nil && !t.grown {
			keys[partitionKey{t.name, t.partitionOf(it.key)}] = struct{}{}
			continue
		}
		for p := range t.leaders {
			keys[partitionKey{t.name, int32(p)}] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(keys)), nil
}

// readOn reads the partitions up to their ends, and puts into found what is asked of what they
// hold.
func (o *Output) readOn(ctx context.Context, keys []partitionKey, from time.Time, asked, found map[identity]struct{},
) error {
	for _, key := range keys {
		if p := o.reading.partitions[key]; p != nil {
			for id := range asked {
				if _, is := p.found[id]; is {
					found[id] = struct{}{}
				}
			}
		}
	}
	ends, err := o.offsets(ctx, keys, -1)
	if err != nil {
		return err
	}
	var begin []partitionKey
	for _, key := range keys {
		if o.reading.partitions[key] == nil {
			begin = append(begin, key)
		}
	}
	starts, err := o.offsets(ctx, begin, from.UnixMilli())
	if err != nil {
		return err
	}
	at := map[string]map[int32]kgo.Offset{}
	open := map[partitionKey]int64{}
	for _, key := range keys {
		p := o.reading.partitions[key]
		if p == nil {
			p = &readBack{from: from, next: starts[key], found: map[identity]struct{}{}}
			if p.next < 0 { // nothing is as young
				p.next = ends[key]
			}
			o.reading.partitions[key] = p
		}
		if p.next >= ends[key] {
			continue
		}
		open[key] = ends[key]
		if at[key.topic] == nil {
			at[key.topic] = map[int32]kgo.Offset{}
		}
		at[key.topic][key.partition] = kgo.NewOffset().At(p.next)
	}
	if len(open) == 0 {
		return nil
	}
	return o.consume(ctx, at, open, asked, found)
}

// offsets asks for the offset of each partition from a time on, -1 where there is none; the time -1
// stands for the end.
func (o *Output) offsets(ctx context.Context, keys []partitionKey, at int64) (map[partitionKey]int64, error) {
	offsets := map[partitionKey]int64{}
	if len(keys) == 0 {
		return offsets, nil
	}
	req := kmsg.NewPtrListOffsetsRequest()
	for _, key := range keys {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = key.partition, at
		same := func(t kmsg.ListOffsetsRequestTopic) bool { return t.Topic == key.topic }
		i := slices.IndexFunc(req.Topics, same)
		if i < 0 {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = key.topic
			i, req.Topics = len(req.Topics), append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	answer, err := o.client.Request(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("topic %s, partition %d: %w", t.Topic, p.Partition, err)
			}
			offsets[partitionKey{t.Topic, p.Partition}] = p.Offset
		}
	}
	for _, key := range keys {
		if _, answered := offsets[key]; !answered {
			return nil, fmt.Errorf("topic %s, partition %d: no answer", key.topic, key.partition)
		}
	}
	return offsets, nil
}

// consume reads partitions until they are read up to the offsets in open. It waits for transactions
// of others that are open before those: what is committed after them is not seen until they end.
func (o *Output) consume(ctx context.Context, at map[string]map[int32]kgo.Offset, open map[partitionKey]int64,
	asked, found map[identity]struct{},
) error {
	reader, err := kgo.NewClient(append(o.config.connection(), kgo.ConsumePartitions(at), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(8<<20), kgo.FetchMaxPartitionBytes(1<<20), kgo.MaxConcurrentFetches(2))...)
	if err != nil {
		return err
	}
	defer reader.Close()
	for len(open) > 0 {
		fetches := reader.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("topic %s, partition %d: %w", failed.Topic, failed.Partition, failed.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			key := partitionKey{r.Topic, r.Partition}
			o.reading.note(key, r, asked, found)
			if r.Offset+1 >= open[key] {
				delete(open, key)
			}
		})
		o.metrics.reread.Add(float64(fetches.NumRecords()))
	}
	return nil
}

// note notes a record that was read.
func (r *rereading) note(key partitionKey, record *kgo.Record, asked, found map[identity]struct{}) {
	p := r.partitions[key]
	p.next = record.Offset + 1
	var id identity
	parts := 0
	for _, h := range record.Headers {
		parts += id.take(h.Key, h.Value)
	}
	if parts != 2 {
		return
	}
	if _, is := asked[id]; is {
		found[id] = struct{}{}
	}
	if _, known := p.found[id]; !known && r.found < maxFound {
		r.found++
		p.found[id] = struct{}{}
	} else if !known {
		r.found = maxFound + 1 // what is remembered is not all: the next question reads anew
	}
}
