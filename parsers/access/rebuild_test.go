package access

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestNothingIsLost sees to it that a line can be written again from its record: what its message
// no longer says stands in fields.
func TestNothingIsLost(t *testing.T) {
	for _, line := range []string{
		`203.0.113.9 - - [01/May/2024:12:00:00 +0000] "GET /a?b=1 HTTP/1.1" 200 612 "-" "curl/8.0"`,
		`203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "POST /x HTTP/2.0" 503 0 "https://example.com/" "a \"q\" b"`,
		`203.0.113.9 id7 anna [01/May/2024:12:00:00 +0000] "GET / HTTP/1.1" 404 - "-" "-"`,
		`203.0.113.9 - - [01/May/2024:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.0" rt=0.012 uct="0.001" -`,
		`203.0.113.9 - - [01/May/2024:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.0" "10.0.0.7"`,
		`203.0.113.9 - - [01/May/2024:12:00:00 +0000] "\x16\x03\x01 \xff" 400 157 "-" "-"`,
		`203.0.113.9 - - [01/May/2024:12:00:00 +0000] "GET /" 200 5 "-" "-"`,
		`203.0.113.9 - - [01/May/2024:12:00:00 +0000] "GET /a b HTTP/1.1" 200 5 "-" "-"`,
		`2001:db8::1 - - [01/May/2024:12:00:00 +0000] "-" 408 0 "-" "-"`,
		`shop.example.com:443 10.0.0.1 - anna [01/May/2024:12:00:00 +0000] "GET /a HTTP/1.1" 502 99 "-" "curl/8.5" 0.5`,
	} {
		if got := rebuilt(t, line); got != line {
			t.Errorf("%s\nis written again as\n%s", line, got)
		}
	}
}

// rebuilt parses a line of the combined format, perhaps with a host in front, and writes it again.
func rebuilt(t *testing.T, line string) string {
	t.Helper()
	newParser, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	b := pipetest.ParserBatch(event.NewSource(1, "test", "test", nil), 0, []byte(line))
	if !newParser(b.Source).Parse(b, 1) {
		t.Fatalf("not understood: %s", line)
	}
	text := event.AppendRecord(nil, b, 1, false)
	var rec map[string]any
	if err := json.Unmarshal(text, &rec); err != nil {
		t.Fatal(err)
	}
	if message := rec["message"].(string); len(message) > len(line)/2 {
		t.Errorf("the message of %s is not short: %s", line, message)
	}
	field := func(name string) string {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(text, &raw); err != nil {
			t.Fatal(err)
		}
		value, ok := raw[name]
		if !ok {
			return "-"
		}
		if s, ok := rec[name].(string); ok {
			return s
		}
		return string(value)
	}
	request := field("request")
	if request == "-" && rec["method"] != nil {
		request = field("method") + " " + field("path")
		if protocol, ok := rec["protocol"]; ok {
			request += " " + protocol.(string)
		}
	}
	at, err := time.Parse(time.RFC3339Nano, field("timestamp"))
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{
		field("remote_addr"), field("ident"), field("user"), at.Format("[02/Jan/2006:15:04:05 -0700]"),
		`"` + request + `"`, field("status"), field("bytes"), `"` + field("referer") + `"`,
		`"` + field("user_agent") + `"`,
	}
	if host, ok := rec["vhost"]; ok {
		parts = append([]string{host.(string)}, parts...)
	}
	if rest, ok := rec["rest"]; ok {
		parts = append(parts, rest.(string))
	}
	return strings.Join(parts, " ")
}
