package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// An Output sends records to topics. Config makes it.
type Output struct {
	topic   *topicName
	key     keyKind
	schema  event.Schema
	limit   int
	timeout time.Duration
	brokers []string
	tls     TLS

	log      *slog.Logger
	panicked pipeline.Panicked
	metrics  *metrics

	client        *kgo.Client
	config        *Config
	topics        *topics
	packer        *packer
	notes         *notes
	producers     *producers
	transactional bool
	reading       rereading
}

var (
	_ pipeline.Output     = (*Output)(nil)
	_ pipeline.Reconciler = (*Output)(nil)
)

type metrics struct{ aborted, reread prometheus.Counter }

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		aborted: metric.Counter(reg, "longshore_kafka_aborted_transactions_total",
			"Transactions that were given up, whose records are sent again."),
		reread: metric.Counter(reg, "longshore_kafka_reread_records_total",
			"Records that were read back to see what is stored of uncertain ones."),
	}
}

// Limits implements pipeline.Output: a partition keeps its records in order.
func (o *Output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: o.limit, InOrder: true} }

// Original implements pipeline.Output.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	it, ok := readItem(body.Item(i))
	if !ok {
		return body.Item(i)
	}
	return it.value
}

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder { return &encoder{output: o} }

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.client.Close()
	return o.notes.close()
}

// Send implements pipeline.Output.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if len(body.Items) == 0 {
		return nil
	}
	o.reading.release()
	s := &sending{o: o, body: body}
	if err := s.plan(ctx); err != nil {
		return err
	}
	if len(s.batches) == 0 {
		return s.answer()
	}
	f, err := o.notes.takeOff()
	if err != nil {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: err.Error(), Err: err}
	}
	err = s.send(ctx)
	o.notes.land(f, s.open(err))
	return err
}

// A sending is one attempt at a body.
type sending struct {
	o       *Output
	body    *pipeline.Body
	batches []*batch

	p  *producer
	mu sync.Mutex // for what follows, as brokers answer at the same time
	// failed are the items that are not stored, and why.
	failed    map[int32]itemFailure
	uncertain bool
}

type itemFailure struct {
	outcome pipeline.Outcome
	reason  string
}

// plan finds the partition of every item. Items of topics that cannot be written to fail.
func (s *sending) plan(ctx context.Context) error {
	found, err := s.o.topics.of(ctx, s.body.Groups)
	if err != nil {
		return sendError(s.o.Location(), err, false)
	}
	open := map[partitionKey]*batch{}
	var last *batch
	var lastKey []byte
	lastGroup := ^uint32(0)
	turn := uint32(time.Now().UnixNano())
	for i := range s.body.Items {
		it, ok := readItem(s.body.Item(i))
		if !ok || int(s.body.Items[i].Group) >= len(found) {
			s.fail(i, pipeline.Reject, "its bytes, which come from the spool, are damaged")
			continue
		}
		t := found[s.body.Items[i].Group]
		if t.err != nil {
			s.fail(i, judge(t.err).outcome, fmt.Sprintf("topic %s: %s%s", t.name, t.err, advice(t.err)))
			continue
		}
		if g := s.body.Items[i].Group; last == nil || g != lastGroup || string(it.key) != string(lastKey) {
			partition := int32(turn % uint32(len(t.leaders)))
			if it.key != nil {
				partition = t.partitionOf(it.key)
			}
			lastKey, lastGroup = it.key, g
			last = open[partitionKey{t.name, partition}]
			if last == nil {
				last = &batch{topic: t, partition: partition}
				open[partitionKey{t.name, partition}] = last
				s.batches = append(s.batches, last)
			}
		}
		last.items = append(last.items, int32(i))
	}
	return nil
}

func (s *sending) fail(i int, outcome pipeline.Outcome, reason string) {
	if s.failed == nil {
		s.failed = map[int32]itemFailure{}
	}
	s.failed[int32(i)] = itemFailure{outcome, reason}
}

// failBatch notes that what is left of a batch is not stored, and what that means.
func (s *sending) failBatch(b *batch, err error) {
	v := judge(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.stale {
		s.o.topics.forget(b.topic)
	}
	if v.producer || v.uncertain {
		s.p.ready = false
	}
	s.uncertain = s.uncertain || v.uncertain
	outcome := v.outcome
	if outcome == pipeline.Split || outcome == pipeline.Bisect {
		outcome = pipeline.Reject // send has halved it down to one
	}
	reason := sendError(fmt.Sprintf("topic %s, partition %d", b.topic.name, b.partition), err, false).Reason
	for _, i := range b.items {
		s.fail(int(i), outcome, reason)
	}
	b.items = nil
}

func (s *sending) send(ctx context.Context) error {
	p, release, err := s.o.producers.take()
	if err != nil {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: err.Error(), Err: err}
	}
	defer release()
	s.p = p
	if err := p.begin(ctx); err != nil {
		return sendError(s.o.Location(), err, false)
	}
	if !s.o.transactional {
		s.produceAll(ctx)
		return s.answer()
	}
	return s.transact(ctx)
}

