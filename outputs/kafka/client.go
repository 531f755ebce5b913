package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

const (
	dialTimeout = 10 * time.Second
	// Requests that change nothing are made again by the client, so often and for so long.
	requestRetries = 3
	retryTime      = 5 * time.Second
	retryPause     = 100 * time.Millisecond
	// maxAnswer bounds an answer of a broker.
	maxAnswer = 64 << 20
)

// client returns the connections to the brokers. It does not connect.
func (c *Config) client() (*kgo.Client, error) {
	client, err := kgo.NewClient(c.connection()...)
	if err != nil {
		return nil, fmt.Errorf("preparing Kafka's client: %w", err)
	}
	return client, nil
}

func (c *Config) connection() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID(c.ClientID), kgo.SoftwareNameAndVersion("longshore", "1"),
		kgo.Dialer(c.dialer()), kgo.MaxVersions(versions()), kgo.DisableClientMetrics(),
		kgo.RequestRetries(requestRetries), kgo.RetryTimeout(retryTime),
		kgo.RetryBackoffFn(func(int) time.Duration { return retryPause }),
		kgo.BrokerMaxReadBytes(maxAnswer), kgo.RequiredAcks(kgo.AllISRAcks()),
	}
	if mechanism := c.SASL.mechanism(); mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts
}

// versions are those of the requests that the output is written for. Transactions are those of
// before KIP-890's second part, which every broker speaks.
func versions() *kversion.Versions {
	v := kversion.Stable()
	const produce, initProducerID, addPartitions, endTxn = 0, 22, 24, 26
	v.SetMaxKeyVersion(produce, 11)
	v.SetMaxKeyVersion(initProducerID, 4)
	v.SetMaxKeyVersion(addPartitions, 3)
	v.SetMaxKeyVersion(endTxn, 4)
	return v
}

// dialer returns how to connect. Certificates are read for every connection.
func (c *Config) dialer() tlsfiles.DialFunc {
	plain := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	if !c.TLS.on() {
		return plain
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := c.TLS.configFor(address)
		if err != nil {
			return nil, err
		}
		conn, err := plain(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, tlsfiles.HandshakeTimeout)
		defer cancel()
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("encrypting the connection to %s: %w", address, err)
		}
		return encrypted, nil
	}
}

// configFor returns the configuration for a connection to an address.
func (t *TLS) configFor(address string) (*tls.Config, error) {
	named := t.Client
	if named.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("dialing %s: %w", address, err)
		}
		named.ServerName = host
	}
	return named.Config()
}

// mechanism returns how to log in; nil for not at all.
func (s *SASL) mechanism() sasl.Mechanism {
	switch s.Mechanism {
	case "plain":
		return plain.Auth{User: s.Username, Pass: s.Password.Reveal()}.AsMechanism()
	case "scram-sha-256":
		return scram.Auth{User: s.Username, Pass: s.Password.Reveal()}.AsSha256Mechanism()
	case "scram-sha-512":
		return scram.Auth{User: s.Username, Pass: s.Password.Reveal()}.AsSha512Mechanism()
	case "oauthbearer":
		auth := httpclient.Auth{BearerToken: s.Token, BearerTokenFile: s.TokenFile, OAuth2: s.OAuth2}
		token := auth.Token()
		return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
			text, err := token(ctx)
			return oauth.Auth{Token: text, Extensions: s.Extensions}, err
		})
	}
	return nil
}
