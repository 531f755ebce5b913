package email

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

const plain = "encryption: none\nfrom: Longshore <longshore@example.com>\nto: [ops@example.com]\n"

func TestConformance(t *testing.T) {
	pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
		s := startServer(t, &server{})
		return pipetest.OutputHarness{
			Output: newOutput(t, s, plain+"text: '[[{message}]]'"),
			Stored: func(t testing.TB) (all []string) {
				for _, m := range s.all(t) {
					text := strings.TrimSuffix(strings.TrimPrefix(m.text, "[["), "]]\n")
					all = append(all, strings.Split(text, "]]\n[[")...)
				}
				return all
			},
			Away: func(testing.TB) { s.stop() },
		}
	})
}

func TestMail(t *testing.T) {
	s := startServer(t, &server{})
	out := newOutput(t, s, plain+"subject: '[{level}] {message}'\ntext: '{level} {message}'")
	lines := []string{
		"disk full\r\nBcc: everyone@example.com", "größer", ".", "\x00\x1b[31mred", strings.Repeat("x", 5000),
	}
	for range 2 { // as after an answer that was lost
		if err := out.Send(t.Context(), encode(t, out, lines)); err != nil {
			t.Fatal(err)
		}
	}
	got := s.all(t)
	if len(got) != 2 || got[0].id != got[1].id || got[0].id == "" {
		t.Fatalf("%d mails, want two with the same Message-ID", len(got))
	}
	want := received{
		from: "<longshore@example.com>", to: "<ops@example.com>", id: got[0].id,
		subject: "[error] disk full Bcc: everyone@example.com (and 4 more)",
		text: "error disk full\r\nBcc: everyone@example.com\nerror größer\nerror .\nerror \x00\x1b[31mred\nerror " +
			lines[4] + "\n",
	}
	if diff := cmp.Diff(want, got[0], cmp.AllowUnexported(received{})); diff != "" {
		t.Errorf("mail: -want +got\n%s", diff)
	}
}

