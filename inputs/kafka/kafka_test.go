package kafka

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// A cluster is a broker in memory.
type cluster struct{ *kfake.Cluster }

func newCluster(t testing.TB, partitions int32) *cluster {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return &cluster{k}
}

// client calls use with a client of the cluster.
func (c *cluster) client(t testing.TB, use func(*kgo.Client)) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	use(client)
}

func (c *cluster) produce(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	c.client(t, func(client *kgo.Client) {
		if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	})
}

func (c *cluster) write(t testing.TB, partition int32, lines []string) {
	t.Helper()
	var records []*kgo.Record
	for _, line := range lines {
		records = append(records, &kgo.Record{Topic: "logs", Partition: partition, Value: []byte(line)})
	}
	c.produce(t, records...)
}

// committed returns the offsets that the group has committed, and their notes.
func (c *cluster) committed(t testing.TB) (offsets map[int32]int64, notes map[int32]note) {
	t.Helper()
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group = "longshore"
	group, topic := kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchRequestGroupTopic()
	group.Group, topic.Topic = "longshore", "logs"
	topic.Partitions = []int32{0, 1, 2, 3}
	group.Topics = append(group.Topics, topic)
	request.Groups = append(request.Groups, group)
	var response *kmsg.OffsetFetchResponse
	c.client(t, func(client *kgo.Client) {
		var err error
		if response, err = request.RequestWith(context.Background(), client); err != nil {
			t.Fatal(err)
		}
	})
	offsets, notes = map[int32]int64{}, map[int32]note{}
	for _, g := range response.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				if p.Offset >= 0 && p.Metadata != nil {
					offsets[p.Partition], notes[p.Partition] = p.Offset, parseNote(*p.Metadata)
				}
			}
		}
	}
	return offsets, notes
}

func (c *cluster) input(t testing.TB, yaml string) pipeline.Input {
	t.Helper()
	text := fmt.Sprintf("{brokers: [%q], topics: [logs], session_timeout: 6s%s}", c.ListenAddrs()[0], yaml)
	in, err := pipetest.Config[*Config](t, Spec(), text).Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	in.(*input).handOver = 50 * time.Millisecond
	return in
}

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		c := newCluster(t, 2)
		return pipetest.InputHarness{
			New:        func(t testing.TB) pipeline.Input { return c.input(t, "") },
			Write:      func(t testing.TB, lines ...string) { c.write(t, 0, lines) },
			WriteOther: func(t testing.TB, lines ...string) { c.write(t, 1, lines) },
			Acknowledged: func() int {
				offsets, _ := c.committed(t)
				return int(offsets[0] + offsets[1])
			},
			Resumes: true,
			Ignored: []goleak.Option{
				goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"),
				goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1"),
				goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"),
			},
		}
	})
}

