package kafka

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var testLabels = []event.Label{{Name: event.LabelHost, Value: "a"}, {Name: event.LabelService, Value: "Ä/api"}}

// bodyOf encodes n records from a position on.
func bodyOf(t testing.TB, o *Output, source event.SourceID, from, n int) *pipeline.Body {
	t.Helper()
	b := &event.Batch{}
	b.Reset(event.NewSource(source, "file", "a.log", testLabels))
	for i := from; i < from+n; i++ {
		b.Add(uint64(i), 1_700_000_000_123_456_789+int64(i), b.PutString(fmt.Sprintf("line %06d", i)))
	}
	body := &pipeline.Body{}
	encoder := o.Encoder()
	for i := range b.Records {
		group, err := encoder.Encode(body, b, i)
		if err != nil {
			t.Fatal(err)
		}
		item := pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group}
		body.Items = append(body.Items, item)
	}
	return body
}

func wantLines(t testing.TB, got []string, from, n int) {
	t.Helper()
	slices.Sort(got)
	var want []string
	for i := from; i < from+n; i++ {
		want = append(want, fmt.Sprintf("line %06d", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lines are stored: %.300q, want %d from %d on", len(got), got, n, from)
	}
}

// TestRecord holds what docs/kafka.md says of a record, by reading it back as another Longshore
// does.
func TestRecord(t *testing.T) {
	cluster := fake(t, 3)
	o := newOutput(t, cluster, "")
	defer o.Close()
	if err := o.Send(t.Context(), bodyOf(t, o, 0x1234, 7, 1)); err != nil {
		t.Fatal(err)
	}
	r := committed(t, cluster)[0]
	headers := map[string][]byte{}
	for _, h := range r.Headers {
		headers[h.Key] = h.Value
	}
	id, err := hop.ParseSource(headers[hop.SourceHeader])
	if err != nil || id != 0x1234 || string(r.Key) != id.String() {
		t.Errorf("source %s, key %q, %v", id, r.Key, err)
	}
	if pos, err := hop.ParsePosition(headers[hop.PositionHeader]); err != nil || pos != 7 {
		t.Errorf("position %d, %v", pos, err)
	}
	labels, err := hop.ParseLabels(headers[hop.LabelsHeader])
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{}
	b.Reset(event.NewSource(id, "kafka", "x", labels))
	if err := hop.AppendRecord(b, 7, r.Value); err != nil || string(b.Line(0)) != "line 000007" ||
		b.Records[0].Time != 1_700_000_000_123_456_796 || len(b.Fields(0)) != 0 || len(b.Source.Labels) != 2 {
		t.Errorf("%s: %v, %+v", r.Value, err, b.Records)
	}
	if age := time.Since(r.Timestamp); age < 0 || age > time.Minute {
		t.Errorf("sent at %s", r.Timestamp)
	}
}

func TestTopicNames(t *testing.T) {
	for text, want := range map[string]string{
		"logs": "logs", "logs-{service}": "logs---api", "{host.name}.{nothing}": "a.unknown", "{level}": "unknown",
	} {
		name, err := parseTopic(text)
		if err != nil {
			t.Fatal(err)
		}
		b := &event.Batch{}
		b.Reset(event.NewSource(1, "file", "x", testLabels))
		b.Add(1, 1, b.PutString("x"))
		if got := string(name.append(nil, b, 0)); got != want && got != strings.ReplaceAll(want, "---", "----") {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, bad := range []string{"", "a b", "a{", ".", "..", "{message}", strings.Repeat("a", 250)} {
		if _, err := parseTopic(bad); err == nil {
			t.Errorf("parseTopic(%q) has no error", bad)
		}
	}
}

// TestPartitions holds that a key is in the partition in which other clients look for it.
func TestPartitions(t *testing.T) {
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("logs")
	for n := 1; n < 60; n++ {
		key := []byte(strings.Repeat("k€y", n)[:n])
		ours := (&topic{leaders: make([]int32, n)}).partitionOf(key)
		if want := theirs.Partition(&kgo.Record{Key: key}, n); int(ours) != want {
			t.Errorf("%q is in partition %d of %d, want %d", key, ours, n, want)
		}
	}
}

func TestKeys(t *testing.T) {
	for settings, want := range map[string]string{
		"key: none": "", "key: '{host.name}'": "a", "key: 'x{trace_id}'": "0000000000000001",
		"key: source": "0000000000000001",
	} {
		cluster := fake(t, 1)
		o := newOutput(t, cluster, settings)
		it, ok := readItem(bodyOf(t, o, 1, 0, 1).Item(0))
		if !ok || string(it.key) != want || (it.key == nil) != (want == "") {
			t.Errorf("%s: key %q, want %q", settings, it.key, want)
		}
		o.Close()
	}
}

func TestUnknownTopic(t *testing.T) {
	cluster := fake(t, 1)
	o := newOutput(t, cluster, "topic: '{host.name}'")
	defer o.Close()
	err := o.Send(t.Context(), bodyOf(t, o, 1, 0, 3))
	var failed *pipeline.SendError
	if !errors.As(err, &failed) || failed.Outcome != pipeline.Hold || failed.Items != nil || failed.Uncertain ||
		!strings.Contains(failed.Reason, "create_topics") {
		t.Errorf("Send: %v", err)
	}
}

// failing answers requests of a kind with an error code, as often as told.
func failing(c *kfake.Cluster, key kmsg.Key, times int, code int16) {
	c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if times--; times < 0 {
			return nil, nil, false
		}
		answer := req.ResponseKind()
		switch r := answer.(type) {
		case *kmsg.ProduceResponse:
			for _, t := range req.(*kmsg.ProduceRequest).Topics {
				topic := kmsg.NewProduceResponseTopic()
				topic.Topic = t.Topic
				for _, p := range t.Partitions {
					partition := kmsg.NewProduceResponseTopicPartition()
					partition.Partition, partition.ErrorCode = p.Partition, code
					topic.Partitions = append(topic.Partitions, partition)
				}
				r.Topics = append(r.Topics, topic)
			}
		case *kmsg.EndTxnResponse:
			r.ErrorCode = code
		}
		return answer, nil, true
	})
}

func TestProduceErrors(t *testing.T) {
	for _, test := range []struct {
		err                 *kerr.Error
		outcome             pipeline.Outcome
		uncertain, produces bool
	}{
		{kerr.NotLeaderForPartition, pipeline.Retry, false, false},
		{kerr.NotEnoughReplicas, pipeline.Retry, false, false},
		{kerr.RequestTimedOut, pipeline.Retry, true, false},
		{kerr.TopicAuthorizationFailed, pipeline.Hold, false, false},
		{kerr.OutOfOrderSequenceNumber, pipeline.Retry, false, false},
		{kerr.UnknownServerError, pipeline.Retry, true, false},
	} {
		for _, transactional := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", test.err.Message, transactional), func(t *testing.T) {
				cluster := fake(t, 1)
				o := newOutput(t, cluster, fmt.Sprintf("transactional: %v", transactional))
				defer o.Close()
				failing(cluster, kmsg.Produce, 1, test.err.Code)
				body := bodyOf(t, o, 1, 0, 10)
				err := o.Send(t.Context(), body)
				var failed *pipeline.SendError
				// A transaction is aborted, so nothing of it is stored for certain.
				uncertain := test.uncertain && !transactional
				if !errors.As(err, &failed) || failed.Outcome != test.outcome || failed.Uncertain != uncertain {
					t.Fatalf("Send: %+v, want %s, uncertain %v", failed, test.outcome, uncertain)
				}
				if err := o.Send(t.Context(), body); err != nil {
					t.Fatal(err)
				}
				wantLines(t, messages(t, committed(t, cluster)), 0, 10)
			})
		}
	}
}

