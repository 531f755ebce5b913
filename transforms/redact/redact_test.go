package redact

import (
	"bufio"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/auto"
	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func defaults() *Config {
	return &Config{Detect: []string{"secrets"}, Action: "replace", Replacement: "[REDACTED]"}
}

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), "")
	pipetest.TestTransform(t, Spec(), `{detect: [secrets, email, ip, card, iban], replacement: "[{kind}]", `+
		`keys: [text], patterns: [x+]}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

// in returns the field that is the line, and the line itself, after a transform.
func transformed(t *testing.T, transform pipeline.Transform, line string) (record, raw string) {
	t.Helper()
	src := event.NewSource(1, "app", "k", nil)
	b := &event.Batch{}
	b.Reset(src)
	b.Add(0, 1700000000000000000, b.PutString(line))
	newJSON(src).Parse(b, 0)
	before := append([]event.Record(nil), b.Records...)
	transform.Apply(b)
	pipetest.CheckBatch(t, b, before)
	return string(event.AppendRecord(nil, b, 0, false)), string(b.Line(0))
}

// TestLines reads testdata: a line of "< ", and what becomes of it in "> ", or "=" if it stays as
// it is.
func TestLines(t *testing.T) {
	configs := map[string]*Config{
		"testdata/secrets.txt":  defaults(),
		"testdata/harmless.txt": defaults(),
		"testdata/personal.txt": {Detect: []string{"email", "ip", "card", "iban"}, Replacement: "[{kind}]"},
	}
	for file, c := range configs {
		t.Run(file, func(t *testing.T) { testLines(t, file, pipetest.MustTransform(t, c, nil)) })
	}
}

// TestASecondTime: what is left of the examples has no secret in it.
func TestASecondTime(t *testing.T) {
	transform := pipetest.MustTransform(t, defaults(), nil)
	text, err := os.ReadFile("testdata/secrets.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if left, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> "); ok {
			if _, got := transformed(t, transform, left); got != left {
				t.Errorf("%s became %s", left, got)
			}
		}
	}
}

func testLines(t *testing.T, file string, transform pipeline.Transform) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		mark, rest, _ := strings.Cut(lines.Text(), " ")
		switch mark {
		case "<":
			line = strings.NewReplacer("␤", "\n", "¶", "").Replace(rest)
		case ">", "=":
			want := strings.NewReplacer("␤", "\n", "¶", "").Replace(rest)
			if mark == "=" {
				want = line
			}
			if _, got := transformed(t, transform, line); got != want {
				t.Errorf("%s\n got %s\nwant %s", line, got, want)
			}
		}
	}
}

// TestNothingGetsOut looks for a secret in all that an output can write.
func TestNothingGetsOut(t *testing.T) {
	const hidden = "s3cr3tValue99"
	named := func(*event.Source) pipeline.Parser { return namedByPattern{} }
	for _, test := range []struct {
		name, line string
		parser     pipeline.NewParser
	}{
		{"field", `{"msg":"hi","password":"s3cr3tValue99"}`, newJSON},
		{"name with escapes", `{"msg":"hi","pass\u0077ord":"s3cr3tValue99"}`, newJSON},
		{"short name", `{"msg":"hi","PWD":"s3cr3tValue99"}`, newJSON},
		{"object", `{"msg":"hi","user":{"name":"x","auth":{"token":"s3cr3tValue99"}}}`, newJSON},
		{"object as value", `{"msg":"hi","credentials":{"a":"s3cr3tValue99"}}`, newJSON},
		{"list", `{"msg":"hi","headers":{"Authorization":["Bearer s3cr3tValue99"]}}`, newJSON},
		{"message", `{"msg":"connecting to https://me:s3cr3tValue99@host/x?a=1"}`, newJSON},
		{"service", `{"msg":"hi","service":"token=s3cr3tValue99"}`, newJSON},
		{"JSON in a string", `{"msg":"got {\"password\":\"s3cr3tValue99\",\"a\":1}"}`, newJSON},
		{"JSON in a string in a string", `{"msg":"{\"m\":\"{\\\"password\\\":\\\"s3cr3tValue99\\\"}\"}"}`, newJSON},
		{"twice", `{"password":"s3cr3tValue99","password":"s3cr3tValue99x"}`, newJSON},
		{"a line that nobody understands", `login with password=s3cr3tValue99 failed`, newJSON},
		{"a group's name", `ann s3cr3tValue99`, named},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := parsed(test.parser, test.line)
			pipetest.MustTransform(t, defaults(), nil).Apply(b)
			for what, text := range map[string][]byte{
				"the record": event.AppendRecord(nil, b, 0, true), "ECS": event.AppendECS(nil, b, 0),
				"the line":   b.Line(0),
				"a template": b.AppendNamed(b.AppendNamed(nil, 0, "message"), 0, "password"),
			} {
				if strings.Contains(string(text), hidden) {
					t.Errorf("%s shows it: %s", what, text)
				}
			}
			if !strings.Contains(string(b.Line(0)), "[REDACTED]") {
				t.Errorf("the line is %s", b.Line(0))
			}
		})
	}
}

func parsed(parser pipeline.NewParser, line string) *event.Batch {
	src := event.NewSource(1, "app", "k", nil)
	b := &event.Batch{}
	b.Reset(src)
	b.Add(0, 1714566896000000000, b.PutString(line))
	parser(src).Parse(b, 0)
	return b
}

// namedByPattern is like a parser whose pattern is <user> <password>.
type namedByPattern struct{}

func (namedByPattern) Parse(b *event.Batch, i int) bool {
	line := b.Records[i].Line
	space := uint32(strings.IndexByte(string(b.Line(i)), ' ') + 1)
	value := event.Value{Span: event.Span{Off: line.Off + space, Len: line.Len - space}, Kind: event.Plain}
	b.AddField(i, event.Value{Span: b.PutString("password"), Kind: event.Plain}, value)
	return true
}

func TestRejectedRecordsToo(t *testing.T) {
	b := parsed(newJSON, `password=hunter2`)
	b.Records[0].Flags |= event.Rejected
	pipetest.MustTransform(t, defaults(), nil).Apply(b)
	if got := string(b.Line(0)); got != "password=[REDACTED]" {
		t.Errorf("a dead letter would show %s", got)
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		name       string
		change     func(c *Config)
		line, want string
	}{
		{"keys", func(c *Config) { c.Keys = []string{"ssn"} }, `{"ssn":"078-05-1120","userSSN":123456,"ssn_kind":"x"}`,
			`{"ssn":"[REDACTED]","userSSN":"[REDACTED]","ssn_kind":"x"}`},
		{"except", func(c *Config) { c.Except = []string{"next_*", "csrf.token"} },
			`{"next_token":"abcdef","csrf.token":"x1y2","token":"abcdef"}`,
			`{"next_token":"abcdef","csrf.token":"x1y2","token":"[REDACTED]"}`},
		{"patterns", func(c *Config) { c.Patterns = []string{"customer-([0-9]+)", "x{3}"}; c.Replacement = "<{kind}>" },
			`{"a":"customer-17 xxx"}`, `{"a":"customer-<pattern> <pattern>"}`},
		{"patterns in JSON", func(c *Config) { c.Patterns = []string{"[0-9]{4}", "b.:"} },
			`{"n":1234,"o":{"n":12345,"b":[1234]}}`,
			`{"n":"[REDACTED]","o":{"n":[REDACTED]5,"[REDACTED]["[REDACTED]"]}}`},
		{"mask", func(c *Config) { c.Action = "mask" }, `{"token":"abcdefghijkl1234","password":"short"}`,
			`{"token":"****1234","password":"****"}`},
		{"hash", func(c *Config) { c.Action, c.HashKey = "hash", "0123456789abcdef" },
			`{"token":"abc","password":"abc","secret":"abd"}`,
			`{"token":"hmac:bcaa92843247bc25","password":"hmac:bcaa92843247bc25","secret":"hmac:e86ae13c7aa5f3fe"}`},
		{"personal data is not looked for", func(*Config) {}, `{"a":"ann@example.com 4111 1111 1111 1111 10.1.2.3"}`,
			`{"a":"ann@example.com 4111 1111 1111 1111 10.1.2.3"}`},
		{"secrets are not looked for", func(c *Config) { c.Detect = []string{"ip"} },
			`{"password":"x1y2","a":"10.1.2.3"}`, `{"password":"x1y2","a":"[REDACTED]"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := defaults()
			test.change(c)
			_, got := transformed(t, pipetest.MustTransform(t, c, nil), test.line)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamesOfSecrets(t *testing.T) {
	n := names{secrets: true}
	all := []string{"db.Password", "X-Api-Key"}
	for _, s := range append(slices.Clone(stems), shortStems...) {
		all = append(all, s.text, strings.ToUpper(s.text), "my_"+s.text, s.text+"2", s.text+"[]", s.text+" ")
	}
	for _, tail := range tails[1:] {
		all = append(all, "password_"+tail, "userPassword"+tail, "PASSWD-"+strings.ToUpper(tail), "pwd_"+tail)
	}
	all = append(all, "DB_PASS", "dbPass", "userpass", "bindpw", "MYSQL_PWD", "tokens", "api_keys", "secrets")
	for _, name := range all {
		if n.hints([]byte(name))&mayBeSecret == 0 || !n.isSecret([]byte(name)) {
			t.Errorf("%s is taken for no secret", name)
		}
	}
	for _, name := range []string{"password_changed", "key", "keys", "secretary", "opwd", "", "d", "cookiecutter",
		"bypass", "compass", "first_pass", "spin", "spinning", "token_count", "tokenizer", "author", "oauth", "raw",
		"hash",
		"commit_hash", "old_value", "session", "hotpw", "passed", "passes", "password_changed_at", "passwordless"} {
		if n.isSecret([]byte(name)) {
			t.Errorf("%s is taken for a secret", name)
		}
	}
}

func TestProblems(t *testing.T) {
	for path, c := range map[string]*Config{
		"patterns[0]": {Patterns: []string{"("}}, "keys[0]": {Keys: []string{""}}, "replacement": {Replacement: `"`},
		"hash_key": {Action: "hash", HashKey: "short"},
	} {
		if p := c.Check(); len(p) != 1 || p[0].Path != path {
			t.Errorf("%s: problems %+v", path, p)
		}
	}
}

const line220 = `{"level":"info","ts":"2024-05-01T12:34:56.789012Z","msg":"request ` +
	`completed","service":"checkout","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"GET",` +
	`"path":"/api/v1/orders/42","status":200,"duration_ms":12.7}`

func TestAllocs(t *testing.T) {
	transform := pipetest.MustTransform(t, defaults(), nil)
	for _, line := range []string{line220, `{"msg":"token refreshed for ann@example.com","password":null}`,
		`plain text, nothing in it: no token, no secret.`,
		`{"msg":"GET \/a?q=x%20y=1 \u003cok\u003e","path":"/a%2Fb"}`} {
		pipetest.AllocFree(t, transform, newJSON, line)
	}
}

func BenchmarkRedact(b *testing.B) {
	transform, err := defaults().Transform(pipetest.TransformEnv(b))
	if err != nil {
		b.Fatal(err)
	}
	detect := func(*event.Source) pipeline.Parser { return auto.New(nil) }
	for _, c := range []struct {
		name, line string
		parser     pipeline.NewParser
	}{
		{"json", line220, newJSON},
		{"text", `2024-05-01 12:34:56.789 INFO 17 --- [nio-8080-exec-3] c.e.shop.OrderController : Order 42 was ` +
			`accepted and sent to the warehouse for packing; estimated time is two days from now and the ` +
			`customer was told by mail`, newJSON},
		{"logfmt", `time=2024-05-01T12:34:56.789012Z level=info msg="request completed" ` +
			`trace_id=4bf92f3577b34da6a3ce929d0e0e4736 method=GET path=/api/v1/items/4211 status=200 ` +
			`duration=12.712ms user=u00042`, detect},
		{"nginx", `203.0.113.9 - u00042 [01/May/2024:12:34:56 +0000] "GET /api/v1/items/4211 HTTP/1.1" 200 4521 ` +
			`"https://shop.example.com/cart" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 ` +
			`Firefox/128.0"`, detect},
		{"log4j", `2024-05-01 12:34:56,789 INFO  [http-nio-8080-exec-3] com.example.shop.OrderService - request ` +
			`completed: order 4211 of user u00042 in 12.712 ms, trace_id=4bf92f3577b34da6a3ce929d0e0e4736`, detect},
	} {
		b.Run(c.name, func(b *testing.B) {
			batch := parsed(c.parser, c.line)
			b.SetBytes(int64(len(c.line)))
			b.ReportAllocs()
			for b.Loop() {
				transform.Apply(batch)
			}
		})
	}
}

// TestPanic: nothing of a line is shown where taking secrets out of it panics.
func TestPanic(t *testing.T) {
	env := pipeline.TransformEnv{Env: pipeline.NewEnv("t", slog.New(slog.DiscardHandler))}
	env.If = func(b *event.Batch, i int) bool {
		if strings.Contains(string(b.Line(i)), "boom") {
			panic("out of order")
		}
		return true
	}
	made, err := pipetest.Config[*Config](t, Spec(), "").Transform(env)
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", nil))
	for i, line := range []string{"password=hunter1", "boom password=hunter2", "password=hunter3"} {
		r := b.Add(uint64(i), 0, b.PutString(line))
		r.Message = event.Value{Kind: event.Text, Span: r.Line}
		note := event.Value{Kind: event.Text, Span: b.PutString("note")}
		b.AddField(i, note, event.Value{Kind: event.Text, Span: r.Line})
	}
	made.Apply(b)
	const withheld = "a line of 21 bytes is withheld, as redacting it has failed: it is at position 1 of its source"
	for i, want := range []string{"password=[REDACTED]", withheld, "password=[REDACTED]"} {
		if got := string(b.Bytes(b.MessageOf(i).Span)); got != want {
			t.Errorf("record %d: %q", i, got)
		}
		if left := b.Fields(1); len(left) > 0 || b.Records[1].Message.Kind != event.None {
			t.Errorf("left: %v", left)
		}
	}
}
