package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	commitEvery = time.Second
	handOver    = 3 * time.Second
	// commitTimeout bounds a commit that others wait for.
	commitTimeout = 5 * time.Second
	// pollMost is how many records are taken from the client at a time.
	pollMost = 10_000
)

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	in := &input{config: c, env: env, log: env.Log}
	in.parts, in.byID = map[place]*partition{}, map[event.SourceID]*partition{}
	in.ready, in.handOver = make(chan struct{}), handOver
	in.metrics.register(env.Metrics)
	return in, nil
}

// A place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// String returns topic/partition.
func (p place) String() string { return fmt.Sprintf("%s/%d", p.topic, p.partition) }

type input struct {
	config  *Config
	env     pipeline.Env
	log     *slog.Logger
	metrics metrics
	// handOver is how long what was sent of partitions is waited for that are given away.
	handOver time.Duration

	feed   pipeline.Feed
	ctx    context.Context // of the run
	client *kgo.Client
	ready  chan struct{} // closed when there is the client, which calls back before
	places identities
	ended  sync.WaitGroup // the partitions' goroutines

	mu    sync.Mutex
	parts map[place]*partition
	byID  map[event.SourceID]*partition
}

var _ pipeline.Committer = (*input)(nil)

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	in.feed, in.ctx = feed, ctx
	opts, err := in.config.options()
	if err != nil {
		return err
	}
	opts = append(opts, kgo.WithHooks(connectHook{in}))
	if len(in.config.Partitions) > 0 {
		return in.runAlone(ctx, opts)
	}
	return in.runInGroup(ctx, opts)
}

// connect makes the client, which connects when it has to.
func (in *input) connect(opts []kgo.Opt) (err error) {
	if in.client, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("preparing the client: %w", err)
	}
	close(in.ready)
	return nil
}

func (in *input) runInGroup(ctx context.Context, opts []kgo.Opt) error {
	opts = append(opts,
		kgo.ConsumerGroup(in.config.Group), kgo.ConsumeTopics(in.config.Topics...), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(time.Duration(in.config.Session)), kgo.AdjustFetchOffsetsFn(in.adopt),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { in.give(gone) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { in.lose(gone) }),
	)
	if id := in.config.InstanceID; id != "" {
		opts = append(opts, kgo.InstanceID(id))
	}
	if err := in.connect(opts); err != nil {
		return err
	}
	in.env.Found(fmt.Sprintf("topics %v as a member of %s", in.config.Topics, in.config.Group))
	stopCommitting := in.commitAgainAndAgain()
	in.poll(ctx)
	in.giveAll()
	stopCommitting()
	in.ended.Wait()
	in.client.CloseAllowingRebalance() // leaves the group, unless the membership is static
	return nil
}

// runAlone reads fixed partitions, of which the ledger alone knows how far they are done.
func (in *input) runAlone(ctx context.Context, opts []kgo.Opt) error {
	if err := in.connect(opts); err != nil {
		return err
	}
	defer in.client.Close()
	defer in.ended.Wait()
	defer in.giveAll()
	wanted := map[string]map[int32]kgo.Offset{}
	for _, topic := range in.config.Topics {
		wanted[topic] = map[int32]kgo.Offset{}
		for _, p := range in.config.Partitions {
			wanted[topic][int32(p)] = in.config.resetOffset()
		}
	}
	for {
		adopted, err := in.adopt(ctx, wanted)
		if err == nil {
			in.client.AddConsumePartitions(adopted)
			break
		}
		in.env.Health(err)
		in.log.Warn("the partitions cannot be looked up, will try again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(commitEvery):
		}
	}
	in.env.Found(fmt.Sprintf("partitions %v of the topics %v", in.config.Partitions, in.config.Topics))
	in.poll(ctx)
	return nil
}

// poll hands what comes to the partitions until ctx ends. It never waits for an output: a partition
// that has enough is paused.
func (in *input) poll(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := in.client.PollRecords(ctx, pollMost)
		in.take(fetches)
		in.client.AllowRebalance()
		if fetches.IsClientClosed() {
			return
		}
	}
}

func (in *input) take(fetches kgo.Fetches) {
	var failed error
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		at := place{f.Topic, f.Partition}
		if f.Err != nil && !errors.Is(f.Err, context.Canceled) && !errors.Is(f.Err, context.DeadlineExceeded) {
			failed = fmt.Errorf("reading %s: %w%s", at, f.Err, hint(f.Err))
		}
		if p := in.partition(at); p != nil && f.Err == nil {
			p.add(&f.FetchPartition)
		}
	})
	switch {
	case failed != nil:
		in.env.Health(failed)
		in.metrics.errors.Inc()
		in.log.Warn("records cannot be read", "error", failed)
	case !fetches.Empty():
		in.env.Health(nil)
	}
}

// hint says what to do about an error of a broker.
func hint(err error) string {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return "; create the topic, or correct topics"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "; the user needs the right to read the topic"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "; the user needs the right to read the group"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "; check sasl"
	}
	return ""
}

func (in *input) partition(at place) *partition {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.parts[at]
}

// Commit implements pipeline.Committer.
func (in *input) Commit(id event.SourceID, at pipeline.Cursor) {
	in.mu.Lock()
	p := in.byID[id]
	in.mu.Unlock()
	if p != nil {
		p.committed(at)
	}
}

// connectHook tells of brokers that cannot be reached, which the client does not.
type connectHook struct{ in *input }

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h connectHook) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if h.in.ctx.Err() != nil {
		return
	}
	if err == nil {
		h.in.env.Health(nil)
		return
	}
	h.in.metrics.errors.Inc()
	h.in.env.Health(fmt.Errorf("connecting to the broker %s:%d: %w; it is tried again", meta.Host, meta.Port, err))
}

// metrics are those of the input.
type metrics struct {
	lag    *prometheus.GaugeVec
	lost   prometheus.Counter
	errors prometheus.Counter
}

func (m *metrics) register(reg prometheus.Registerer) {
	m.lag = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "longshore_kafka_lag_records",
		Help: "Records of a partition that were not read yet when it was last looked at.",
	}, []string{"topic", "partition"})
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "longshore_kafka_lost_records_total",
		Help: "Records at most that the brokers had removed before they were read: retention is too short.",
	})
	m.errors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "longshore_kafka_errors_total", Help: "Connections and requests that failed.",
	})
	reg.MustRegister(m.lag, m.lost, m.errors)
}
