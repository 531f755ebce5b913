package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// identities are what names a cluster and its topics for good.
type identities struct {
	cluster string
	topics  map[string]string // by name; one that is made again is another
}

// adopt opens partitions that were assigned, and returns where to read them from: not before what
// their group has committed, and not before what the ledger knows to be done.
func (in *input) adopt(
	ctx context.Context, offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	<-in.ready
	if err := in.identify(ctx, offsets); err != nil {
		return nil, err
	}
	found, err := in.lookUp(ctx, offsets)
	if err != nil {
		return nil, err
	}
	for topic, parts := range offsets {
		for number := range parts {
			at := place{topic, number}
			from, err := in.open(at, found[at])
			if err != nil {
				return nil, err
			}
			parts[number] = kgo.NewOffset().At(from)
		}
	}
	return offsets, nil
}

// A standing is what brokers know of a partition.
type standing struct {
	committed  int64 // -1: nothing was
	note       note
	start, end int64
}

// open opens a partition and returns the offset to read from.
func (in *input) open(at place, s standing) (from int64, err error) {
	p := newPartition(in, at)
	known := pipeline.Known{ID: in.sourceOf(at), Key: at.String()}
	uncertainTo := uint64(0)
	switch {
	case s.committed >= 0:
		known.Cursor = pipeline.Cursor{Pos: uint64(s.committed), State: s.note.state}
		if !s.note.clean {
			uncertainTo = uint64(max(0, s.end))
		}
	case in.config.Start == "latest":
		known.Cursor.Pos = uint64(max(0, s.end))
	}
	// Who sends has committed before that it does. So nobody has where there is no commit.
	p.announces = len(in.config.Partitions) == 0 && uncertainTo == 0
	src, cursor, err := in.feed.Adopt(known, uncertainTo, nil)
	if err != nil {
		return 0, fmt.Errorf("adopting %s: %w", at, err)
	}
	p.begin(src, cursor, s)
	in.mu.Lock()
	before := in.parts[at]
	in.parts[at], in.byID[src.ID] = p, p
	in.mu.Unlock()
	if before != nil {
		before.stop()
	}
	in.ended.Go(func() {
		defer in.env.Panicked.Contain()
		p.run()
	})
	return max(int64(cursor.Pos), s.start), nil
}

// sourceOf returns the ID of the source that a partition is for this input, wherever it runs.
func (in *input) sourceOf(at place) event.SourceID {
	group := "group " + in.config.Group
	if len(in.config.Partitions) > 0 {
		group = "no group"
	}
	return in.places.hash(at, in.env.Name, group)
}

// hash returns an ID for a partition and what is done with it.
func (i *identities) hash(at place, of ...string) event.SourceID {
	text := append([]string{"longshore kafka", i.cluster, i.topics[at.topic], at.String()}, of...)
	sum := sha256.Sum256([]byte(strings.Join(text, "\x00")))
	return event.SourceID(max(1, binary.BigEndian.Uint64(sum[:8])))
}

// identify learns what names the cluster and its topics.
func (in *input) identify(ctx context.Context, offsets map[string]map[int32]kgo.Offset) error {
	request := kmsg.NewPtrMetadataRequest()
	for topic := range offsets {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		request.Topics = append(request.Topics, t)
	}
	response, err := request.RequestWith(ctx, in.client)
	if err != nil {
		return fmt.Errorf("asking brokers about the topics: %w", err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if response.ClusterID != nil {
		in.places.cluster = *response.ClusterID
	}
	if in.places.topics == nil {
		in.places.topics = map[string]string{}
	}
	for _, t := range response.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("asking brokers about the topic %s: %w%s", *t.Topic, err, hint(err))
		}
		id := *t.Topic // of brokers before 2.8
		if t.TopicID != [16]byte{} {
			id = string(t.TopicID[:])
		}
		in.places.topics[*t.Topic] = id
	}
	return nil
}

