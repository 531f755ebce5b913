package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/longshore/longshore/pipeline/tlsfiles/tlstest"
)

// The one user that Kafka's SASL listeners know, by PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, and
// OAUTHBEARER with an unsecured token (RFC 7515, alg "none"), of any user.
const (
	KafkaUser     = "shipper"
	KafkaPassword = "secret-of-the-test"
)

// A KafkaCluster is one Apache Kafka of some nodes, each a broker and a controller (KRaft).
type KafkaCluster struct {
	t       testing.TB
	Nodes   []*KafkaNode
	CA      string // file of the authority that signed the certificates of the TLS listeners
	Cert    string // file of a client's certificate, which they ask for and do not require
	CertKey string
}

// A KafkaNode is one broker. Its addresses stay what they are when it is killed and started.
type KafkaNode struct {
	*Server
	ID      int32
	Plain   string // its listener without TLS and SASL
	SASL    string // with SASL
	TLS     string // with TLS
	SASLTLS string // with both

	dir, controller string
}

// Kafka starts one node. Each setting is key=value, as in "message.max.bytes=1000".
func Kafka(t testing.TB, settings ...string) *KafkaCluster {
	t.Helper()
	return KafkaOf(t, 1, settings...)
}

// KafkaOf starts a cluster of n nodes. Topics have a replica on each of up to three, and need two
// of three in sync; a node that is killed is noticed after six seconds.
func KafkaOf(t testing.TB, n int, settings ...string) *KafkaCluster {
	t.Helper()
	skipShort(t)
	jdk, jars, err := ensureKafka()
	if err != nil {
		unavailable(t, err)
	}
	c := &KafkaCluster{t: t}
	keys := c.certificates(t.TempDir())
	for i := range n {
		node, err := newKafkaNode(t, int32(i+1))
		if err != nil {
			t.Fatal(err)
		}
		c.Nodes = append(c.Nodes, node)
	}
	daemons := make([]*daemon, n)
	for i, node := range c.Nodes {
		config := filepath.Join(node.dir, "server.properties")
		if err := os.WriteFile(config, []byte(c.properties(node, keys, settings)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := formatKafka(jdk, jars, config); err != nil {
			t.Fatal(err)
		}
		daemons[i] = node.daemon(jdk, jars, config)
	}
	for i, s := range serveAll(t, daemons) {
		c.Nodes[i].Server = s
	}
	c.ready()
	return c
}

// serveAll starts servers that get ready only together, and ends them with the test.
func serveAll(t testing.TB, daemons []*daemon) []*Server {
	t.Helper()
	servers := make([]*Server, len(daemons))
	failed := make(chan error)
	for i, d := range daemons {
		servers[i] = &Server{t: t, d: d}
		t.Cleanup(func() {
			d.kill() // their data goes with the test
			if t.Failed() {
				t.Logf("the end of the log of %s:\n%s", d.name, lastLines(d.log(), 20))
			}
		})
		go func() { failed <- d.start() }()
	}
	var errs []error
	for range daemons {
		errs = append(errs, <-failed)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return servers
}

func newKafkaNode(t testing.TB, id int32) (*KafkaNode, error) {
	n := &KafkaNode{ID: id, dir: t.TempDir()}
	for _, address := range []*string{&n.Plain, &n.SASL, &n.TLS, &n.SASLTLS, &n.controller} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return n, nil
}

// certificates makes what the TLS listeners need, and returns the file with their certificate and
// key.
func (c *KafkaCluster) certificates(dir string) string {
	c.t.Helper()
	ca := tlstest.NewAuthority(c.t)
	c.CA, c.Cert, c.CertKey = ca.File, filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	ca.Issue(c.t, KafkaUser, c.Cert, c.CertKey)
	cert, key := filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	ca.Issue(c.t, "kafka", cert, key)
	var both []byte
	for _, file := range []string{key, cert} {
		text, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		both = append(both, text...)
	}
	path := filepath.Join(dir, "server.pem")
	if err := os.WriteFile(path, both, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *KafkaCluster) properties(n *KafkaNode, keys string, settings []string) string {
	var voters []string
	for _, node := range c.Nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", node.ID, node.controller))
	}
	listeners := fmt.Sprintf("PLAIN://%s,SASL://%s,TLS://%s,SASLTLS://%s", n.Plain, n.SASL, n.TLS, n.SASLTLS)
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", n.ID),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"controller.listener.names=CONTROLLER",
		"listeners=" + listeners + ",CONTROLLER://" + n.controller,
		"advertised.listeners=" + listeners,
		"listener.security.protocol.map=PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL," +
			"CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=PLAIN",
		"log.dirs=" + filepath.Join(n.dir, "data"),
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + keys,
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + c.CA,
		"ssl.client.auth=requested",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"auto.create.topics.enable=false",
		fmt.Sprintf("default.replication.factor=%d", min(len(c.Nodes), 3)),
		fmt.Sprintf("offsets.topic.replication.factor=%d", min(len(c.Nodes), 3)),
		fmt.Sprintf("transaction.state.log.replication.factor=%d", min(len(c.Nodes), 3)),
		fmt.Sprintf("min.insync.replicas=%d", min(len(c.Nodes), 2)),
		fmt.Sprintf("transaction.state.log.min.isr=%d", min(len(c.Nodes), 2)),
		"offsets.topic.num.partitions=4", "transaction.state.log.num.partitions=4",
		"num.network.threads=2", "num.io.threads=2", "log.cleaner.dedupe.buffer.size=4000000",
		"group.initial.rebalance.delay.ms=0",
		"broker.heartbeat.interval.ms=1000", "broker.session.timeout.ms=6000",
		"replica.lag.time.max.ms=6000",
		"controlled.shutdown.enable=true",
	}
	lines = append(lines, saslListener("sasl")...)
	lines = append(lines, saslListener("sasltls")...)
	return strings.Join(append(lines, settings...), "\n") + "\n"
}

func saslListener(name string) []string {
	mechanism := func(mechanism, module, options string) string {
		return fmt.Sprintf("listener.name.%s.%s.sasl.jaas.config=org.apache.kafka.common.security.%s required%s;",
			name, mechanism, module, options)
	}
	return []string{
		mechanism("plain", "plain.PlainLoginModule", fmt.Sprintf(` user_%s="%s"`, KafkaUser, KafkaPassword)),
		mechanism("scram-sha-256", "scram.ScramLoginModule", ""),
		mechanism("scram-sha-512", "scram.ScramLoginModule", ""),
		mechanism("oauthbearer", "oauthbearer.OAuthBearerLoginModule", ` unsecuredLoginStringClaim_sub="broker"`),
	}
}

// formatKafka prepares a node's folder, with the user of SCRAM.
func formatKafka(jdk, jars, config string) error {
	args := []string{
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR",
		"-cp", filepath.Join(jars, "*"), "kafka.tools.StorageTool", "format",
		"-t", "TG9uZ3Nob3JlLWUyZS1LYQ", "-c", config,
	}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, KafkaUser, KafkaPassword))
	}
	_, err := run(filepath.Dir(config), nil, filepath.Join(jdk, "bin", "java"), args...)
	return err
}

