package email

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// Send implements pipeline.Output.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	if len(body.Items) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	s, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	return s.deliver(o, o.message(body))
}

// A session is a connection to the server, logged in.
type session struct {
	*smtp.Client
	where string
	stop  func() bool
}

func (s *session) close() {
	_ = s.Quit()
	_ = s.Close()
	s.stop()
}

// open connects and logs in. Its error is a *pipeline.SendError.
func (o *Output) open(ctx context.Context) (*session, error) {
	conn, err := o.dial(ctx)
	if err != nil {
		return nil, o.failed("connecting", err, false)
	}
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	client, err := smtp.NewClient(conn, o.host)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, o.failed("being greeted", err, false)
	}
	s := &session{Client: client, where: o.Location(), stop: stop}
	if err := o.greet(s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (o *Output) dial(ctx context.Context) (net.Conn, error) {
	if o.encryption == "tls" {
		config, err := o.tlsConfig()
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", o.address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", o.address)
}

// tlsConfig reads the certificates, which may be renewed on disk.
func (o *Output) tlsConfig() (*tls.Config, error) {
	config, err := o.tls.Config()
	if err != nil {
		return nil, err
	}
	config.ServerName = cmp.Or(config.ServerName, o.host)
	return config, nil
}

// greet says who we are, encrypts, and logs in.
func (o *Output) greet(s *session) error {
	if err := s.Hello(helloName()); err != nil {
		return o.failed("EHLO", err, false)
	}
	if o.encryption == "starttls" {
		if has, _ := s.Extension("STARTTLS"); !has {
			return o.hold("it has no STARTTLS; set encryption to tls (port 465), or to none if the way to it is safe")
		}
		config, err := o.tlsConfig()
		if err != nil {
			return o.hold(err.Error())
		}
		if err := s.StartTLS(config); err != nil {
			return o.failed("STARTTLS", err, false)
		}
	}
	if o.username == "" {
		return nil
	}
	if has, _ := s.Extension("AUTH"); !has {
		return o.hold("it takes no logins; take out username and password")
	}
	if err := s.Auth(o.auth(s)); err != nil {
		return o.failed("logging in; check username and password", err, false)
	}
	return nil
}

// auth returns the way to log in that the server knows: PLAIN, or the older LOGIN.
func (o *Output) auth(s *session) smtp.Auth {
	if _, ways := s.Extension("AUTH"); !strings.Contains(ways, "PLAIN") && strings.Contains(ways, "LOGIN") {
		return &login{o.username, o.password}
	}
	return smtp.PlainAuth("", o.username, o.password, o.host)
}

// login is AUTH LOGIN, which has no RFC: the user's name, then the password.
type login struct{ username, password string }

// Start implements smtp.Auth.
func (l *login) Start(server *smtp.ServerInfo) (proto string, toServer []byte, err error) {
	if !server.TLS && !isLocal(server.Name) {
		return "", nil, errors.New("unencrypted connection")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (l *login) Next(fromServer []byte, more bool) ([]byte, error) {
	switch text := strings.ToLower(string(fromServer)); {
	case !more:
		return nil, nil
	case strings.HasPrefix(text, "username"):
		return []byte(l.username), nil
	case strings.HasPrefix(text, "password"):
		return []byte(l.password), nil
	}
	return nil, errors.New("the server asks for something else than a user and a password")
}

// helloName returns how we call ourselves: the host's name, if it may stand there.
func helloName() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "localhost"
	}
	return name
}

// deliver hands over a message.
func (s *session) deliver(o *Output, message []byte) error {
	if err := s.Mail(o.from.Address); err != nil {
		return o.failed("naming the sender", err, false)
	}
	for _, to := range o.to {
		if err := s.Rcpt(to.Address); err != nil {
			return o.failed("naming the recipient "+to.Address, err, false)
		}
	}
	w, err := s.Data()
	if err != nil {
		return o.failed("DATA", err, false)
	}
	if _, err := w.Write(message); err != nil {
		return o.failed("sending the mail", err, true)
	}
	if err := w.Close(); err != nil {
		e := o.failed("sending the mail", err, true)
		if e.Outcome == pipeline.Hold {
			e.Outcome = pipeline.Bisect // it is what is in the mail that the server rejects
		}
		return e
	}
	return nil
}

func (o *Output) hold(why string) *pipeline.SendError {
	return &pipeline.SendError{Outcome: pipeline.Hold, Reason: o.Location() + ": " + why}
}

// failed returns the error of a step. A server that rejects us for good (5xx) needs its operator or
// the user; anything else passes (RFC 5321, 4.2.1).
func (o *Output) failed(doing string, err error, sent bool) *pipeline.SendError {
	e := &pipeline.SendError{Outcome: pipeline.Retry, Err: err,
		Reason: fmt.Sprintf("%s: %s: %s", o.Location(), doing, httpclient.Clean(err.Error()))}
	var answer *textproto.Error
	var certificate *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &answer):
		if answer.Code >= 500 {
			e.Outcome = pipeline.Hold
		}
	case errors.As(err, &certificate):
		e.Outcome = pipeline.Hold
		e.Reason += "; set tls.ca_file to the CA that signed it"
	case errors.As(err, &plain):
		e.Outcome = pipeline.Hold
		e.Reason += "; this port does not begin with TLS: set encryption to starttls"
	case strings.Contains(err.Error(), "unencrypted connection"):
		e.Outcome = pipeline.Hold
		e.Reason += "; the password is not sent in the clear: set encryption to starttls or tls"
	default:
		e.Uncertain = sent
	}
	return e
}

// message returns a body as a mail (RFC 5322, 2045).
func (o *Output) message(body *pipeline.Body) []byte {
	var text bytes.Buffer
	var subject string
	for i := range body.Items {
		_, rest, _ := bytes.Cut(body.Item(i), []byte{'\n'})
		line, says, _ := bytes.Cut(rest, []byte{'\n'})
		if i == 0 {
			subject = string(line)
		}
		text.Write(says)
		text.WriteString("\n")
	}
	if more := len(body.Items) - 1; more > 0 {
		subject = fmt.Sprintf("%s (and %d more)", subject, more)
	}
	var to []string
	for _, a := range o.to {
		to = append(to, a.String())
	}
	var m bytes.Buffer
	for _, header := range [][2]string{
		{"From", o.from.String()},
		{"To", strings.Join(to, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", time.Now().Format(time.RFC1123Z)},
		{"Message-ID", messageID(body, o.from.Address)},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		m.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
	m.WriteString("\r\n")
	appendQuoted(&m, text.Bytes())
	return m.Bytes()
}

// appendQuoted appends text as quoted-printable, in which only a line feed ends a line.
func appendQuoted(m *bytes.Buffer, text []byte) {
	w := quotedprintable.NewWriter(m)
	for line := range bytes.Lines(text) {
		end := bytes.HasSuffix(line, []byte{'\n'})
		w.Binary = true
		_, _ = w.Write(bytes.TrimSuffix(line, []byte{'\n'}))
		w.Binary = false
		if end {
			_, _ = w.Write([]byte{'\n'})
		}
	}
	_ = w.Close()
}

// messageID returns what a mail with these records is known by.
func messageID(body *pipeline.Body, from string) string {
	first, last := body.SourceOf(0), len(body.Items)-1
	_, domain, _ := strings.Cut(from, "@")
	return fmt.Sprintf("<longshore.%s.%d.%s.%d.%d@%s>", first.ID, body.Items[0].Pos, body.SourceOf(last).ID,
		body.Items[last].Pos, len(body.Items), domain)
}