// transact sends all in one transaction. Only where the answer to its end is missing it is
// uncertain what is stored.
func (s *sending) transact(ctx context.Context) error {
	refused, err := s.p.add(ctx, s.batches)
	if err != nil {
		s.p.ready = false // some may have been added
		return sendError(s.o.Location(), err, false)
	}
	if len(refused) > 0 {
		return s.withoutRefused(ctx, refused)
	}
	s.produceAll(ctx)
	if s.retries() {
		s.o.metrics.aborted.Inc()
		s.p.abort(ctx)
		s.uncertain = false
		return s.nothing()
	}
	if err := s.p.end(ctx, true); err != nil {
		s.o.metrics.aborted.Inc()
		return sendError(s.o.Location(), err, errors.Is(err, errUnanswered))
	}
	return s.answer()
}

// withoutRefused has the records of refused partitions held, and says of the others that they are
// to be sent again: the next attempt knows which topics are refused.
func (s *sending) withoutRefused(ctx context.Context, refused map[partitionKey]error) error {
	s.p.abort(ctx)
	for _, b := range s.batches {
		err := refused[partitionKey{b.topic.name, b.partition}]
		if err == nil || errors.Is(err, kerr.OperationNotAttempted) {
			err = kerr.OperationNotAttempted
		} else {
			s.o.topics.refuse(b.topic, err)
		}
		s.failBatch(b, err)
	}
	return s.nothing()
}

// retries reports whether something is left that is to be sent again.
func (s *sending) retries() bool {
	for _, f := range s.failed {
		if f.outcome == pipeline.Retry {
			return true
		}
	}
	return s.uncertain || !s.p.ready
}

// nothing returns the answer where nothing is stored: what was not refused is to be sent again.
func (s *sending) nothing() error {
	reason := "the transaction was aborted"
	for i := range s.body.Items {
		f, failed := s.failed[int32(i)]
		if failed && f.outcome == pipeline.Retry {
			reason = f.reason
		}
	}
	for i := range s.body.Items {
		if _, failed := s.failed[int32(i)]; !failed {
			s.fail(i, pipeline.Retry, reason)
		}
	}
	return s.answer()
}

// answer returns what Send returns for the items that failed.
func (s *sending) answer() error {
	if len(s.failed) == 0 {
		return nil
	}
	answer := &pipeline.SendError{Uncertain: s.uncertain}
	same := len(s.failed) == len(s.body.Items)
	for _, i := range slices.Sorted(maps.Keys(s.failed)) {
		f := s.failed[i]
		answer.Items = append(answer.Items, pipeline.ItemError{Index: int(i), Outcome: f.outcome, Reason: f.reason})
		same = same && f.outcome == answer.Items[0].Outcome
	}
	first := answer.Items[0]
	answer.Outcome, answer.Reason = first.Outcome, first.Reason
	if same && first.Outcome != pipeline.Reject {
		answer.Items = nil
	}
	return answer
}

// open returns the records whose outcome is not known after an attempt.
func (s *sending) open(err error) map[identity]struct{} {
	var answer *pipeline.SendError
	if err == nil || !errors.As(err, &answer) || !answer.Uncertain {
		return nil
	}
	open := map[identity]struct{}{}
	add := func(i int) {
		if it, ok := readItem(s.body.Item(i)); ok {
			if id, ok := it.identity(); ok {
				open[id] = struct{}{}
			}
		}
	}
	for _, item := range answer.Items {
		add(item.Index)
	}
	if answer.Items == nil {
		for i := range s.body.Items {
			add(i)
		}
	}
	return open
}

// produceAll sends the batches, at most one to each partition at a time, as a request may have no
// more. What is too large is halved.
func (s *sending) produceAll(ctx context.Context) {
	waiting := s.batches
	for len(waiting) > 0 {
		round, later := oneEach(waiting)
		tooLarge := s.produce(ctx, round)
		waiting = append(s.halves(tooLarge), later...)
		for _, b := range waiting {
			if s.broken(b, round) {
				s.failBatch(b, kerr.OperationNotAttempted)
			}
		}
		waiting = slices.DeleteFunc(waiting, func(b *batch) bool { return len(b.items) == 0 })
	}
}

// oneEach returns the first batch of each partition, and the rest.
func oneEach(batches []*batch) (first, rest []*batch) {
	seen := map[partitionKey]bool{}
	for _, b := range batches {
		if key := (partitionKey{b.topic.name, b.partition}); !seen[key] {
			seen[key] = true
			first = append(first, b)
		} else {
			rest = append(rest, b)
		}
	}
	return first, rest
}

// broken reports whether an earlier batch of the same partition has failed, so that the order would
// suffer.
func (s *sending) broken(b *batch, round []*batch) bool {
	return slices.ContainsFunc(round, func(earlier *batch) bool {
		return earlier.failed && earlier.topic == b.topic && earlier.partition == b.partition
	})
}