// TestRefusals checks what becomes of a mail when the server answers a command with a code.
func TestRefusals(t *testing.T) {
	for answer, want := range map[string]string{
		"MAIL 451": "retry", "RCPT 450": "retry", "RCPT 550": "hold", "MAIL 553": "hold", "DATA 421": "retry",
		". 451": "retry", ". 554": "bisect", ". drop": "retry uncertain", "DATA drop": "retry",
	} {
		t.Run(answer, func(t *testing.T) {
			command, code, _ := strings.Cut(answer, " ")
			s := startServer(t, &server{refuse: map[string]string{command: code}})
			out := newOutput(t, s, plain)
			var failed *pipeline.SendError
			if err := out.Send(t.Context(), encode(t, out, []string{"a"})); !errors.As(err, &failed) {
				t.Fatalf("Send: %v", err)
			}
			got := failed.Outcome.String()
			if failed.Uncertain {
				got += " uncertain"
			}
			if got != want {
				t.Errorf("%s: %s, want %s", failed, got, want)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	for name, test := range map[string]struct {
		server   *server
		settings string
		want     string // in the error
	}{
		"starttls, plain":       {&server{tls: true, auth: "PLAIN LOGIN"}, "starttls", ""},
		"starttls, login":       {&server{tls: true, auth: "LOGIN"}, "starttls", ""},
		"tls":                   {&server{implicit: true, auth: "PLAIN"}, "tls", ""},
		"on this machine":       {&server{auth: "PLAIN"}, "none", ""},
		"wrong password":        {&server{auth: "PLAIN", password: "other"}, "none", "check username and password"},
		"no logins":             {&server{}, "none", "takes no logins"},
		"no starttls":           {&server{auth: "PLAIN"}, "starttls", "has no STARTTLS"},
		"tls where there is no": {&server{auth: "PLAIN"}, "tls", "set encryption to starttls"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, test.server)
			settings := strings.Replace(plain, "none", test.settings, 1) + "username: ann\npassword: S3CRET\n"
			if test.server.tls || test.server.implicit {
				settings += "tls: {ca_file: '" + s.caFile + "'}\n"
			}
			out := newOutput(t, s, settings)
			err := out.Send(t.Context(), encode(t, out, []string{"a"}))
			if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Send: %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "S3CRET") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestUnknownAuthority(t *testing.T) {
	s := startServer(t, &server{tls: true})
	out := newOutput(t, s, strings.Replace(plain, "none", "starttls", 1))
	var failed *pipeline.SendError
	err := out.Send(t.Context(), encode(t, out, []string{"a"}))
	if !errors.As(err, &failed) || failed.Outcome != pipeline.Hold || !strings.Contains(failed.Reason, "tls.ca_file") {
		t.Errorf("Send: %v, want one that holds and names tls.ca_file", err)
	}
}

func TestCheck(t *testing.T) {
	good := Config{Server: "smtp.example.com", From: "a@b", To: []string{"c@d"}}
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":   {func(*Config) {}, ""},
		"a port": {func(c *Config) { c.Server = "smtp.example.com:25" }, ""},
		"IPv6":   {func(c *Config) { c.Server = "::1" }, ""},
		"a URL": {
			func(c *Config) { c.Server = "smtp://h" },
			"server is no host or host:port; write it like smtp.example.com:587",
		},
		"a name": {func(c *Config) { c.From = "Ann" }, "from is no address: mail: missing '@' or angle-addr"},
		"nobody": {func(c *Config) { c.To = nil }, "to has no address in it"},
		"one line": {
			func(c *Config) { c.To = []string{"a@b\r\nX: y"} },
			"to[0] is no address: mail: expected single address, got \"\\r\\nX: y\"",
		},
		"no user":  {func(c *Config) { c.Password = "p" }, "username is missing; password needs it"},
		"template": {func(c *Config) { c.Subject = "{x" }, "subject has a { without its }; write {field}"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			test.change(&c)
			var got []string
			for _, p := range c.Check() {
				got = append(got, p.Path+" "+p.Message)
			}
			if text := strings.Join(got, "\n"); text != test.want {
				t.Errorf("%q, want %q", text, test.want)
			}
		})
	}
}

func newOutput(t testing.TB, s *server, settings string) pipeline.Output {
	t.Helper()
	c := pipetest.Config[*Config](t, Spec(), "server: "+s.listener.Addr().String()+"\n"+settings)
	out, err := c.Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type sameSource struct{ *event.Source }

func (s sameSource) SourceOf(int) *event.Source { return s.Source }

func encode(t testing.TB, out pipeline.Output, lines []string) *pipeline.Body {
	t.Helper()
	b := &event.Batch{}
	b.Reset(event.NewSource(7, "in", "key", nil))
	body, e := &pipeline.Body{Sources: sameSource{b.Source}}, out.Encoder()
	for i, line := range lines {
		b.Add(uint64(i), 0, b.PutString(line))
		b.Records[i].Level = event.Error
		if _, err := e.Encode(body, b, i); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: uint64(i), End: uint32(len(body.Bytes))})
	}
	return body
}

// A server is as much of an SMTP server as net/smtp talks to.
type server struct {
	tls, implicit bool
	auth          string            // the ways to log in
	password      string            // S3CRET if ""
	refuse        map[string]string // what a command is answered: a code, or drop

	listener net.Listener
	config   *tls.Config
	caFile   string
	serving  sync.WaitGroup

	mu    sync.Mutex
	mails []received
	raw   []string
}

type received struct{ from, to, subject, id, text string }

func startServer(t *testing.T, s *server) *server {
	t.Helper()
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate, which is for 127.0.0.1
	s.config = &tls.Config{Certificates: web.TLS.Certificates}
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	web.Close()
	if err := os.WriteFile(s.caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.implicit {
		s.listener = tls.NewListener(s.listener, s.config)
	}
	s.serving.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	_ = s.listener.Close()
	s.serving.Wait()
}

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serving.Go(func() {
			defer conn.Close()
			s.talk(conn)
		})
	}
}

func (s *server) talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 here")
	var from, to string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		command, rest, _ := strings.Cut(line, " ")
		switch code := s.refuse[command]; code {
		case "":
		case "drop":
			return
		default:
			say("%s not %s", code, command)
			continue
		}
		switch command {
		case "EHLO":
			say("250-here")
			if s.tls {
				say("250-STARTTLS")
			}
			if s.auth != "" {
				say("250-AUTH %s", s.auth)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			secure := tls.Server(conn, s.config)
			conn, in = secure, bufio.NewReader(secure)
		case "AUTH":
			s.logIn(rest, in, say)
		case "MAIL":
			_, from, _ = strings.Cut(rest, ":")
			from, _, _ = strings.Cut(from, " ")
			say("250 ok")
		case "RCPT":
			_, to, _ = strings.Cut(rest, ":")
			say("250 ok")
		case "DATA":
			say("354 go on")
			if !s.take(in, from, to, say) {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) logIn(how string, in *bufio.Reader, say func(string, ...any)) {
	want := s.password
	if want == "" {
		want = "S3CRET"
	}
	var password string
	if first, ok := strings.CutPrefix(how, "PLAIN "); ok {
		text, _ := base64.StdEncoding.DecodeString(first)
		parts := strings.Split(string(text), "\x00")
		password = parts[len(parts)-1]
	} else {
		for _, ask := range []string{"Username:", "Password:"} {
			say("334 %s", base64.StdEncoding.EncodeToString([]byte(ask)))
			line, _ := in.ReadString('\n')
			text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
			password = string(text)
		}
	}
	if password != want {
		say("535 no")
		return
	}
	say("235 yes")
}

// take reads a mail to its end, and reports whether the session goes on.
func (s *server) take(in *bufio.Reader, from, to string, say func(string, ...any)) bool {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	switch code := s.refuse["."]; code {
	case "":
	case "drop":
		return false
	default:
		say("%s no", code)
		return true
	}
	s.mu.Lock()
	s.mails = append(s.mails, received{from: from, to: to})
	s.raw = append(s.raw, text.String())
	s.mu.Unlock()
	say("250 taken")
	return true
}

func (s *server) all(t testing.TB) []received {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, raw := range s.raw {
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Header.Date(); err != nil || m.Header.Get("Bcc") != "" {
			t.Errorf("headers: %v %v", m.Header, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		s.mails[i].subject, s.mails[i].id = subject, m.Header.Get("Message-ID")
		s.mails[i].text = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	return s.mails
}

// TestExamine: connection, certificate, login, sender and recipients are looked at, and no mail is
// sent.
func TestExamine(t *testing.T) {
	for name, test := range map[string]struct {
		server *server
		want   string
	}{
		"fine":           {&server{tls: true, auth: "PLAIN"}, "server ok, TLS ok, sender ok"},
		"wrong password": {&server{tls: true, auth: "PLAIN", password: "other"}, "server failed"},
		"no starttls":    {&server{auth: "PLAIN"}, "server failed"},
		"not that sender": {&server{tls: true, auth: "PLAIN", refuse: map[string]string{"MAIL": "553"}},
			"server ok, TLS ok, sender failed"},
		"not those recipients": {&server{tls: true, auth: "PLAIN", refuse: map[string]string{"RCPT": "550"}},
			"server ok, TLS ok, recipient failed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, test.server)
			settings := strings.Replace(plain, "none", "starttls", 1) +
				"username: ann\npassword: S3CRET\ntls: {ca_file: '" + s.caFile + "'}\n"
			var told []string
			newOutput(t, s, settings).(pipeline.Examiner).Examine(t.Context(), func(f pipeline.Finding) {
				told = append(told, f.What+" "+f.State.String())
				if f.Says == "" || strings.Contains(f.Says, "S3CRET") {
					t.Errorf("%s: %q", f.What, f.Says)
				}
			})
			if got := strings.Join(told, ", "); got != test.want {
				t.Errorf("told %s, want %s", got, test.want)
			}
			if mails := s.all(t); len(mails) > 0 {
				t.Errorf("%d mails were sent", len(mails))
			}
		})
	}
}
