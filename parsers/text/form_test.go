package text

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestForms: a parser that is held to a form takes that one alone.
func TestForms(t *testing.T) {
	lines := map[string]string{
		"access": `203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "POST /api/v1/orders HTTP/2.0" 503 612 "-" ` +
			`"curl/8.5.0"`,
		"rfc5424": `<165>1 2024-05-01T12:00:00.003Z web-1 shop 8710 ID47 [a@1 iut="3"] An application event`,
		"rfc3164": `<34>May  1 12:00:00 web-1 su[230]: 'su root' failed for anna on /dev/pts/8`,
		"daemon":  `May  1 12:00:00 web-1 sshd[4321]: Accepted publickey for anna from 203.0.113.9 port 22 ssh2`,
		"klog":    `I0501 12:00:00.123456       1 server.go:42] Serving on :443`,
		"log4j": `2024-05-01 12:00:00,123 INFO  [main] com.example.shop.OrderService - done ` +
			`trace_id=4bf92f3577b34da6a3ce929d0e0e4736`,
	}
	tests := []struct {
		form  Form
		takes []string
	}{
		{AccessForm, []string{"access"}},
		{SyslogForm, []string{"rfc5424", "rfc3164", "daemon"}},
	}
	for _, test := range tests {
		newParser := func(*event.Source) pipeline.Parser { return &Parser{Only: test.form} }
		takes := map[string]bool{}
		for _, name := range test.takes {
			takes[name] = true
			pipetest.TestParser(t, newParser, lines[name])
		}
		src := event.NewSource(1, "test", "test", nil)
		for name, line := range lines {
			b := pipetest.ParserBatch(src, 1714564810e9, []byte(line))
			if got := newParser(src).Parse(b, 1); got != takes[name] {
				t.Errorf("form %d takes %s: %t", test.form, name, got)
			}
		}
	}
}