// TestTooLarge holds that what a broker finds too large is sent in smaller batches, and that only
// records that are too large alone are rejected.
func TestTooLarge(t *testing.T) {
	for _, settings := range []string{"", "transactional: false"} {
		cluster := fake(t, 1)
		cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			batch := req.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records
			first := binary.BigEndian.Uint32(batch[57:])
			if first <= 2 && !strings.Contains(string(batch), "line 000003") {
				return nil, nil, false
			}
			r := req.ResponseKind().(*kmsg.ProduceResponse)
			topic, partition := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
			topic.Topic, partition.ErrorCode = "logs", kerr.MessageTooLarge.Code
			topic.Partitions = append(topic.Partitions, partition)
			r.Topics = append(r.Topics, topic)
			return r, nil, true
		})
		o := newOutput(t, cluster, "compression: none\n"+settings)
		err := o.Send(t.Context(), bodyOf(t, o, 1, 0, 10))
		var failed *pipeline.SendError
		if !errors.As(err, &failed) || len(failed.Items) != 1 || failed.Items[0].Index != 3 ||
			failed.Items[0].Outcome != pipeline.Reject {
			t.Errorf("Send: %+v", failed)
		}
		got := messages(t, committed(t, cluster))
		if len(got) != 9 || !slices.IsSorted(got) {
			t.Errorf("stored: %q", got)
		}
		o.Close()
	}
}

