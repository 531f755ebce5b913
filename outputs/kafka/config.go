package kafka

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the output's settings.
type Config struct {
	Brokers       []string          `yaml:"brokers" required:"true" doc:"Some of the cluster's brokers, as host:port; the others are learned from them." example:"['kafka-1:9092', 'kafka-2:9092']"`
	Topic         string            `yaml:"topic" default:"logs" doc:"Topic. {field} is a field of the record or a label of its source; without one it is unknown, and characters that no topic may have become -." example:"logs-{service}"`
	CreateTopics  bool              `yaml:"create_topics" doc:"Ask for topics that do not exist, which brokers with auto.create.topics.enable create by their defaults."`
	Key           string            `yaml:"key" default:"source" doc:"Key of a record, which chooses its partition: source (all records of a source go to one partition, in order), none, or a template such as {trace_id}. Where a template is empty, it is the source's."`
	Schema        string            `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields in a record's JSON: longshore's own, which a longshore that consumes it needs, the Elastic Common Schema, or OpenTelemetry's."`
	Compression   string            `yaml:"compression" default:"snappy" enum:"none|gzip|snappy|lz4|zstd" doc:"How batches are compressed: snappy takes the least time, zstd the least room."`
	Level         int               `yaml:"compression_level" min:"0" max:"9" doc:"Level of gzip (1 to 9), lz4 (1 to 9) and zstd (1 to 4); 0 is the default of gzip, and the fastest of lz4 and zstd."`
	Transactional bool              `yaml:"transactional" default:"true" doc:"Send each request as a transaction: consumers with isolation.level read_committed see each record once, even after crashes. Without it brokers need no rights to transactions, and after a crash a record may be there twice."`
	BatchSize     pipeline.Size     `yaml:"batch_size" default:"1000000" min:"1KiB" max:"100MiB" doc:"Most bytes of records in a request, before compression. Brokers take batches of up to message.max.bytes, 1048588 unless set; what is too large is sent in halves."`
	SASL          SASL              `yaml:"sasl" doc:"Login by SASL."`
	TLS           TLS               `yaml:"tls" doc:"Encryption, and certificates."`
	ClientID      string            `yaml:"client_id" default:"longshore" doc:"Name under which brokers know the client, in logs and quotas."`
	Timeout       pipeline.Duration `yaml:"timeout" default:"30s" min:"1s" max:"10m" doc:"Longest time of one attempt to send."`
}

// TLS is tlsfiles.Client and whether to encrypt.
type TLS struct {
	Enabled bool `yaml:"enabled" doc:"Encrypt connections. It is so too where anything else is set here."`
	tlsfiles.Client
}

func (t *TLS) on() bool { return t.Enabled || t.Client != tlsfiles.Client{} }

// SASL is how to log in.
type SASL struct {
	Mechanism  string            `yaml:"mechanism" enum:"plain|scram-sha-256|scram-sha-512|oauthbearer" doc:"How; it needs username and password, or for oauthbearer a token, token_file or oauth2."`
	Username   string            `yaml:"username" doc:"User."`
	Password   pipeline.Secret   `yaml:"password" doc:"Password." example:"${KAFKA_PASSWORD}"`
	Token      pipeline.Secret   `yaml:"token" doc:"Token for oauthbearer."`
	TokenFile  string            `yaml:"token_file" doc:"File with such a token; it is read at every login."`
	OAuth2     httpclient.OAuth2 `yaml:"oauth2" doc:"OAuth2 with the client credentials grant, for oauthbearer."`
	Extensions map[string]string `yaml:"extensions" doc:"SASL extensions for oauthbearer." example:"{logicalCluster: lkc-1}"`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
	_ pipeline.Warner       = (*Config)(nil)
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "kafka",
		Summary: "Sends records to topics of Apache Kafka.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if len(c.Brokers) == 0 {
		found("brokers", "has no broker in it; write host:port")
	}
	for i, b := range c.Brokers {
		if why := badBroker(b); why != "" {
			found(fmt.Sprintf("brokers[%d]", i), "%s", why)
		}
	}
	if _, err := parseTopic(c.Topic); err != nil {
		found("topic", "%s", err)
	}
	if _, err := parseKey(c.Key); err != nil {
		found("key", "%s", err)
	}
	if most := map[string]int{"gzip": 9, "lz4": 9, "zstd": 4}[c.Compression]; c.Level > most {
		found("compression_level", "is at most %d for %s", most, c.Compression)
	}
	if c.TLS.on() {
		problems = append(problems, c.TLS.Check("tls")...)
	}
	return append(problems, c.SASL.check()...)
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	problems := c.TLS.Warnings("tls")
	if c.SASL.Mechanism == "plain" && !c.TLS.on() {
		problems = append(problems, pipeline.Problem{Path: "sasl.mechanism",
			Message: "sends the password as it is, and connections are not encrypted; set tls.enabled: true"})
	}
	return problems
}

func badBroker(address string) string {
	host, port, err := net.SplitHostPort(address)
	if strings.Contains(address, "://") {
		return "is a URL; write host:port, and tls.enabled: true for encryption"
	}
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
		return "is not a broker's address; write host:port, such as kafka:9092"
	}
	return ""
}

func (s *SASL) check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: "sasl" + path, Message: fmt.Sprintf(format, args...)})
	}
	user := s.Username != "" || s.Password != ""
	bearer := httpclient.Auth{BearerToken: s.Token, BearerTokenFile: s.TokenFile, OAuth2: s.OAuth2}
	switch {
	case s.Mechanism == "" && (user || bearer.Set() || len(s.Extensions) > 0):
		found(".mechanism", "is missing; name how to log in")
	case s.Mechanism == "":
	case s.Mechanism != "oauthbearer" && (bearer.Set() || len(s.Extensions) > 0):
		found(".mechanism", "is %s, which takes a username and password, and nothing of oauthbearer's", s.Mechanism)
	case s.Mechanism != "oauthbearer" && (s.Username == "" || s.Password == ""):
		found("", "needs a username and a password")
	case s.Mechanism == "oauthbearer" && user:
		found(".mechanism", "is oauthbearer, which takes no username and password; set oauth2, token or token_file")
	case s.Mechanism == "oauthbearer" && !bearer.Set():
		found("", "needs one of oauth2, token and token_file")
	}
	for _, p := range bearer.Check("") {
		p.Path = "sasl" + strings.Replace(p.Path, ".bearer_token", ".token", 1)
		problems = append(problems, p)
	}
	return problems
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	topic, err := parseTopic(c.Topic)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(c.Key)
	if err != nil {
		return nil, err
	}
	o := &Output{
		topic: topic, key: key, schema: event.SchemaNamed(c.Schema),
		limit: int(c.BatchSize), timeout: time.Duration(c.Timeout), brokers: slices.Clone(c.Brokers),
		tls: c.TLS, log: env.Log, panicked: env.Panicked, metrics: newMetrics(env.Metrics),
		notes: newNotes(env.Folder, time.Now), transactional: c.Transactional,
	}
	if o.packer, err = newPacker(c.Compression, c.Level); err != nil {
		return nil, err
	}
	if o.client, err = c.client(); err != nil {
		return nil, err
	}
	o.topics = newTopics(o.client, c.CreateTopics)
	o.producers = &producers{client: o.client, notes: o.notes, transactional: c.Transactional}
	o.config = c
	return o, nil
}
