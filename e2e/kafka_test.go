package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/outputs/kafka"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestKafkaOverKills ships files while agent and brokers are killed by turns: every line is in the
// topic once, for consumers that read what is committed, and those of a file are in order.
func TestKafkaOverKills(t *testing.T) {
	c := server.KafkaOf(t, 3)
	c.CreateTopic("logs", 6)
	dir := t.TempDir()
	a := newAgent(t, fmt.Sprintf(`inputs: {files: {type: file, paths: ["%s/*.log"]}}
outputs: {kafka: {type: kafka, brokers: ['%s'], timeout: 10s, batch_size: 64KiB}}
`, dir, strings.Join(c.Brokers(), "', '")))
	a.start()
	lines := map[string]int{}
	write := func(n int) {
		for f := range 4 {
			name := fmt.Sprintf("app-%d", f)
			var text []byte
			for range n {
				text = fmt.Appendf(text, "%s line %06d\n", name, lines[name])
				lines[name]++
			}
			add(t, filepath.Join(dir, name+".log"), text)
		}
	}
	for round := range 8 {
		for range 10 {
			write(300)
			time.Sleep(100 * time.Millisecond)
		}
		if round%3 == 1 { // a broker, and the agent while it is away
			node := c.Nodes[round%len(c.Nodes)]
			node.Kill()
			write(300)
			time.Sleep(time.Second)
			a.kill()
			a.start()
			node.Start()
			continue
		}
		a.kill()
		a.start()
	}
	write(100)
	var records []*kgo.Record
	eventually(t, "all lines in the topic", 3*time.Minute, func() (bool, string) {
		var err error
		records, err = c.Committed(t.Context(), "logs")
		want := 0
		for _, n := range lines {
			want += n
		}
		return len(records) >= want, fmt.Sprintf("%d of %d, %v", len(records), want, err)
	})
	a.stop()
	records, err := c.Committed(t.Context(), "logs")
	if err != nil {
		t.Fatal(err)
	}
	inOrderOnce(t, records, lines)
}

// inOrderOnce holds that each line is in the records once, and those of a file in order.
func inOrderOnce(t *testing.T, records []*kgo.Record, lines map[string]int) {
	t.Helper()
	next := map[string]int{}
	for _, r := range records {
		message := kafkaMessage(t, r)
		name, rest, _ := strings.Cut(message, " line ")
		if want := fmt.Sprintf("%06d", next[name]); rest != want {
			t.Fatalf("partition %d, offset %d: %q, want line %s of %s", r.Partition, r.Offset, message, want, name)
		}
		next[name]++
	}
	for name, n := range lines {
		if next[name] != n {
			t.Errorf("%d lines of %s, want %d", next[name], name, n)
		}
	}
}

func kafkaMessage(t *testing.T, r *kgo.Record) string {
	t.Helper()
	var value struct{ Message string }
	if err := json.Unmarshal(r.Value, &value); err != nil {
		t.Fatalf("%q: %v", r.Value, err)
	}
	return value.Message
}

// TestKafkaAwayAtStart starts the agent before there is a broker, and then a topic.
func TestKafkaAwayAtStart(t *testing.T) {
	c := server.Kafka(t)
	c.Nodes[0].Kill()
	dir := t.TempDir()
	add(t, filepath.Join(dir, "app.log"), bytes.Repeat([]byte("a line\n"), 1000))
	a := newAgent(t, fmt.Sprintf(`inputs: {files: {type: file, paths: ["%s/*.log"]}}
outputs: {kafka: {type: kafka, brokers: ['%s'], topic: later}}
`, dir, c.Nodes[0].Plain))
	a.start()
	eventually(t, "that the broker is away is told", time.Minute, func() (bool, string) {
		return strings.Contains(a.log.String(), "connection refused"), ""
	})
	c.Nodes[0].Start()
	eventually(t, "that the topic is missing is told", time.Minute, func() (bool, string) {
		_, ready := a.ask("/ready")
		return strings.Contains(ready, "create_topics"), ready
	})
	c.CreateTopic("later", 2)
	eventually(t, "all lines", 2*time.Minute, func() (bool, string) {
		records, err := c.Committed(t.Context(), "later")
		return err == nil && len(records) == 1000, fmt.Sprint(len(records), " ", err)
	})
	a.stop()
}