// lookUp asks for what was committed of partitions, and where they begin and end.
func (in *input) lookUp(
	ctx context.Context, offsets map[string]map[int32]kgo.Offset,
) (map[place]standing, error) {
	starts, err := in.listOffsets(ctx, offsets, -2)
	if err != nil {
		return nil, err
	}
	ends, err := in.listOffsets(ctx, offsets, -1)
	if err != nil {
		return nil, err
	}
	found := map[place]standing{}
	for at, start := range starts {
		found[at] = standing{committed: -1, start: start, end: ends[at]}
	}
	if len(in.config.Partitions) > 0 {
		return found, nil
	}
	return found, in.fetchCommitted(ctx, offsets, found)
}

// listOffsets returns the offsets at a time: -2 for the beginning, -1 for the end, of what was
// decided and what was not.
func (in *input) listOffsets(
	ctx context.Context, offsets map[string]map[int32]kgo.Offset, at int64,
) (map[place]int64, error) {
	request := kmsg.NewPtrListOffsetsRequest()
	for topic, parts := range offsets {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for number := range parts {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = number, at
			t.Partitions = append(t.Partitions, p)
		}
		request.Topics = append(request.Topics, t)
	}
	found := map[place]int64{}
	var errs []error
	for _, shard := range in.client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			errs = append(errs, shard.Err)
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					errs = append(errs, fmt.Errorf("%s/%d: %w%s", t.Topic, p.Partition, err, hint(err)))
				}
				found[place{t.Topic, p.Partition}] = p.Offset
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("asking where partitions begin and end: %w", err)
	}
	return found, nil
}

// fetchCommitted adds what the group has committed.
func (in *input) fetchCommitted(
	ctx context.Context, offsets map[string]map[int32]kgo.Offset, found map[place]standing,
) error {
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group, request.RequireStable = in.config.Group, true
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = in.config.Group
	for topic, parts := range offsets {
		t, g := kmsg.NewOffsetFetchRequestTopic(), kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, g.Topic = topic, topic
		for number := range parts {
			t.Partitions, g.Partitions = append(t.Partitions, number), append(g.Partitions, number)
		}
		request.Topics, group.Topics = append(request.Topics, t), append(group.Topics, g)
	}
	request.Groups = append(request.Groups, group)
	response, err := request.RequestWith(ctx, in.client)
	if err != nil {
		return fmt.Errorf("asking what the group %s has committed: %w%s", in.config.Group, err, hint(err))
	}
	add := func(at place, offset int64, metadata *string, code int16) error {
		if err := kerr.ErrorForCode(code); err != nil {
			return fmt.Errorf("asking what the group %s has committed of %s: %w%s", in.config.Group, at, err, hint(err))
		}
		s := found[at]
		s.committed = offset
		if metadata != nil {
			s.note = parseNote(*metadata)
		}
		found[at] = s
		return nil
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := add(place{t.Topic, p.Partition}, p.Offset, p.Metadata, p.ErrorCode); err != nil {
				return err
			}
		}
	}
	for _, g := range response.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return fmt.Errorf("asking what the group %s has committed: %w%s", in.config.Group, err, hint(err))
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := add(place{t.Topic, p.Partition}, p.Offset, p.Metadata, p.ErrorCode); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// A note is what is committed beside an offset: what is needed to go on there, and whether nothing
// beyond it was sent.
//
//	longshore 1 clean|sent BASE64
type note struct {
	clean bool
	state []byte
}

const (
	notePrefix = "longshore 1 "
	noteClean  = "clean "
	noteSent   = "sent "
	// noteMost is what brokers take (offset.metadata.max.bytes). A longer state stays behind, and
	// the times of what comes next may differ from those of a record before by nothing.
	noteMost = 4096
)

func (n note) String() string {
	text := notePrefix + noteSent
	if n.clean {
		text = notePrefix + noteClean
	}
	if state := base64.RawStdEncoding.EncodeToString(n.state); len(text)+len(state) <= noteMost {
		text += state
	}
	return text
}

// parseNote reads a note. One that somebody else has written says nothing.
func parseNote(text string) (n note) {
	text, ok := strings.CutPrefix(text, notePrefix)
	if !ok {
		return note{}
	}
	text, n.clean = strings.CutPrefix(text, noteClean)
	if !n.clean {
		text = strings.TrimPrefix(text, noteSent)
	}
	state, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return note{}
	}
	n.state = state
	return n
}