// TestStored holds that of a body whose commit was not answered it is found out what is stored, and
// that this holds after a crash, too.
func TestStored(t *testing.T) {
	for _, settings := range []string{"", "transactional: false", "key: none"} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprint(settings, crash), func(t *testing.T) {
				cluster, folder := fake(t, 3), t.TempDir()
				o := outputIn(t, cluster, settings, folder)
				if err := o.Send(t.Context(), bodyOf(t, o, 1, 0, 100)); err != nil {
					t.Fatal(err)
				}
				if crash {
					o.client.Close() // and nothing is noted
					o.notes.file.Close()
					o = outputIn(t, cluster, settings, folder)
				}
				defer o.Close()
				for range 2 {
					body, stored := bodyOf(t, o, 1, 90, 20), make([]bool, 20)
					if err := o.Stored(t.Context(), body, stored); err != nil {
						t.Fatal(err)
					}
					for i, is := range stored {
						if is != (i < 10) {
							t.Errorf("item %d: stored %v", i, is)
						}
					}
				}
				other, stored := bodyOf(t, o, 2, 0, 10), make([]bool, 10)
				if err := o.Stored(t.Context(), other, stored); err != nil || slices.Contains(stored, true) {
					t.Errorf("of another source: %v, %v", stored, err)
				}
			})
		}
	}
}

// TestUnansweredCommit holds that a commit whose answer is missing is uncertain, and that its
// producer is fenced before it is looked up.
func TestUnansweredCommit(t *testing.T) {
	cluster := fake(t, 1)
	o := newOutput(t, cluster, "")
	defer o.Close()
	failing(cluster, kmsg.EndTxn, 1, kerr.UnknownServerError.Code)
	body := bodyOf(t, o, 1, 0, 10)
	err := o.Send(t.Context(), body)
	var failed *pipeline.SendError
	if !errors.As(err, &failed) || !failed.Uncertain || failed.Items != nil {
		t.Fatalf("Send: %v", err)
	}
	stored := make([]bool, 10)
	if err := o.Stored(t.Context(), body, stored); err != nil || slices.Contains(stored, true) {
		t.Errorf("Stored: %v, %v", stored, err)
	}
	if len(o.notes.doubts) != 0 {
		t.Error("what was looked up is in doubt")
	}
	if err := o.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	wantLines(t, messages(t, committed(t, cluster)), 0, 10)
}

// TestZombie holds that a producer of a run that was killed can write nothing once another has
// looked up what it wrote.
func TestZombie(t *testing.T) {
	cluster, folder := fake(t, 1), t.TempDir()
	zombie := outputIn(t, cluster, "", folder)
	defer zombie.Close()
	if err := zombie.Send(t.Context(), bodyOf(t, zombie, 1, 0, 10)); err != nil {
		t.Fatal(err)
	}
	zombie.notes.file.Close() // as if it were gone
	zombie.notes.file = nil
	o := outputIn(t, cluster, "", folder)
	defer o.Close()
	stored := make([]bool, 10)
	if err := o.Stored(t.Context(), bodyOf(t, o, 1, 5, 10), stored); err != nil || !stored[0] || stored[5] {
		t.Fatalf("%v, %v", stored, err)
	}
	err := zombie.Send(t.Context(), bodyOf(t, zombie, 1, 10, 10))
	var failed *pipeline.SendError
	if !errors.As(err, &failed) || failed.Outcome != pipeline.Retry {
		t.Errorf("the zombie's Send: %v", err)
	}
	wantLines(t, messages(t, committed(t, cluster)), 0, 10)
}

