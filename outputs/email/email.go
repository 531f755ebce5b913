// Package email sends records by mail, several in one where they come together, through an SMTP
// server (RFC 5321).
//
// A mail has the same Message-ID when it is sent again with the same records, by which most
// mailboxes show it once.
package email

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the output's settings.
type Config struct {
	Server     string            `yaml:"server" required:"true" doc:"The SMTP server, as host or host:port. Without a port it is 587, or 465 with encryption: tls." example:"smtp.example.com"`
	Encryption string            `yaml:"encryption" default:"starttls" enum:"starttls|tls|none" doc:"How the connection is encrypted: by STARTTLS, from the start, or not. A server without STARTTLS is not sent anything unless this says none."`
	Username   string            `yaml:"username" doc:"User to log in as."`
	Password   pipeline.Secret   `yaml:"password" doc:"Its password. It is only sent over an encrypted connection, or to this machine." example:"${SMTP_PASSWORD}"`
	From       string            `yaml:"from" required:"true" doc:"Address of the sender." example:"Longshore <longshore@example.com>"`
	To         []string          `yaml:"to" required:"true" doc:"Addresses of the recipients." example:"[ops@example.com]"`
	Subject    string            `yaml:"subject" default:"{level}: {message}" doc:"Subject, with {field} for the fields of the first record." example:"An alert of {service}"`
	Text       string            `yaml:"text" default:"{timestamp} {level} {service} {message}" doc:"What is written of each record, with {field} for its fields."`
	TLS        tlsfiles.Client   `yaml:"tls" doc:"Certificates."`
	Timeout    pipeline.Duration `yaml:"timeout" default:"30s" min:"1s" max:"10m" doc:"Longest time in which a mail is handed over."`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
	_ pipeline.Output       = (*Output)(nil)
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "email",
		Summary: "Sends records by mail, those that come together in one.",
		Traits:  pipeline.Traits{ForPeople: true},
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() (problems []pipeline.Problem) {
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if host, _, err := splitServer(c.Server, c.Encryption); err != nil || host == "" || strings.Contains(host, "/") {
		found("server", "is no host or host:port; write it like smtp.example.com:587")
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		found("from", "is no address: %s", err)
	}
	for i, to := range c.To {
		if _, err := mail.ParseAddress(to); err != nil {
			found(fmt.Sprintf("to[%d]", i), "is no address: %s", err)
		}
	}
	if len(c.To) == 0 {
		found("to", "has no address in it")
	}
	if c.Username == "" && c.Password != "" {
		found("username", "is missing; password needs it")
	}
	for path, text := range map[string]string{"subject": c.Subject, "text": c.Text} {
		if _, err := event.ParseTemplate(text); err != nil {
			found(path, "%s", err)
		}
	}
	return append(problems, c.TLS.Check("tls")...)
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() (problems []pipeline.Problem) {
	host, _, err := splitServer(c.Server, c.Encryption)
	if err == nil && c.Encryption == "none" && !isLocal(host) {
		problems = append(problems, pipeline.Problem{Path: "encryption",
			Message: "is none, so everyone on the way can read the mails; leave it out if the server has STARTTLS"})
	}
	return problems
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	host, port, _ := splitServer(c.Server, c.Encryption)
	o := &Output{
		host: host, address: net.JoinHostPort(host, port), encryption: c.Encryption, tls: c.TLS,
		username: c.Username, password: c.Password.Reveal(), timeout: time.Duration(c.Timeout),
	}
	o.subject, _ = event.ParseTemplate(c.Subject)
	o.text, _ = event.ParseTemplate(c.Text)
	o.from, _ = mail.ParseAddress(c.From)
	for _, text := range c.To {
		to, _ := mail.ParseAddress(text)
		o.to = append(o.to, to)
	}
	return o, nil
}

// splitServer returns the host and port of a server.
func splitServer(server, encryption string) (host, port string, err error) {
	port = "587"
	if encryption == "tls" {
		port = "465"
	}
	if bare := strings.Trim(server, "[]"); !strings.Contains(server, ":") || net.ParseIP(bare) != nil {
		return bare, port, nil
	}
	if host, port, err = net.SplitHostPort(server); err != nil {
		return "", "", err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, port, err
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// An Output sends mails through one server. Config makes it.
type Output struct {
	host, address, encryption string
	tls                       tlsfiles.Client
	username, password        string
	timeout                   time.Duration
	subject, text             event.Template
	from                      *mail.Address
	to                        []*mail.Address
}

const (
	maxRecords = 50        // in a mail
	maxBytes   = 1 << 20   // of a mail
	maxText    = 128 << 10 // of a record
	maxSubject = 200
)

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits {
	return pipeline.Limits{Bytes: maxBytes, Records: maxRecords, InOrder: true}
}

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder { return &encoder{o} }

// Original implements pipeline.Output.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	record, _, _ := bytes.Cut(body.Item(i), []byte{'\n'})
	return record
}

// Close implements pipeline.Output.
func (o *Output) Close() error { return nil }

type encoder struct{ *Output }

// Encode implements pipeline.Encoder: the record as a line of JSON, a line that would be the
// subject, and the text.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (group uint32, err error) {
	dst.Bytes = append(event.AppendRecord(dst.Bytes, b, i, true), '\n')
	subject := oneLine(e.subject.Append(nil, b, i))
	dst.Bytes = append(append(dst.Bytes, shorten(cmp.Or(subject, "(no message)"), maxSubject)...), '\n')
	text := strings.ToValidUTF8(string(e.text.Append(nil, b, i)), "\uFFFD")
	dst.Bytes = append(dst.Bytes, shorten(text, maxText)...)
	return 0, nil
}

// oneLine returns text as a header may have it.
func oneLine(text []byte) string {
	text = bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	return strings.ToValidUTF8(string(bytes.Join(bytes.Fields(text), []byte{' '})), "\uFFFD")
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + " …"
}

// Location implements pipeline.Prober.
func (o *Output) Location() string { return "smtp://" + o.address }

// Probe implements pipeline.Prober: it connects and logs in.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	s, err := o.open(ctx)
	if err != nil {
		return "", err
	}
	defer s.close()
	return "", nil
}