// run runs an input until the test ends or stop is called.
func run(t *testing.T, in pipeline.Input, feed *pipetest.Feed) (stop func()) {
	t.Helper()
	feed.CommitTo(in.(pipeline.Committer))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// hopped returns a record as a Longshore has sent it.
func hopped(src *event.Source, pos uint64, line string) *kgo.Record {
	b := &event.Batch{}
	b.Reset(src)
	b.Add(pos, 1_700_000_000_123_456_789+int64(pos), b.PutString(line)).Level = event.Warn
	return &kgo.Record{
		Topic: "logs", Value: event.AppendRecord(nil, b, 0, true), Headers: []kgo.RecordHeader{
			{Key: hop.SourceHeader, Value: []byte(src.ID.String())},
			{Key: hop.PositionHeader, Value: hop.AppendPosition(nil, pos)},
			{Key: hop.LabelsHeader, Value: hop.AppendLabels(nil, src.Labels)},
		},
	}
}

// TestRecordsOfALongshoreStayWhatTheyAre has two sources come interleaved with lines of others.
func TestRecordsOfALongshoreStayWhatTheyAre(t *testing.T) {
	c := newCluster(t, 1)
	a := event.NewSource(10, "file", "a", []event.Label{{Name: event.LabelHost, Value: "a"}})
	b := event.NewSource(20, "file", "b", []event.Label{{Name: event.LabelHost, Value: "b"}})
	c.produce(t, hopped(a, 100, "one"), hopped(b, 7, "two"), hopped(b, 8, "three"),
		&kgo.Record{Topic: "logs", Value: []byte("a line")}, &kgo.Record{Topic: "logs"}, hopped(a, 101, "four"))
	feed := pipetest.NewFeed(t)
	run(t, c.input(t, ""), feed)
	type record struct {
		Source, Host, Line string
		Pos                uint64
		Parsed             bool
	}
	var got []record
	for _, g := range feed.WaitFor(t.Context(), 5) {
		got = append(got, record{g.Source.ID.String(), g.Source.Label(event.LabelHost), g.Line, g.Pos,
			g.Flags&event.Parsed != 0})
	}
	id := func(n event.SourceID) string { return n.String() }
	want := []record{
		{id(10), "a", "one", 0, true}, {id(20), "b", "two", 1, true}, {id(20), "b", "three", 2, true},
		{got[3].Source, "", "a line", 3, false}, {id(10), "a", "four", 5, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if at := feed.Got()[1].Time; at != 1_700_000_000_123_456_789+7 {
		t.Errorf("the time is %d", at)
	}
}

// TestHandOver has a second member take a part of the partitions: each record comes to one of them,
// and what is given away was committed as done and nothing more.
func TestHandOver(t *testing.T) {
	c := newCluster(t, 4)
	first, second := pipetest.NewFeed(t), pipetest.NewFeed(t)
	first.AckAtOnce()
	second.AckAtOnce()
	stopFirst := run(t, c.input(t, ", client_id: first"), first)
	for p := range int32(4) {
		c.write(t, p, []string{fmt.Sprintf("before %d", p)})
	}
	first.WaitFor(t.Context(), 4)
	stopSecond := run(t, c.input(t, ", client_id: second"), second)
	for n := 0; len(second.Got()) == 0; n++ {
		for p := range int32(4) {
			c.write(t, p, []string{fmt.Sprintf("between %d %d", n, p)})
		}
		time.Sleep(50 * time.Millisecond) // the group takes its time
	}
	stopFirst()
	for p := range int32(4) {
		c.write(t, p, []string{fmt.Sprintf("after %d", p)})
	}
	second.Wait(t.Context(), "what comes after", func(got []pipetest.Got) bool {
		n := 0
		for _, g := range got {
			if len(g.Line) > 5 && g.Line[:5] == "after" {
				n++
			}
		}
		return n == 4
	})
	stopSecond()
	lines := append(first.Lines(), second.Lines()...)
	slices.Sort(lines)
	if n := len(slices.Compact(slices.Clone(lines))); n != len(lines) {
		t.Errorf("%d records came, %d different ones", len(lines), n)
	}
	offsets, notes := c.committed(t)
	for p := range int32(4) {
		if !notes[p].clean {
			t.Errorf("partition %d was given away at %d, and not as done", p, offsets[p])
		}
	}
	sum := int64(0)
	for _, offset := range offsets {
		sum += offset
	}
	if sum != int64(len(lines)) {
		t.Errorf("%d records are committed, %d came", sum, len(lines))
	}
}

// TestWhoSendsSaysSo: a member that has sent something and dies leaves a note that it has.
func TestWhoSendsSaysSo(t *testing.T) {
	c := newCluster(t, 1)
	c.write(t, 0, []string{"a", "b"})
	feed := pipetest.NewFeed(t)
	stop := run(t, c.input(t, ""), feed)
	feed.WaitFor(t.Context(), 2)
	offsets, notes := c.committed(t)
	if at, ok := offsets[0]; !ok || at != 0 || notes[0].clean {
		t.Errorf("before anything is done, %d is committed (%v), clean: %v", at, ok, notes[0].clean)
	}
	stop()
	if offsets, notes = c.committed(t); offsets[0] != 0 || notes[0].clean {
		t.Errorf("at the end %d is committed, clean: %v; two records were sent and are not done", offsets[0],
			notes[0].clean)
	}
}

func TestPartitionsWithoutAGroup(t *testing.T) {
	c := newCluster(t, 2)
	c.write(t, 0, []string{"zero"})
	c.write(t, 1, []string{"one", "two"})
	feed := pipetest.NewFeed(t)
	stop := run(t, c.input(t, ", partitions: [1]"), feed)
	feed.WaitFor(t.Context(), 2)
	feed.AckBatch()
	feed.Ack()
	stop()
	c.write(t, 1, []string{"three"})
	next := feed.Restart()
	run(t, c.input(t, ", partitions: [1]"), next)
	next.WaitFor(t.Context(), 1)
	if diff := cmp.Diff([]string{"one", "two", "three"}, append(feed.Lines(), next.Lines()...)); diff != "" {
		t.Error(diff)
	}
	if offsets, _ := c.committed(t); len(offsets) > 0 {
		t.Errorf("a group has committed %v", offsets)
	}
}

// TestBrokersThatAreAway: it says so, goes on trying, and stops at once.
func TestBrokersThatAreAway(t *testing.T) {
	for _, more := range []string{"", ", partitions: [0]"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		listener.Close()
		env := pipetest.Env(t)
		said := make(chan error, 100)
		env.Health = func(err error) {
			select {
			case said <- err:
			default:
			}
		}
		config := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("{brokers: [%q], topics: [logs]%s}", address, more))
		in, err := config.Input(env)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, in, pipetest.NewFeed(t))
		if err := <-said; err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("it says %v, and not that %s is away", err, address)
		}
		stop()
	}
}

