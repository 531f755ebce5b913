package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// transactionTimeout is how long a transaction may be open that nobody ends. Until then
	// consumers do not see what comes after its beginning.
	transactionTimeout = time.Minute
	// abortTime bounds the end of a transaction that is given up.
	abortTime = 5 * time.Second
)

// A producer is one by which one body is sent at a time.
type producer struct {
	client *kgo.Client
	using  sync.Mutex
	// doubtful says that it may have a transaction of which nobody knows whether it is committed.
	doubtful atomic.Bool

	// transaction is its transactional id; "" without transactions.
	transaction string

	id    int64
	epoch int16
	// ready is unset where its id, or a new epoch, must be had first. With transactions that aborts
	// what it has begun, and has brokers refuse what it has sent before.
	ready     bool
	sequences map[partitionKey]int32
}

type partitionKey struct {
	topic     string
	partition int32
}

// begin gets the producer ready.
func (p *producer) begin(ctx context.Context) error {
	if p.ready {
		return nil
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	if p.transaction != "" {
		req.TransactionalID = &p.transaction
		req.TransactionTimeoutMillis = int32(transactionTimeout.Milliseconds())
	}
	return p.coordinate(ctx, func() (int16, error) {
		answer, err := p.client.Request(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("getting a producer's id: %w", err)
		}
		a := answer.(*kmsg.InitProducerIDResponse)
		if a.ErrorCode == 0 {
			p.id, p.epoch, p.ready = a.ProducerID, a.ProducerEpoch, true
			p.sequences = map[partitionKey]int32{}
			p.doubtful.Store(false)
		}
		return a.ErrorCode, nil
	})
}

// coordinate asks the coordinator again for as long as it is busy with the last transaction.
func (p *producer) coordinate(ctx context.Context, ask func() (code int16, err error)) error {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		code, err := ask()
		if err != nil {
			return err
		}
		failure := kerr.ErrorForCode(code)
		switch failure {
		case nil:
			return nil
		case kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable,
			kerr.NotCoordinator:
		default:
			if judge(failure).producer {
				p.ready = false
			}
			return failure
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", failure, ctx.Err())
		case <-timer.C:
		}
	}
}

// add adds partitions to the transaction. Those that cannot be are returned.
func (p *producer) add(ctx context.Context, batches []*batch) (refused map[partitionKey]error, err error) {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.transaction, p.id, p.epoch
	byTopic := map[string]int{}
	for _, b := range batches {
		at, known := byTopic[b.topic.name]
		if !known {
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic = b.topic.name
			at = len(req.Topics)
			byTopic[b.topic.name] = at
			req.Topics = append(req.Topics, t)
		}
		req.Topics[at].Partitions = append(req.Topics[at].Partitions, b.partition)
	}
	err = p.coordinate(ctx, func() (int16, error) {
		answer, err := p.client.Request(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("beginning a transaction: %w", err)
		}
		var worst int16
		worst, refused = added(answer.(*kmsg.AddPartitionsToTxnResponse))
		return worst, nil
	})
	return refused, err
}

// added returns the partitions that were refused for a reason of their own, or the code that holds
// for all.
func added(a *kmsg.AddPartitionsToTxnResponse) (worst int16, refused map[partitionKey]error) {
	refused = map[partitionKey]error{}
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			switch err := kerr.ErrorForCode(p.ErrorCode); err {
			case nil:
			case kerr.TopicAuthorizationFailed, kerr.UnknownTopicOrPartition, kerr.OperationNotAttempted:
				refused[partitionKey{t.Topic, p.Partition}] = err
			default:
				worst = p.ErrorCode
			}
		}
	}
	return worst, refused
}

// errUnanswered says that nobody knows whether a transaction is committed.
var errUnanswered = errors.New("it is not known whether the transaction is committed")

// end ends the transaction. After an error the producer begins anew, which ends it as well.
func (p *producer) end(ctx context.Context, commit bool) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.transaction, p.id, p.epoch, commit
	err := p.coordinate(ctx, func() (int16, error) {
		answer, err := p.client.Request(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("ending a transaction: %w", err)
		}
		return answer.(*kmsg.EndTxnResponse).ErrorCode, nil
	})
	if err == nil {
		return nil
	}
	p.ready = false
	if commit {
		p.doubtful.Store(true)
		return fmt.Errorf("%w: %w", errUnanswered, err)
	}
	return err
}

// abort ends a transaction of which nothing is to stay, even where ctx has ended.
func (p *producer) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	_ = p.end(ctx, false) // what was not aborted is when the producer begins anew
}

// producers are those of an output. There are as many as bodies were ever sent at a time.
type producers struct {
	client *kgo.Client
	notes  *notes
	// transactional says that each has a transactional id.
	transactional bool

	mu   sync.Mutex
	all  []*producer
	free []*producer
}

// take returns one that nobody uses; release is to be called after its use.
func (ps *producers) take() (p *producer, release func(), err error) {
	p, err = ps.pick()
	if err != nil {
		return nil, nil, err
	}
	p.using.Lock()
	return p, func() {
		p.using.Unlock()
		ps.mu.Lock()
		defer ps.mu.Unlock()
		ps.free = append(ps.free, p)
	}, nil
}

func (ps *producers) pick() (*producer, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if n := len(ps.free); n > 0 {
		p := ps.free[n-1]
		ps.free = ps.free[:n-1]
		return p, nil
	}
	return ps.add()
}

func (ps *producers) add() (*producer, error) {
	p := &producer{client: ps.client}
	if ps.transactional {
		name, err := ps.notes.transaction(len(ps.all))
		if err != nil {
			return nil, err
		}
		p.transaction = name
		p.doubtful.Store(true) // an earlier run may have used it
	}
	ps.all = append(ps.all, p)
	return p, nil
}

// fence ends the transactions that are not known to have ended, of this run and of earlier ones.
// Whatever of theirs is on its way is refused from then on.
func (ps *producers) fence(ctx context.Context) error {
	if !ps.transactional {
		return nil
	}
	all, err := ps.known()
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := p.fence(ctx); err != nil {
			return fmt.Errorf("ending the transaction %s: %w", p.transaction, err)
		}
	}
	return nil
}

func (p *producer) fence(ctx context.Context) error {
	if !p.doubtful.Load() {
		return nil
	}
	p.using.Lock()
	defer p.using.Unlock()
	if !p.doubtful.Load() {
		return nil
	}
	p.ready = false
	return p.begin(ctx)
}

// known returns the producers of this run and of earlier ones.
func (ps *producers) known() ([]*producer, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	used, err := ps.notes.used()
	if err != nil {
		return nil, err
	}
	for len(ps.all) < used {
		p, err := ps.add()
		if err != nil {
			return nil, err
		}
		ps.free = append(ps.free, p)
	}
	return slices.Clone(ps.all), nil
}