// halves returns both halves of the batches of several records, and rejects those of one.
func (s *sending) halves(tooLarge []*batch) []*batch {
	var halves []*batch
	for _, b := range tooLarge {
		half := len(b.items) / 2
		if half == 0 {
			s.failBatch(b, b.err)
			continue
		}
		halves = append(halves, &batch{topic: b.topic, partition: b.partition, items: b.items[:half]},
			&batch{topic: b.topic, partition: b.partition, items: b.items[half:]})
	}
	return halves
}

// produce sends batches of different partitions, a request to each broker, and returns those that
// are too large.
func (s *sending) produce(ctx context.Context, batches []*batch) (tooLarge []*batch) {
	byLeader := map[int32][]*batch{}
	for _, b := range batches {
		leader := b.topic.leaders[b.partition]
		if leader < 0 {
			b.failed = true
			s.failBatch(b, kerr.LeaderNotAvailable)
			continue
		}
		byLeader[leader] = append(byLeader[leader], b)
	}
	var large []*batch
	var requests sync.WaitGroup
	for leader, of := range byLeader {
		send := func() {
			found := s.request(ctx, leader, of)
			s.mu.Lock()
			defer s.mu.Unlock()
			large = append(large, found...)
		}
		if len(byLeader) == 1 {
			send()
			continue
		}
		requests.Go(func() {
			defer s.o.panicked.Contain()
			send()
		})
	}
	requests.Wait()
	return large
}

// request sends one request, and returns the batches that are too large.
func (s *sending) request(ctx context.Context, leader int32, batches []*batch) (tooLarge []*batch) {
	req, err := s.newRequest(batches)
	if err == nil {
		var answer kmsg.Response
		answer, err = s.o.client.Broker(int(leader)).Request(ctx, req)
		if err == nil {
			defer s.release(batches)
			return s.take(answer.(*kmsg.ProduceResponse), batches)
		}
	}
	for _, b := range batches {
		b.failed = true
		s.failBatch(b, err)
	}
	return nil
}

func (s *sending) release(batches []*batch) {
	for _, b := range batches {
		s.o.packer.release(b.packed)
		b.packed = nil
	}
}

func (s *sending) newRequest(batches []*batch) (*kmsg.ProduceRequest, error) {
	req := kmsg.NewPtrProduceRequest()
	// The broker gives up first, so that it says what it knows.
	req.Acks, req.TimeoutMillis = -1, int32(s.o.timeout.Milliseconds()*3/4)
	if s.p.transaction != "" {
		req.TransactionID = &s.p.transaction
	}
	at := time.Now().UnixMilli()
	for _, b := range batches {
		sequence := s.sequence(b)
		packed, err := s.o.packer.pack(s.body, b.items, stamp{at: at, producer: s.p.id, epoch: s.p.epoch,
			sequence: sequence, transactional: s.p.transaction != ""})
		if err != nil {
			return nil, err
		}
		b.packed = packed
		partition := kmsg.NewProduceRequestTopicPartition()
		partition.Partition, partition.Records = b.partition, packed.batch
		same := func(t kmsg.ProduceRequestTopic) bool { return t.Topic == b.topic.name }
		if i := slices.IndexFunc(req.Topics, same); i >= 0 {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, partition)
			continue
		}
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = b.topic.name, b.topic.id
		t.Partitions = append(t.Partitions, partition)
		req.Topics = append(req.Topics, t)
	}
	return req, nil
}

// sequence returns the number of a batch's first record among those of the producer in its
// partition.
func (s *sending) sequence(b *batch) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p.sequences[partitionKey{b.topic.name, b.partition}]
}

// advance notes that a batch is stored.
func (s *sending) advance(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := partitionKey{b.topic.name, b.partition}
	s.p.sequences[key] = int32((int64(s.p.sequences[key]) + int64(len(b.items))) & math.MaxInt32)
	if len(s.p.sequences) > maxSequences {
		s.p.ready = false // an id anew, with no partitions yet
	}
}

// maxSequences bounds the partitions that a producer remembers.
const maxSequences = 10_000

// take takes a broker's answer, and returns the batches that are too large.
func (s *sending) take(answer *kmsg.ProduceResponse, batches []*batch) (tooLarge []*batch) {
	answers := map[partitionKey]*kmsg.ProduceResponseTopicPartition{}
	for i := range answer.Topics {
		t := &answer.Topics[i]
		for k := range t.Partitions {
			answers[partitionKey{t.Topic, t.Partitions[k].Partition}] = &t.Partitions[k]
		}
	}
	for _, b := range batches {
		a := answers[partitionKey{b.topic.name, b.partition}]
		if a == nil {
			b.failed = true
			s.failBatch(b, kerr.UnknownServerError)
			continue
		}
		err := kerr.ErrorForCode(a.ErrorCode)
		switch {
		case err == nil, errors.Is(err, kerr.DuplicateSequenceNumber):
			s.advance(b)
		case judge(err).tooLarge, judge(err).outcome == pipeline.Bisect:
			b.err = err
			tooLarge = append(tooLarge, b)
		default:
			b.failed = true
			s.failBatch(b, err)
		}
	}
	return tooLarge
}

// Location implements pipeline.Prober.
func (o *Output) Location() string { return "kafka://" + strings.Join(o.brokers, ",") }