func TestNotes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	folder := filepath.Join(t.TempDir(), "folder")
	n := newNotes(folder, clock)
	began := now
	f, err := n.takeOff()
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	other, _ := n.takeOff()
	n.land(other, nil)
	one, two := identity{1, 1}, identity{1, 2}
	n.land(f, map[identity]struct{}{one: {}, two: {}})
	if from, err := n.from([]identity{one}); err != nil || !from.Equal(began.Add(-margin)) {
		t.Errorf("in doubt since %s, %v", from, err)
	}
	n.settled([]identity{one})
	if _, err := n.transaction(4); err != nil {
		t.Fatal(err)
	}
	n.file.Close() // a crash

	for range 2 { // and one more
		now = now.Add(time.Minute)
		n = newNotes(folder, clock)
		if used, err := n.used(); used != 5 || err != nil {
			t.Fatalf("%d producers, %v", used, err)
		}
		if from, err := n.from([]identity{two}); err != nil || !from.Equal(began.Add(-margin)) {
			t.Errorf("in doubt since %s, %v", from, err)
		}
		n.file.Close()
	}
	n = newNotes(folder, clock)
	if _, err := n.used(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * carryTime)
	done, _ := n.takeOff()
	n.land(done, nil)
	if from, err := n.from([]identity{one}); err != nil || from.Before(now.Add(-carryTime)) {
		t.Errorf("long after: since %s, %v", from, err)
	}
	beside := newNotes(folder, clock) // such as a replay
	if used, err := beside.used(); used != 0 || err != nil {
		t.Errorf("%d producers beside another, %v", used, err)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, noteFile)); len(text) != noteSize || !json.Valid(text) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSettings(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"host:port":   func(c *Config) { c.Brokers = []string{"a"} },
		"URL":         func(c *Config) { c.Brokers = []string{"kafka://a:1"} },
		"ASCII":       func(c *Config) { c.Topic = "a b" },
		"{field}":     func(c *Config) { c.Key = "host" },
		"mechanism":   func(c *Config) { c.SASL.Username = "a" },
		"at most 0":   func(c *Config) { c.Level = 3 },
		"a password":  func(c *Config) { c.SASL = SASL{Mechanism: "plain", Username: "a"} },
		"one of":      func(c *Config) { c.SASL = SASL{Mechanism: "oauthbearer"} },
		"no username": func(c *Config) { c.SASL = SASL{Mechanism: "oauthbearer", Username: "a", Token: "x"} },
		"takes a username": func(c *Config) {
			c.SASL = SASL{Mechanism: "plain", Username: "a", Password: "b", TokenFile: "/nowhere"}
		},
	} {
		c := pipetest.Config[*Config](t, Spec(), "brokers: ['a:1']")
		change(c)
		problems := c.Check()
		if len(problems) == 0 || !strings.Contains(problems[0].Path+" "+problems[0].Message, want) {
			t.Errorf("%v, want %q", problems, want)
		}
	}
}

func FuzzItem(f *testing.F) {
	o := &Output{topic: &topicName{}, schema: event.DefaultSchema}
	f.Add([]byte{})
	f.Add([]byte{1, 2, '{', 2, 2, 'a', 2, 'b'})
	f.Fuzz(func(t *testing.T, p []byte) {
		body := &pipeline.Body{Bytes: p, Items: []pipeline.Item{{End: uint32(len(p))}}}
		o.Original(body, 0)
		if it, ok := readItem(p); ok {
			it.identity()
		}
	})
}

func FuzzNote(f *testing.F) {
	f.Add([]byte(`{"id":"0123456789abcdef","producers":3,"from":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, noteFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		n := newNotes(folder, time.Now)
		if used, err := n.used(); err != nil || used < 0 || used > maxProducers {
			t.Errorf("%q: %d, %v", text, used, err)
		}
		n.close()
	})
}

func TestProbe(t *testing.T) {
	cluster := fake(t, 1)
	o := newOutput(t, cluster, "")
	defer o.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if server, err := o.Probe(ctx); err != nil || !strings.HasPrefix(server, "Kafka ") {
		t.Errorf("Probe: %q, %v", server, err)
	}
	var found []string
	o.Examine(ctx, func(f pipeline.Finding) { found = append(found, fmt.Sprintf("%s %s", f.What, f.State)) })
	if want := []string{"TCP ok", "TCP ok", "login ok", "topic ok"}; !slices.Equal(found, want) {
		t.Errorf("Examine found %q, want %q", found, want)
	}
}
