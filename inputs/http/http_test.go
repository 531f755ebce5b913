package http

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/inputs/receive/receivetest"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRig(t testing.TB, settings string) *receivetest.Rig {
	t.Helper()
	return receivetest.New(t, pipetest.Config[*Config](t, Spec(), "listen: 127.0.0.1:0\n"+settings))
}

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		return receivetest.Harness(t, pipetest.Config[*Config](t, Spec(), "listen: 127.0.0.1:0"),
			func(url string, lines []string) (*http.Request, error) {
				r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(strings.Join(lines, "\n")+"\n"))
				if err == nil {
					r.Header.Set("Content-Type", "text/plain; charset=utf-8")
				}
				return r, err
			})
	})
}

// TestBodies has each kind of body become lines, or an answer that says what is wrong.
func TestBodies(t *testing.T) {
	const text, ndjson, whole = "text/plain", "application/x-ndjson", "application/json"
	for i, test := range []struct {
		kind, body string
		status     int
		lines      []string // or what the answer says
	}{
		{text, "one\r\ntwo\n\nthree", 204, []string{"one", "two", "", "three"}},
		{text, "[2026-11-30] a line", 204, []string{"[2026-11-30] a line"}},
		{text, "", 204, nil},
		{ndjson, "{\"a\":1}\n{\"a\":2}\nno JSON\n", 204, []string{`{"a":1}`, `{"a":2}`, "no JSON"}},
		{whole, `[{"a":1},{"b":"]"} , {}]`, 204, []string{`{"a":1}`, `{"b":"]"}`, `{}`}},
		{whole, " [ ] ", 204, nil},
		{whole, "{\"a\":\n  1}\n", 204, []string{`{"a":1}`}},
		{whole, "{\"a\":1}\n{\"a\":2} {\"a\":3}", 204, []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{whole, `[{"a":1},2]`, 400, []string{"element 1", "nothing was taken"}},
		{whole, `[{"a":1}`, 400, []string{"no JSON", "unexpected end", "nothing of it was taken"}},
		{whole, `{"a":1}{`, 400, []string{"object 2"}},
		{whole, `"text"`, 400, []string{"no object"}},
		{whole, "{\"a\":1}\nno JSON", 400, []string{"object 2"}},
		{"", `[{"a":1},{"a":2}]`, 204, []string{`{"a":1}`, `{"a":2}`}},
		{"application/x-www-form-urlencoded", `{"a":1}`, 204, []string{`{"a":1}`}},
		{"", "[1] is a line", 204, []string{"[1] is a line"}},
		{"", "[1]", 204, []string{"[1]"}},
		{"multipart/form-data; boundary=x", "--x", 415, []string{"application/x-ndjson"}},
		{"a b c", "x", 415, []string{"cannot be read"}},
	} {
		rig := newRig(t, "")
		rig.Feed.AckAtOnce()
		status, answer := rig.Post(t, "/any", test.body, "Content-Type", test.kind)
		if status != test.status {
			t.Errorf("%d: %q is answered with %d %s", i, test.body, status, answer)
		}
		got := rig.Feed.Lines()
		if test.status == 204 && !slices.Equal(got, test.lines) {
			t.Errorf("%d: %q became %q", i, test.body, got)
		}
		for _, part := range test.lines {
			if test.status != 204 && (!strings.Contains(answer, part) || len(got) > 0) {
				t.Errorf("%d: %q is answered with %q, and %q was taken", i, test.body, answer, got)
			}
		}
		rig.Stop()
	}
}

// TestPaths tells who looks from who sends.
func TestPaths(t *testing.T) {
	rig := newRig(t, "path: /logs\ntoken: s3cret\nmax_body_size: 64KiB")
	rig.Feed.AckAtOnce()
	defer rig.Stop()
	const token = "Bearer s3cret"
	for _, test := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"GET", "/ready", "", "", 200},
		{"HEAD", "/ready", "", "", 200},
		{"POST", "/logs", token, "x", 204},
		{"PUT", "/logs", token, "x", 204},
		{"POST", "/logs", "", "x", 401},
		{"GET", "/logs", token, "", 405},
		{"POST", "/other", token, "x", 404},
		{"POST", "/ready", token, "x", 404},
		{"POST", "/logs", token, strings.Repeat("x", 64<<10+1), 413},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, rig.URL+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", test.token)
		if status, answer := rig.Do(t, r); status != test.status {
			t.Errorf("%s %s is answered with %d %s", test.method, test.path, status, answer)
		}
	}
}

// TestTheService names what sends nothing by the input.
func TestTheService(t *testing.T) {
	rig := newRig(t, "")
	rig.Feed.AckAtOnce()
	defer rig.Stop()
	rig.Post(t, "/", "a line")
	if got := rig.Feed.Got()[0].Source.Label("service"); got != "under-test" {
		t.Errorf("the service is %q", got)
	}
}

// TestWhoGoesIsNotAnswered ends a request without an answer, and the others go on.
func TestWhoGoesIsNotAnswered(t *testing.T) {
	rig := newRig(t, "")
	defer rig.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, rig.URL, strings.NewReader("a line"))
	ended := make(chan error, 1)
	go func() {
		_, err := rig.Client.Do(r)
		ended <- err
	}()
	rig.Feed.WaitFor(t.Context(), 1)
	cancel()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	rig.Feed.AckAtOnce()
	if status, _ := rig.Post(t, "/", "another"); status != 204 {
		t.Errorf("the next one is answered with %d", status)
	}
}

func TestConfigs(t *testing.T) {
	for text, wrong := range map[string]bool{
		"path: logs": true, "path: /ready": true, "path: /logs": false, "listen: '8088'": true,
	} {
		c := &Config{Listen: "127.0.0.1:1"}
		if name, value, _ := strings.Cut(text, ": "); name == "path" {
			c.Path = value
		} else {
			c.Listen = strings.Trim(value, "'")
		}
		if got := len(c.Check()) > 0; got != wrong {
			t.Errorf("%s: %v", text, c.Check())
		}
	}
	if len((&Config{Listen: ":80"}).Warnings()) == 0 {
		t.Error("an address that everybody reaches is not warned of")
	}
}

func FuzzBodies(f *testing.F) {
	for _, kind := range []string{"text/plain", "application/json", ""} {
		for _, body := range []string{"a\nb", `[{"a":[1,{"b":"\""}]},{}]`, `{"a":1}{"b":2}`, "[", `{"a`, "\xff"} {
			f.Add(kind, body)
		}
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		split, err := splitterOf(kind)
		if err != nil {
			return
		}
		total := 0
		err = split([]byte(body), func(line []byte) {
			total += len(line)
			if strings.Contains(string(line), "\n") {
				t.Errorf("%q has a line end", line)
			}
		})
		if total > len(body) {
			t.Errorf("%d bytes of %d", total, len(body))
		}
		if status, ok := receive.StatusOf(err); err != nil && (!ok || status != http.StatusBadRequest) {
			t.Errorf("%v is answered with %d", err, status)
		}
	})
}
