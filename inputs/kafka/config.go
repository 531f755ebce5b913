package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the input's settings.
type Config struct {
	Brokers    []string          `yaml:"brokers" required:"true" doc:"Some of the cluster's brokers, as host:port; the others are learned from them." example:"[kafka-1:9092, kafka-2:9092]"`
	Topics     []string          `yaml:"topics" required:"true" doc:"Topics to read." example:"[logs]"`
	Group      string            `yaml:"group" default:"longshore" doc:"Consumer group. Its members share the partitions, and it keeps how far each is done."`
	Partitions []int             `yaml:"partitions" doc:"Read these partitions of each topic, without a group: how far they are done is kept in data_dir alone." example:"[0, 1]"`
	InstanceID string            `yaml:"instance_id" doc:"Name of this member (static membership), different for each: a restart within session_timeout then moves no partition." example:"${HOSTNAME}"`
	Start      string            `yaml:"start" default:"earliest" enum:"earliest|latest" doc:"Where to begin with a partition of which nothing was committed."`
	Session    pipeline.Duration `yaml:"session_timeout" default:"45s" min:"6s" max:"30m" doc:"After how long without a sign of life others take over the partitions."`
	SASL       SASL              `yaml:"sasl" doc:"Login by SASL."`
	TLS        TLS               `yaml:"tls" doc:"Encryption, and certificates."`
	ClientID   string            `yaml:"client_id" default:"longshore" doc:"Name under which brokers know the client, in logs and quotas."`
}

// TLS is tlsfiles.Client and whether to encrypt.
type TLS struct {
	Enabled bool `yaml:"enabled" doc:"Encrypt connections. It is so too where anything else is set here."`
	tlsfiles.Client
}

func (t *TLS) on() bool { return t.Enabled || t.Client != tlsfiles.Client{} }

// SASL is how to log in.
type SASL struct {
	Mechanism string          `yaml:"mechanism" enum:"plain|scram-sha-256|scram-sha-512|oauthbearer" doc:"How; it needs username and password, or for oauthbearer a token or token_file."`
	Username  string          `yaml:"username" doc:"User."`
	Password  pipeline.Secret `yaml:"password" doc:"Password." example:"${KAFKA_PASSWORD}"`
	Token     pipeline.Secret `yaml:"token" doc:"Token for oauthbearer."`
	TokenFile string          `yaml:"token_file" doc:"File with such a token; it is read at every login."`
}

var (
	_ pipeline.InputConfig = (*Config)(nil)
	_ pipeline.Checker     = (*Config)(nil)
	_ pipeline.Warner      = (*Config)(nil)
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "kafka",
		Summary: "Reads topics of Apache Kafka, as a member of a consumer group.",
		Traits: pipeline.Traits{
			Ephemeral: true, Acknowledges: true, WholeRecords: true, ReserveAhead: 10_000,
		},
		New: func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() (problems []pipeline.Problem) {
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	for i, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
			found(fmt.Sprintf("brokers[%d]", i), "is not a broker's address; write host:port, such as kafka:9092")
		}
	}
	for i, topic := range c.Topics {
		if topic == "" || len(topic) > 249 || strings.Trim(topic, topicLetters) != "" {
			found(fmt.Sprintf("topics[%d]", i), "is not the name of a topic; they have letters, digits, dots, _ and -")
		}
	}
	for i, p := range c.Partitions {
		if p < 0 {
			found(fmt.Sprintf("partitions[%d]", i), "is not a partition; they count from 0")
		}
	}
	if c.Group == "" && len(c.Partitions) == 0 {
		found("group", "is missing; name the consumer group, or set partitions to read without one")
	}
	if len(c.Partitions) > 0 && c.InstanceID != "" {
		found("instance_id", "is for members of a group; take it out, or partitions")
	}
	if c.TLS.on() {
		problems = append(problems, c.TLS.Check("tls")...)
	}
	return append(problems, c.SASL.check()...)
}

const topicLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	problems := c.TLS.Warnings("tls")
	if c.SASL.Mechanism == "plain" && !c.TLS.on() {
		problems = append(problems, pipeline.Problem{Path: "sasl.mechanism",
			Message: "sends the password as it is, and connections are not encrypted; set tls.enabled: true"})
	}
	return problems
}

func (s *SASL) check() (problems []pipeline.Problem) {
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: "sasl." + path, Message: fmt.Sprintf(format, args...)})
	}
	user, bearer := s.Username != "" || s.Password != "", s.Token != "" || s.TokenFile != ""
	switch {
	case s.Mechanism == "" && (user || bearer):
		found("mechanism", "is missing; name how to log in")
	case s.Mechanism == "oauthbearer" && !bearer:
		found("token", "is missing, or token_file")
	case s.Mechanism == "oauthbearer" && user:
		found("username", "is not for oauthbearer; take it out")
	case s.Mechanism != "" && s.Mechanism != "oauthbearer" && (s.Username == "" || s.Password == ""):
		found("username", "and password are needed for %s", s.Mechanism)
	case s.Mechanism != "oauthbearer" && bearer:
		found("token", "is for oauthbearer; take it out")
	}
	if s.Token != "" && s.TokenFile != "" {
		found("token_file", "and token exclude each other")
	}
	return problems
}

// mechanism returns how to log in; nil for not at all.
func (s *SASL) mechanism() sasl.Mechanism {
	user, password := s.Username, s.Password.Reveal()
	switch s.Mechanism {
	case "plain":
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	case "scram-sha-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case "scram-sha-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	case "oauthbearer":
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			if s.TokenFile == "" {
				return oauth.Auth{Token: s.Token.Reveal()}, nil
			}
			token, err := pipeline.ReadFile(s.TokenFile, maxToken)
			if err != nil {
				return oauth.Auth{}, fmt.Errorf("reading sasl.token_file: %w", err)
			}
			return oauth.Auth{Token: strings.TrimSpace(string(token))}, nil
		})
	}
	return nil
}

const (
	maxToken = 64 << 10 // bytes of a token's file
	// dialTimeout bounds connecting and the handshake of TLS.
	dialTimeout = 10 * time.Second
	// fetchPartition is how many bytes of a partition are asked for at a time: about as much of
	// each waits in memory.
	fetchPartition = 512 << 10
	fetchMost      = 8 << 20 // of all partitions of a broker
)

// options are those of a client.
func (c *Config) options() ([]kgo.Opt, error) {
	if c.TLS.on() {
		if _, err := c.TLS.Config(); err != nil {
			return nil, fmt.Errorf("reading the certificates of tls: %w", err)
		}
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID(c.ClientID), kgo.Dialer(c.dial),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxPartitionBytes(fetchPartition), kgo.FetchMaxBytes(fetchMost),
		kgo.ConsumeResetOffset(c.resetOffset()),
	}
	if m := c.SASL.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func (c *Config) resetOffset() kgo.Offset {
	if c.Start == "latest" {
		return kgo.NewOffset().AtEnd()
	}
	return kgo.NewOffset().AtStart()
}

// dial connects to a broker. Certificates are read for every connection.
func (c *Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	if !c.TLS.on() {
		return dialer.DialContext(ctx, network, address)
	}
	config, err := c.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of tls: %w", err)
	}
	secured := tls.Dialer{NetDialer: &dialer, Config: config}
	return secured.DialContext(ctx, network, address)
}