func (n *KafkaNode) daemon(jdk, jars, config string) *daemon {
	args := []string{
		"-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=INFO",
		"-cp", filepath.Join(jars, "*"), "kafka.Kafka", config,
	}
	return &daemon{
		name:    fmt.Sprintf("Kafka's node %d", n.ID),
		dir:     n.dir,
		command: func() *exec.Cmd { return exec.Command(filepath.Join(jdk, "bin", "java"), args...) },
		ready:   n.answers,
		patient: 2 * time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	}
}

// answers returns nil once the broker knows of itself, which it does when it is registered.
func (n *KafkaNode) answers(ctx context.Context) error {
	ids, err := kafkaBrokers(ctx, n.Plain)
	if err != nil {
		return err
	}
	if !slices.Contains(ids, n.ID) {
		return fmt.Errorf("it is not among the brokers %v yet", ids)
	}
	return nil
}

func kafkaBrokers(ctx context.Context, address string) ([]int32, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DialTimeout(time.Second), kgo.RequestRetries(0))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	var ids []int32
	for _, b := range resp.Brokers {
		ids = append(ids, b.NodeID)
	}
	return ids, nil
}

// ready waits until every node knows of all.
func (c *KafkaCluster) ready() {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		complete := true
		for _, n := range c.Nodes {
			ids, err := kafkaBrokers(c.t.Context(), n.Plain)
			complete = complete && err == nil && len(ids) == len(c.Nodes)
		}
		if complete {
			return
		}
		if time.Now().After(end) {
			c.t.Fatal("the nodes of Kafka do not find each other")
		}
	}
}

// Brokers are the plain addresses of all nodes.
func (c *KafkaCluster) Brokers() []string {
	var addresses []string
	for _, n := range c.Nodes {
		addresses = append(addresses, n.Plain)
	}
	return addresses
}

// Client returns a client of the plain listeners, which is closed with the test.
func (c *KafkaCluster) Client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Brokers()...)}, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// CreateTopic makes a topic. Each setting is key=value, as in "retention.ms=1000".
func (c *KafkaCluster) CreateTopic(name string, partitions int, settings ...string) {
	c.t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, int32(partitions), -1
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = key, &value
		topic.Configs = append(topic.Configs, config)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(c.t.Context(), c.Client())
	if err != nil {
		c.t.Fatalf("creating topic %s: %v", name, err)
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			c.t.Fatalf("creating topic %s: %v", name, err)
		}
	}
}

// Committed returns all committed records of a topic, in order within each partition.
func (c *KafkaCluster) Committed(ctx context.Context, topic string) ([]*kgo.Record, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...), kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kafkaEnds(ctx, cl, topic)
	if err != nil {
		return nil, err
	}
	var records []*kgo.Record
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if !r.Attrs.IsControl() {
					records = append(records, r)
				}
				if r.Offset+1 >= ends[p.Partition] {
					delete(ends, p.Partition)
				}
			}
		})
	}
	return records, nil
}

// kafkaEnds returns the offset behind the last record of each partition that is not empty. Aborted
// records at the very end are not delivered by a client, so the last stable offset is found by one
// that is: control records, which follow them.
func kafkaEnds(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	metadata := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	metadata.Topics = append(metadata.Topics, t)
	resp, err := metadata.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	ask := kmsg.NewListOffsetsRequestTopic()
	ask.Topic = topic
	for _, p := range resp.Topics[0].Partitions {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = p.Partition, -1
		ask.Partitions = append(ask.Partitions, partition)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = 1
	req.Topics = append(req.Topics, ask)
	ends := map[int32]int64{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("asking for the end of %s, partition %d: %w", topic, p.Partition, err)
				}
				if p.Offset > 0 {
					ends[p.Partition] = p.Offset
				}
			}
		}
	}
	return ends, nil
}

// ensureKafka returns the home of a fitting Java and the folder of Kafka's jars.
func ensureKafka() (jdk, jars string, err error) {
	return product{name: "Kafka", tool: "kafka", java: 17}.ensure()
}