func TestNotes(t *testing.T) {
	for _, n := range []note{{}, {clean: true}, {state: []byte("\x00state")}, {true, []byte("s")}} {
		if got := parseNote(n.String()); got.clean != n.clean || string(got.state) != string(n.state) {
			t.Errorf("%+v became %+v", n, got)
		}
	}
	text := note{clean: true, state: make([]byte, 10_000)}.String()
	if len(text) > noteMost || !parseNote(text).clean {
		t.Errorf("a long state: %d bytes", len(text))
	}
	for _, text := range []string{"", "somebody's", "longshore 1 clean !", "longshore 1 ", "longshore 2 clean "} {
		if n := parseNote(text); n.clean || len(n.state) > 0 {
			t.Errorf("%q became %+v", text, n)
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add("longshore 1 clean AAEC")
	f.Fuzz(func(t *testing.T, text string) {
		n := parseNote(text)
		if again := parseNote(n.String()); again.clean != n.clean && len(n.state) < 3000 {
			t.Errorf("%+v became %+v", n, again)
		}
	})
}

func TestCheck(t *testing.T) {
	good := func(change func(*Config)) *Config {
		c := &Config{Brokers: []string{"a:9092"}, Topics: []string{"x"}, Group: "g"}
		change(c)
		return c
	}
	for path, change := range map[string]func(*Config){
		"":               func(*Config) {},
		"brokers[0]":     func(c *Config) { c.Brokers[0] = "a" },
		"topics[0]":      func(c *Config) { c.Topics[0] = "a b" },
		"group":          func(c *Config) { c.Group = "" },
		"partitions[0]":  func(c *Config) { c.Partitions = []int{-1} },
		"instance_id":    func(c *Config) { c.Partitions, c.InstanceID = []int{1}, "a" },
		"sasl.mechanism": func(c *Config) { c.SASL.Username = "u" },
		"sasl.username":  func(c *Config) { c.SASL = SASL{Mechanism: "plain", Username: "u"} },
		"sasl.token":     func(c *Config) { c.SASL = SASL{Mechanism: "oauthbearer"} },
	} {
		problems := good(change).Check()
		if path == "" && len(problems) == 0 || len(problems) == 1 && problems[0].Path == path {
			continue
		}
		t.Errorf("%q: %v", path, problems)
	}
}