// commitAgainAndAgain commits what has become done, until the returned function is called.
func (in *input) commitAgainAndAgain() (stop func()) {
	quit := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer in.env.Panicked.Contain()
		defer close(ended)
		tick := time.NewTicker(commitEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				in.commitAll()
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}

func (in *input) commitAll() {
	in.mu.Lock()
	var parts []*partition
	for _, p := range in.parts {
		if p.hasNews() {
			parts = append(parts, p)
		}
	}
	in.mu.Unlock()
	if err := in.commit(parts, false); err != nil && in.ctx.Err() == nil {
		in.log.Warn("what is done cannot be committed; after a crash it is looked up", "error", err)
	}
}

// commit commits how far partitions are done. sync says that it must not be cancelled by a
// rebalance that is under way.
func (in *input) commit(parts []*partition, sync bool) error {
	if len(parts) == 0 || len(in.config.Partitions) > 0 {
		return nil
	}
	offsets, notes := map[string]map[int32]kgo.EpochOffset{}, map[place]string{}
	for _, p := range parts {
		pos, n := p.toCommit()
		if offsets[p.at.topic] == nil {
			offsets[p.at.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[p.at.topic][p.at.partition] = kgo.EpochOffset{Epoch: -1, Offset: int64(pos)}
		notes[p.at] = n.String()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.ctx), commitTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(r *kmsg.OffsetCommitRequest) error {
		for i := range r.Topics {
			for k := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[k]
				p.Metadata = kmsg.StringPtr(notes[place{r.Topics[i].Topic, p.Partition}])
			}
		}
		return nil
	})
	result := make(chan error, 1)
	onDone := func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		result <- commitError(response, err)
	}
	if sync {
		in.client.CommitOffsetsSync(ctx, offsets, onDone)
	} else {
		in.client.CommitOffsets(ctx, offsets, onDone)
	}
	err := <-result
	if err == nil {
		for _, p := range parts {
			p.wasCommitted(uint64(offsets[p.at.topic][p.at.partition].Offset))
		}
	}
	return err
}

func commitError(response *kmsg.OffsetCommitResponse, err error) error {
	if err != nil || response == nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("committing %s/%d: %w%s", t.Topic, p.Partition, err, hint(err))
			}
		}
	}
	return nil
}

// give hands partitions over in order: nothing more is sent of them, what was is waited for, and
// what is done is committed.
func (in *input) give(gone map[string][]int32) {
	parts := in.remove(gone)
	for _, p := range parts {
		p.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), in.handOver)
	defer cancel()
	for _, p := range parts {
		p.wait(ctx)
	}
	if err := in.commit(parts, true); err != nil {
		in.log.Warn("what is done of partitions that are given away cannot be committed; who has them next looks it up",
			"error", err)
	}
	in.close(parts)
}

// giveAll is give for all partitions, at the end.
func (in *input) giveAll() {
	in.mu.Lock()
	all := map[string][]int32{}
	for at := range in.parts {
		all[at.topic] = append(all[at.topic], at.partition)
	}
	in.mu.Unlock()
	if len(all) > 0 {
		in.give(all)
	}
}

// lose drops partitions that are another's by now: nothing can be committed any more.
func (in *input) lose(gone map[string][]int32) {
	parts := in.remove(gone)
	if len(parts) > 0 && in.ctx.Err() == nil {
		in.log.Warn("the group has given partitions to others, as it did not hear from this member in time; what was "+
			"sent of them and not committed is looked up by who has them now", "partitions", len(parts))
	}
	for _, p := range parts {
		p.stop()
	}
	in.close(parts)
}

// remove removes partitions, so that nothing comes to them any more.
func (in *input) remove(gone map[string][]int32) (parts []*partition) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for topic, numbers := range gone {
		for _, number := range numbers {
			at := place{topic, number}
			if p := in.parts[at]; p != nil {
				delete(in.parts, at)
				parts = append(parts, p)
			}
		}
	}
	return parts
}

func (in *input) close(parts []*partition) {
	for _, p := range parts {
		in.mu.Lock()
		if in.byID[p.src.ID] == p {
			delete(in.byID, p.src.ID)
		}
		in.mu.Unlock()
		in.feed.Close(p.src, false)
		in.metrics.lag.DeleteLabelValues(p.at.topic, fmt.Sprint(p.at.partition))
	}
}
