package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A topic is what is known of one. It does not change.
type topic struct {
	name    string
	id      [16]byte
	leaders []int32 // of each partition; -1 where there is none now
	err     error   // why nothing can be sent to it
	learned time.Time
	// grown says that it had fewer partitions in this run, so that keys were in others.
	grown bool
}

// partitionOf returns the partition of a key, the same as other clients choose.
func (t *topic) partitionOf(key []byte) int32 {
	return int32(murmur2(key) & 0x7fffffff % uint32(len(t.leaders)))
}

// murmur2 is MurmurHash2 with the seed that Kafka's clients agree on.
func murmur2(p []byte) uint32 {
	const m = 0x5bd1e995
	h := 0x9747b28c ^ uint32(len(p))
	for ; len(p) >= 4; p = p[4:] {
		k := binary.LittleEndian.Uint32(p) * m
		h = h*m ^ (k^k>>24)*m
	}
	if len(p) > 0 {
		var rest [4]byte
		copy(rest[:], p)
		h = (h ^ binary.LittleEndian.Uint32(rest[:])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}

const (
	// maxTopics bounds the topics that are remembered.
	maxTopics = 1000
	// Topics are asked for again after this time: partitions may be added.
	topicAge = 5 * time.Minute
	// What was wrong with a topic is asked again after this time.
	failedTopicAge = 2 * time.Second
)

// topics knows where the partitions of topics are.
type topics struct {
	client *kgo.Client
	create bool

	mu    sync.Mutex
	known map[string]*topic
}

func newTopics(client *kgo.Client, create bool) *topics {
	return &topics{client: client, create: create, known: map[string]*topic{}}
}

// of returns the topics of these names.
func (t *topics) of(ctx context.Context, names []string) ([]*topic, error) {
	var unknown []string
	found := make([]*topic, len(names))
	t.mu.Lock()
	for i, name := range names {
		k := t.known[name]
		if k == nil || time.Since(k.learned) > topicAge || k.err != nil && time.Since(k.learned) > failedTopicAge {
			unknown = append(unknown, name)
		}
		found[i] = k
	}
	t.mu.Unlock()
	if len(unknown) == 0 {
		return found, nil
	}
	learned, err := t.ask(ctx, unknown)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known)+len(learned) > maxTopics {
		clear(t.known)
	}
	for name, l := range learned {
		if last := t.known[name]; last != nil && len(last.leaders) > 0 && l.err == nil {
			l.grown = last.grown || len(last.leaders) != len(l.leaders)
		}
		t.known[name] = l
	}
	for i, name := range names {
		if l := learned[name]; l != nil {
			found[i] = l
		}
	}
	return found, nil
}

// forget has the topics asked for again.
func (t *topics) forget(of *topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.known[of.name]; k != nil {
		stale := *k
		stale.learned = time.Time{}
		t.known[of.name] = &stale
	}
}

// refusedAge is how long a topic that we may not write to counts as that.
const refusedAge = 30 * time.Second

// refuse notes that we may not write to a topic.
func (t *topics) refuse(of *topic, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[of.name] = &topic{name: of.name, id: of.id, leaders: of.leaders, err: err,
		learned: time.Now().Add(refusedAge - failedTopicAge)}
}

func (t *topics) ask(ctx context.Context, names []string) (map[string]*topic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = t.create
	for _, name := range names {
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = &name
		req.Topics = append(req.Topics, asked)
	}
	answer, err := t.client.Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("asking for the partitions of topics: %w", err)
	}
	learned := make(map[string]*topic, len(names))
	for _, name := range names {
		learned[name] = &topic{name: name, err: kerr.UnknownTopicOrPartition, learned: time.Now()}
	}
	for _, a := range answer.(*kmsg.MetadataResponse).Topics {
		if a.Topic != nil && learned[*a.Topic] != nil {
			learned[*a.Topic] = newTopic(*a.Topic, &a)
		}
	}
	return learned, nil
}

func newTopic(name string, a *kmsg.MetadataResponseTopic) *topic {
	t := &topic{name: name, id: a.TopicID, err: kerr.ErrorForCode(a.ErrorCode), learned: time.Now()}
	t.leaders = make([]int32, len(a.Partitions))
	for i := range t.leaders {
		t.leaders[i] = -1
	}
	for _, p := range a.Partitions {
		if p.Partition >= 0 && int(p.Partition) < len(t.leaders) && p.Leader >= 0 {
			t.leaders[p.Partition] = p.Leader
		}
	}
	if len(t.leaders) == 0 && t.err == nil {
		t.err = kerr.LeaderNotAvailable
	}
	return t
}
