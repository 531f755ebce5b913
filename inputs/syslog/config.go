package syslog

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "syslog",
		Summary: "Receives syslog messages (RFC 5424 and 3164) by UDP, TCP, TLS or a Unix socket.",
		Traits:  pipeline.Traits{Ephemeral: true}, // nobody sends a message twice
		New:     func() any { return new(Config) },
	}
}

// Config is the input's config.
type Config struct {
	Listen         []string          `yaml:"listen" required:"true" doc:"Where to listen: udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://ADDRESS:PORT, or unix:///PATH for a datagram socket. Without an address it is all of the host's." example:"[\"udp://:514\", \"tcp://:514\"]"`
	TLS            TLS               `yaml:"tls" doc:"Certificates for tls://."`
	MaxMessageSize pipeline.Size     `yaml:"max_message_size" doc:"Longest message. Of a longer one only this much is kept, marked as truncated." default:"64KiB" min:"480B" max:"16MiB"`
	MaxConnections int               `yaml:"max_connections" doc:"Connections at a time. One more takes the place of the one that has been silent for longest, if that is a minute; else it is closed." default:"1000" min:"1" max:"65536"`
	MaxSenders     int               `yaml:"max_senders" doc:"Hosts that are told apart by address at a time. The messages of all others are one source, without a host.name." default:"1000" min:"1" max:"65536"`
	IdleTimeout    pipeline.Duration `yaml:"idle_timeout" doc:"Silence after which a connection is closed. Plain syslog has no acknowledgement, so many senders lose a message to a connection that was closed; the host that is gone is noticed by TCP's keep-alives, within minutes." default:"1h" min:"1s"`
	ReceiveBuffer  pipeline.Size     `yaml:"receive_buffer" doc:"Room in the kernel for datagrams that were not read yet. It is no more than net.core.rmem_max, unless the agent has CAP_NET_ADMIN." default:"4MiB" min:"4KiB" max:"1GiB"`
	QueueSize      pipeline.Size     `yaml:"queue_size" doc:"Datagrams that were read and wait in memory while outputs are slow. When it is full the kernel's buffer fills, and then overflows." default:"16MiB" min:"1MiB" max:"1GiB"`
}

// TLS is who the input is, and whom it lets in.
type TLS struct {
	CertFile     string `yaml:"cert_file" doc:"Certificate (PEM), with those between it and its authority. It is read again once it has changed." example:"/etc/longshore/tls.crt"`
	KeyFile      string `yaml:"key_file" doc:"Key of the certificate (PEM)." example:"/etc/longshore/tls.key"`
	ClientCAFile string `yaml:"client_ca_file" doc:"Certificates of authorities (PEM): only who shows a certificate signed by one of them is let in. It is read again once it has changed."`
}

func (t TLS) server() tlsfiles.Server {
	return tlsfiles.Server{CertFile: t.CertFile, KeyFile: t.KeyFile, ClientCAFile: t.ClientCAFile}
}

// The ways messages come.
const (
	overUDP  = "udp"
	overTCP  = "tcp"
	overTLS  = "tls"
	overUnix = "unix"
)

// An address is one of Config.Listen.
type address struct {
	over string
	at   string // host:port, or a path
}

// String returns the address as the config has it.
func (a address) String() string { return a.over + "://" + a.at }

func parseAddress(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.RawQuery != "" || u.User != nil {
		return address{}, fmt.Errorf("is no address; write it like udp://:514, tcp://10.0.0.5:601 or tls://:6514")
	}
	a := address{over: u.Scheme, at: u.Host}
	switch u.Scheme {
	case overUDP, overTCP, overTLS:
	case overUnix:
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return address{}, fmt.Errorf("needs an absolute path: unix:///run/longshore/log.sock")
		}
		a.at = u.Path
		return a, nil
	default:
		return address{}, fmt.Errorf("must begin with udp://, tcp://, tls:// or unix://")
	}
	if u.Path != "" {
		return address{}, fmt.Errorf("has a path, %s, which %s has not", u.Path, u.Scheme)
	}
	_, port, err := net.SplitHostPort(u.Host)
	if err != nil || port == "" {
		return address{}, fmt.Errorf("needs a port: %s://%s:514", u.Scheme, u.Hostname())
	}
	if n, err := strconv.Atoi(port); err != nil || n > 65535 {
		return address{}, fmt.Errorf("has the port %s, which is no number up to 65535", port)
	}
	return a, nil
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.TLS.server().Check("tls")
	seen, needed := map[address]bool{}, false
	for i, text := range c.Listen {
		path := fmt.Sprintf("listen[%d]", i)
		a, err := parseAddress(text)
		switch {
		case err != nil:
			problems = append(problems, pipeline.Problem{Path: path, Message: err.Error()})
			continue
		case seen[a]:
			problems = append(problems, pipeline.Problem{Path: path, Message: "is there twice"})
		case a.over == overTLS && !c.TLS.server().On():
			problems = append(problems, pipeline.Problem{Path: path, Message: "needs tls.cert_file and tls.key_file"})
		}
		seen[a] = true
		needed = needed || a.over == overTLS
	}
	if c.TLS.server().On() && !needed {
		problems = append(problems, pipeline.Problem{Path: "tls",
			Message: "is for tls://, which no address in listen begins with"})
	}
	return problems
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	in := &input{config: *c, env: env, metrics: newMetrics(env.Metrics), grace: stopGrace}
	for _, text := range c.Listen {
		a, err := parseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("%s %w", text, err)
		}
		in.addresses = append(in.addresses, a)
	}
	return in, nil
}