// TestKafkaLogins logs in by every mechanism, over TLS and without, and with a wrong password.
func TestKafkaLogins(t *testing.T) {
	c := server.Kafka(t)
	c.CreateTopic("logs", 1)
	n := c.Nodes[0]
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"sub":"shipper","iat":%d,"exp":%d}`,
		time.Now().Unix(), time.Now().Unix()+600)) + "."
	user := fmt.Sprintf("username: %s, password: %s", server.KafkaUser, server.KafkaPassword)
	sent := 0
	for name, settings := range map[string]string{
		"plain": fmt.Sprintf("brokers: ['%s'], sasl: {mechanism: plain, %s}", n.SASL, user),
		"scram": fmt.Sprintf("brokers: ['%s'], sasl: {mechanism: scram-sha-256, %s}", n.SASL, user),
		"scram-5": fmt.Sprintf("brokers: ['%s'], sasl: {mechanism: scram-sha-512, %s}, tls: {ca_file: %s}", n.SASLTLS,
			user, c.CA),
		"oauth": fmt.Sprintf("brokers: ['%s'], sasl: {mechanism: oauthbearer, token: %s}", n.SASL, token),
		"tls": fmt.Sprintf("brokers: ['%s'], tls: {ca_file: %s, cert_file: %s, key_file: %s}", n.TLS, c.CA, c.Cert,
			c.CertKey),
	} {
		t.Run(name, func(t *testing.T) {
			out := newAsked(t, kafkaWith(t, settings))
			if err := out.Send(t.Context(), kafkaBody(t, out, name)); err != nil {
				t.Fatal(err)
			}
		})
		sent += 10
	}
	for name, settings := range map[string]string{
		"wrong password": fmt.Sprintf("brokers: ['%s'], sasl: {mechanism: scram-sha-256, username: %s, password: x}",
			n.SASL, server.KafkaUser),
		"unknown authority": fmt.Sprintf("brokers: ['%s'], tls: {enabled: true}", n.TLS),
	} {
		t.Run(name, func(t *testing.T) {
			out := newAsked(t, kafkaWith(t, settings+", timeout: 10s"))
			err := out.Send(t.Context(), kafkaBody(t, out, name))
			var failed *pipeline.SendError
			if !errors.As(err, &failed) || failed.Outcome != pipeline.Hold || failed.Uncertain {
				t.Errorf("Send: %+v", err)
			}
		})
	}
	records, err := c.Committed(t.Context(), "logs")
	if err != nil || len(records) != sent {
		t.Errorf("%d records, %v; want %d", len(records), err, sent)
	}
}

// TestKafkaCompression holds that the broker, which looks into batches, takes every compression.
func TestKafkaCompression(t *testing.T) {
	c := server.Kafka(t, "message.max.bytes=2000")
	c.CreateTopic("logs", 2)
	sent := 0
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, transactional := range []bool{true, false} {
			out := newAsked(t, kafkaWith(t, fmt.Sprintf("brokers: ['%s'], compression: %s, transactional: %v",
				c.Nodes[0].Plain, compression, transactional)))
			for range 3 {
				if err := out.Send(t.Context(), kafkaBody(t, out, compression)); err != nil {
					t.Errorf("%s, %v: %v", compression, transactional, err)
				}
				sent += 10
			}
		}
	}
	records, err := c.Committed(t.Context(), "logs")
	if err != nil || len(records) != sent {
		t.Errorf("%d records, %v; want %d", len(records), err, sent)
	}
}

func kafkaWith(t *testing.T, settings string) pipeline.OutputConfig {
	t.Helper()
	return pipetest.Config[pipeline.OutputConfig](t, kafka.Spec(), "{"+settings+"}")
}

// kafkaBody is a body of ten lines.
func kafkaBody(t *testing.T, out pipeline.Output, name string) *pipeline.Body {
	t.Helper()
	b := records(name, map[string]string{"host.name": "a"}, time.Now(), time.Millisecond, 10, func(i int) string {
		return fmt.Sprintf("%s line %d %s", name, i, strings.Repeat("x", 100))
	})
	body, encoder := &pipeline.Body{}, out.Encoder()
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

// TestKafkaUnansweredCommits cuts the answers of brokers off again and again, by pausing them
// longer than a request may take: what is uncertain then is looked up, and each record is there
// once.
func TestKafkaUnansweredCommits(t *testing.T) {
	c := server.Kafka(t)
	c.CreateTopic("logs", 3)
	out := newAsked(t, kafkaWith(t, fmt.Sprintf("brokers: ['%s'], timeout: 2s", c.Nodes[0].Plain)))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	uncertain := 0
	for i := range 12 {
		body := kafkaBody(t, out, fmt.Sprint("source ", i))
		timer := time.AfterFunc(time.Duration(i)*2*time.Millisecond, c.Nodes[0].Pause)
		err := out.Send(ctx, body)
		timer.Stop()
		c.Nodes[0].Resume()
		uncertain += sendRest(ctx, t, out, body, err)
	}
	t.Logf("%d attempts were uncertain", uncertain)
	records, err := c.Committed(t.Context(), "logs")
	if err != nil || len(records) != 120 {
		t.Errorf("%d records, %v; want 120", len(records), err)
	}
}

// sendRest sends a body until it is stored, as package deliver does, and returns how often it was
// uncertain.
func sendRest(ctx context.Context, t *testing.T, out asked, body *pipeline.Body, err error) (uncertain int) {
	t.Helper()
	var failed *pipeline.SendError
	for err != nil && ctx.Err() == nil {
		if !errors.As(err, &failed) {
			t.Fatal(err)
		}
		if failed.Uncertain {
			uncertain++
			stored := make([]bool, len(body.Items))
			for err = out.Stored(ctx, body, stored); err != nil && ctx.Err() == nil; {
				err = out.Stored(ctx, body, stored)
			}
			switch found := bytes.Count(fmt.Append(nil, stored), []byte("true")); found {
			case len(stored):
				return uncertain
			case 0:
			default:
				t.Fatalf("%d of %d records of a transaction are stored", found, len(stored))
			}
		}
		err = out.Send(ctx, body)
	}
	return uncertain
}
