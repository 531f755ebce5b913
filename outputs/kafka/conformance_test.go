package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	for name, settings := range map[string]string{
		"transactional": "",
		"idempotent":    "transactional: false\ncompression: zstd\n",
		"keyless":       "key: none\ncompression: none\nschema: ecs\n",
	} {
		t.Run(name, func(t *testing.T) {
			partitions := int32(3)
			if name == "keyless" {
				partitions = 1 // there is no order but in one
			}
			pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
				cluster := fake(t, partitions)
				return pipetest.OutputHarness{
					Output: newOutput(t, cluster, settings),
					Stored: func(t testing.TB) []string { return messages(t, committed(t, cluster)) },
					Away:   func(testing.TB) { cluster.Close() },
				}
			})
		})
	}
}

func fake(t testing.TB, partitions int32) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(partitions, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func newOutput(t testing.TB, cluster *kfake.Cluster, settings string) *Output {
	t.Helper()
	return outputIn(t, cluster, settings, "")
}

// outputIn returns an output with a folder.
func outputIn(t testing.TB, cluster *kfake.Cluster, settings, folder string) *Output {
	t.Helper()
	config := fmt.Sprintf("brokers: [%s]\ntimeout: 5s\n%s", strings.Join(cluster.ListenAddrs(), ", "), settings)
	env := pipetest.Env(t)
	env.Folder = folder
	out, err := pipetest.Config[*Config](t, Spec(), config).Output(env)
	if err != nil {
		t.Fatal(err)
	}
	return out.(*Output)
}

// committed returns the committed records, in order within each partition.
func committed(t testing.TB, cluster *kfake.Cluster) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	o := newOutput(t, cluster, "")
	defer o.Close()
	topics, err := o.topics.of(ctx, []string{"logs"})
	if err != nil {
		t.Fatal(err)
	}
	var keys []partitionKey
	for p := range topics[0].leaders {
		keys = append(keys, partitionKey{"logs", int32(p)})
	}
	ends, err := o.offsets(ctx, keys, -1)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("logs"),
		kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for key, end := range ends {
		if end == 0 {
			delete(ends, key)
		}
	}
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if key := (partitionKey{r.Topic, r.Partition}); r.Offset+1 >= ends[key] {
				delete(ends, key)
			}
		})
	}
	return records
}

func messages(t testing.TB, records []*kgo.Record) []string {
	t.Helper()
	var all []string
	for _, r := range records {
		var value struct{ Message string }
		if err := json.Unmarshal(r.Value, &value); err != nil {
			t.Errorf("%q: %v", r.Value, err)
		}
		all = append(all, value.Message)
	}
	return all
}

var _ pipeline.Reconciler = (*Output)(nil)
