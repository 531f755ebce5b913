package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/gzip"
	snappy "github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/cmd/longshore/importer"
	"github.com/longshore/longshore/components"
)

// foreignConfigs lists the configs of other tools in testdata/import, by folder and file.
func foreignConfigs(t *testing.T) (paths []string) {
	t.Helper()
	all, err := filepath.Glob("testdata/import/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		switch filepath.Ext(path) {
		case ".golden", ".lines", ".want":
			continue
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && !strings.HasPrefix(filepath.Base(path), "_") {
			paths = append(paths, path)
		}
	}
	return paths
}

// callIn runs a command with all real components and this input, in a folder.
func callIn(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(dir)
	return call(t, "", args...)
}

// TestImportGolden holds what is made of the configs in testdata/import, the notes and the share
// that was converted to golden files. Each tool has ten configs or more, and each result passes
// check.
func TestImportGolden(t *testing.T) {
	count := map[string]int{}
	for _, path := range foreignConfigs(t) {
		tool := filepath.Base(filepath.Dir(path))
		count[tool]++
		t.Run(tool+"/"+filepath.Base(path), func(t *testing.T) { checkImport(t, path) })
	}
	for _, tool := range importer.Tools() {
		if folder := string(tool); count[folder] < 10 {
			t.Errorf("%d configs of %s, want at least 10", count[folder], tool)
		}
	}
}

func checkImport(t *testing.T, path string) {
	golden, err := filepath.Abs(path + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := callIn(t, filepath.Dir(path), "import", filepath.Base(path))
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if tool := filepath.Base(filepath.Dir(golden)); !strings.HasPrefix(lastLine(stderr), title(tool)) {
		t.Errorf("taken for a config of another tool: %s", lastLine(stderr))
	}
	if strings.Contains(stdout+stderr, "literal") {
		t.Errorf("a secret is shown:\n%s\n%s", stdout, stderr)
	}
	got := stdout + "---\n" + stderr
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("run with -update if this is meant.\ngot:\n%s\nwant:\n%s", got, want)
	}
}

func title(tool string) string { return importer.Tool(tool).Title() }

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestImportIsChecked: what is printed passes check once the variables it needs are set, and the
// files it names are there.
func TestImportIsChecked(t *testing.T) {
	for _, path := range foreignConfigs(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		result, err := importer.Convert(importer.Source{
			Name: path, Text: text, Include: includeBelow(filepath.Dir(path)),
		})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if err := result.Accept(components.All(), func(string) (string, bool) { return "", false }); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		config := result.Config()
		if bytes.Contains(config, []byte("_file:")) || bytes.Contains(config, []byte("${file:")) {
			continue
		}
		environment := map[string]string{}
		for _, name := range result.Variables {
			environment[name] = "http://localhost:3100"
			if !bytes.Contains(config, []byte("url: ${"+name)) && !bytes.Contains(config, []byte("urls: ['${"+name)) {
				environment[name] = "3100"
			}
		}
		var stdout, stderr bytes.Buffer
		a := app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, components: components.All(),
			env: func(name string) (string, bool) { v, ok := environment[name]; return v, ok }}
		if code := a.run(t.Context(), []string{"check", written(t, string(config))}); code != 0 {
			t.Errorf("%s: check: %s\n%s", path, &stderr, config)
		}
	}
}

// TestImportWrites: a file that is there is not overwritten, and what cannot be converted or read
// is an error with an exit code.
func TestImportWrites(t *testing.T) {
	dir := t.TempDir()
	promtail := "clients: [{url: 'http://loki:3100'}]\nscrape_configs:\n- job_name: a\n  static_configs:\n" +
		"  - labels: {__path__: /var/log/a.log}\n"
	file := filepath.Join(dir, "promtail.yml")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "longshore.yml")
	tests := []struct {
		name, text   string
		args         []string
		code         int
		stdout, want string
	}{
		{"to a file", promtail, []string{"-o", out}, exitDone, "", "100 % converted"},
		{"not over it", promtail, []string{"-o", out}, exitFailed, "", "is there already"},
		{"over it", promtail, []string{"-o", out, "--force"}, exitDone, "", "100 % converted"},
		{"to standard output", promtail, nil, exitDone, "paths: [/var/log/a.log]", "100 % converted"},
		{"of no tool", "a: 1\n", nil, exitConfig, "", "is not recognised"},
		{"of another tool", promtail, []string{"--from", "nxlog"}, exitUsage, "", "no tool that is known"},
		{"not YAML", "a: [1\n", []string{"--from", "promtail"}, exitConfig, "", "promtail.yml:1: not YAML"},
		{"nothing to read", "clients: [{url: 'http://loki:3100'}]\nscrape_configs: [{job_name: a, gelf: {}}]\n",
			[]string{"--from", "promtail"}, exitConfig, "", "nothing in"},
		{"an own config", "inputs: {a: {type: docker}}\noutputs: {o: {type: stdout}}\n", nil, exitConfig, "",
			"is not recognised"},
	}
	for _, test := range tests {
		put(test.text)
		code, stdout, stderr := call(t, "", append([]string{"import", file}, test.args...)...)
		if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit %d, %q, %q", test.name, code, stdout, stderr)
		}
	}
	if code, _, stderr := call(t, "", "check", out); code != 0 {
		t.Errorf("what was written: %s", stderr)
	}
}

// TestImportDelivers sends sample lines through what was made of a config, to a server that is
// like its destination, and holds what arrives there to the labels and fields that the tool itself
// gives: X.lines has the lines, X.want what arrives. The first input reads the lines instead of
// what it names.
func TestImportDelivers(t *testing.T) {
	samples, err := filepath.Glob("testdata/import/*/*.lines")
	if err != nil || len(samples) == 0 {
		t.Fatal(samples, err)
	}
	for _, path := range samples {
		path := strings.TrimSuffix(path, ".lines")
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) { checkDelivered(t, path) })
	}
}

var (
	readPaths   = regexp.MustCompile(`(?m)^    paths:( \[.*\]|(\n      - .*)+)$`)
	sentTo      = regexp.MustCompile(`(?m)^    urls?: .*$`)
	authIn      = regexp.MustCompile(`(?m)^    (auth|tls|query|headers):\n(      .*\n)+|^    (proxy|api_key): .*\n`)
	arrivals    = regexp.MustCompile(`(?m)^\S+ \{`)
	timestampOf = regexp.MustCompile(`"@timestamp":"([^"]*)"`)
	todayOf     = regexp.MustCompile(`\d{4}\.\d\d\.\d\d`)
	listenIn    = regexp.MustCompile(`(?m)^http:\n(  .*\n)+`)
)

func checkDelivered(t *testing.T, path string) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	code, made, stderr := callIn(t, filepath.Dir(absolute), "import", filepath.Base(path))
	if code != 0 {
		t.Fatal(stderr)
	}
	lines, err := os.ReadFile(absolute + ".lines")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "sample.log")
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(absolute + ".want")
	if err != nil && !*update {
		t.Fatal(err)
	}
	sink := &receiver{enough: len(arrivals.FindAll(want, -1)), done: make(chan struct{})}
	wait := time.Minute
	if *update {
		sink.enough, wait = -1, 4*time.Second // longer than lines are waited for that may be joined
	}
	server := httptest.NewServer(sink)
	defer server.Close()
	head := "version: 1\ndata_dir: " + dir + "/data\nhttp: {listen: '127.0.0.1:0'}\n"
	made = strings.Replace(made, "version: 1\n", head, 1)
	made = listenIn.ReplaceAllString(made, "")
	reads := "    paths: [" + file + "]"
	made = readPaths.ReplaceAllStringFunc(made, func(string) string {
		first := reads
		reads = "    paths: [" + dir + "/none]"
		return first
	})
	made = sentTo.ReplaceAllStringFunc(made, func(old string) string {
		if strings.Contains(old, "urls") {
			return "    urls: ['" + server.URL + "']"
		}
		return "    url: " + server.URL + "\n    reconcile: off"
	})
	made = authIn.ReplaceAllString(made, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderrOfRun bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderrOfRun, components: components.All(),
		env: func(string) (string, bool) { return "", false }}
	ended := make(chan int)
	go func() { ended <- a.run(ctx, []string{"run", written(t, made)}) }()
	select {
	case <-sink.done:
	case code := <-ended:
		t.Fatalf("run ended with %d: %s\n%s", code, &stderrOfRun, made)
	case <-time.After(wait):
	}
	cancel()
	<-ended
	got := strings.ReplaceAll(sink.text(), file, "FILE")
	if host, err := os.Hostname(); err == nil {
		got = strings.ReplaceAll(got, `"host.name":"`+host+`"`, `"host.name":"HOST"`)
		got = strings.ReplaceAll(got, `host="`+host+`"`, `host="HOST"`)
		got = strings.ReplaceAll(got, `"host.hostname":"`+host+`"`, `"host.hostname":"HOST"`)
	}
	if *update {
		if err := os.WriteFile(absolute+".want", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s\n%s", got, want, &stderrOfRun)
	}
}

// A receiver takes what is pushed to Loki or sent to Elasticsearch.
type receiver struct {
	enough int
	done   chan struct{}

	mu      sync.Mutex
	entries []string
}

func (r *receiver) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.entries)
	return strings.Join(r.entries, "")
}

func (r *receiver) add(entry string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, entry+"\n")
	if len(r.entries) == r.enough {
		close(r.done)
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasSuffix(req.URL.Path, "/push"):
		r.push(w, body)
	case strings.HasSuffix(req.URL.Path, "/_bulk"):
		r.bulk(w, req, body)
	default:
		fmt.Fprint(w, `{"version":{"number":"8.19.0"},"tagline":"You Know, for Search"}`)
	}
}

// push takes streams: an entry is its time, labels and line.
func (r *receiver) push(w http.ResponseWriter, body []byte) {
	raw, err := snappy.Decode(nil, body)
	var pushed push.PushRequest
	if err == nil {
		err = pushed.Unmarshal(raw)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, s := range pushed.Streams {
		for _, e := range s.Entries {
			when := e.Timestamp.UTC().Format(time.RFC3339Nano)
			if time.Since(e.Timestamp) < time.Hour {
				when = "now" // the line has no time of its own
			}
			r.add(when + " " + s.Labels + " " + e.Line)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// bulk takes documents: an entry is its index and the document.
func (r *receiver) bulk(w http.ResponseWriter, req *http.Request, body []byte) {
	if req.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(unpacked)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	index := regexp.MustCompile(`"_index":"([^"]*)"`)
	var items []string
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		name := strings.TrimPrefix(req.URL.Path, "/")
		if m := index.FindStringSubmatch(lines[i]); m != nil {
			name = m[1]
		}
		doc := timestampOf.ReplaceAllStringFunc(lines[i+1], func(member string) string {
			when, err := time.Parse(time.RFC3339Nano, timestampOf.FindStringSubmatch(member)[1])
			if err == nil && time.Since(when) < time.Hour {
				name = todayOf.ReplaceAllString(name, "TODAY") // the line has no time of its own
				return `"@timestamp":"now"`
			}
			return member
		})
		r.add(name + " " + doc)
		items = append(items, `{"create":{"status":201,"_index":"x","_id":"1"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	fmt.Fprintf(w, `{"errors":false,"items":[%s]}`, strings.Join(items, ","))
}

// TestForeignConfigIsNamed: a config of another tool that is given to check, or to run, has one
// error, which says what it is and how to convert it.
func TestForeignConfigIsNamed(t *testing.T) {
	for _, path := range foreignConfigs(t) {
		code, _, stderr := call(t, "", "check", path)
		want := path + ": this is a config of " + title(filepath.Base(filepath.Dir(path))) +
			"; convert it with: longshore import " + path + " -o longshore.yml\n1 error in " + path + "\n"
		if code != exitConfig || stderr != want {
			t.Errorf("exit %d, %q", code, stderr)
		}
	}
	toml := filepath.Join(t.TempDir(), "longshore.toml")
	if err := os.WriteFile(toml, []byte("[inputs.a]\ntype = \"docker\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "run", toml); code != exitConfig || !strings.Contains(stderr, "this is TOML") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	own := written(t, "inputs: {a: {type: dockr}}\noutputs: {o: {type: stdout}}\n")
	if _, _, stderr := call(t, "", "check", own); !strings.Contains(stderr, "dockr") {
		t.Errorf("%q", stderr)
	}
}

// TestReportsOfOtherConverters are faults that users of other converters have reported.
func TestReportsOfOtherConverters(t *testing.T) {
	const files = "scrape_configs: [{job_name: a, static_configs: [{labels: {__path__: /var/log/a.log}}]}]\n"
	tests := []struct {
		report, tool, text string
		made, told         string
	}{
		{"grafana/alloy#3075: a setting that is unknown fails the whole conversion", "promtail",
			"client: {url: 'http://loki:3100', batchwait: 1s, stream_lag_labels: ''}\n" + files,
			"url: http://loki:3100", "promtail:1: not converted: client.stream_lag_labels"},
		{"grafana/agent#4835: a positions block fails it", "promtail",
			"clients: [{url: 'http://loki:3100'}]\npositions: {filename: /tmp/p.yaml}\n" + files,
			"paths: [/var/log/a.log]", "promtail:2: not needed: positions: "},
		{"fluent/fluent-bit#11168: the slashes of /…/ become part of a pattern", "fluent-bit",
			"[INPUT]\n Name tail\n Path /a.log\n Tag a\n Parser mult_1\n[PARSER]\n Name mult_1\n Format regex\n" +
				" Regex /Processing by (?<controller>[^#]+) as (?<format>[^ ]+?)$/\n[OUTPUT]\n Name stdout\n " +
				"Match *\n",
			"pattern: 'Processing by (?<controller>[^#]+) as", "100 % converted"},
		{"fluent/fluent-bit#2394: the parser of the first line counts", "fluent-bit",
			"[INPUT]\n Name tail\n Path /a.log\n Multiline On\n Parser_Firstline start\n Parser_1 " +
				"middle\n[PARSER]\n Name start\n" +
				" Format regex\n Regex ^(?<log>Exception.*)$\n[OUTPUT]\n Name stdout\n Match *\n",
			"start_pattern: '^(?<log>Exception.*)$'", "not converted: pipeline.inputs[0].parser_1"},
		{"grafana/loki#3806: a rule that takes a prefix off filename does nothing, and nobody says so", "promtail",
			"clients: [{url: 'http://loki:3100'}]\nscrape_configs:\n- job_name: a\n  static_configs: [{labels: " +
				"{__path__: /host/a.log}}]\n" +
				"  relabel_configs: [{source_labels: [filename], regex: '/host(/.+)', replacement: $1, " +
				"target_label: filename}]\n",
			"filename: '{filename}'", "not converted: scrape_configs[0].relabel_configs[0]"},
	}
	for _, test := range tests {
		code, stdout, stderr := call(t, test.text, "import", "--from", test.tool, "-")
		told := strings.ReplaceAll(stderr, "standard input:", test.tool+":")
		if code != 0 || !strings.Contains(stdout, test.made) || !strings.Contains(told, test.told) {
			t.Errorf("%s: exit %d\n%s\n%s", test.report, code, stdout, told)
		}
	}
	// grafana/alloy#5493: positions that cannot be read are ignored, and everything is sent again.
	dir := t.TempDir()
	config := written(t, "clients: [{url: 'http://loki:3100'}]\n"+files)
	code, stdout, stderr := call(t, "", "import", "--from", "promtail", config, "--positions", dir+"/none.yml",
		"--data-dir",
		dir+"/data")
	if code == 0 || stdout != "" || !strings.Contains(stderr, "reading the positions") {
		t.Errorf("positions that are not there: exit %d\n%s\n%s", code, stdout, stderr)
	}
}

// TestImportHidesSecrets: passwords in URLs, of proxies and in queries become variables, too.
func TestImportHidesSecrets(t *testing.T) {
	const text = "clients:\n- url: 'https://ann:secret1@loki:3100/push?tenant=a&api_key=secret2'\n" +
		"  proxy_url: 'http://bob:secret3@proxy:8080'\n  headers: {X-Token: secret4}\n" +
		"  basic_auth: {username: ann, password: secret5}\n  unknown_password: secret6\n" +
		"scrape_configs: [{job_name: a, static_configs: [{labels: {__path__: '/var/log/{a,b}.log'}}]}]\n"
	code, stdout, stderr := call(t, text, "import", "--from", "promtail", "-")
	if shown := regexp.MustCompile(`secret[1-6]`); code != 0 || shown.MatchString(stdout+stderr) {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	for _, want := range []string{"api_key=${LOKI_API_KEY}", "http://bob:${LOKI_PROXY_PASSWORD}@proxy:8080",
		"paths: [/var/log/a.log, /var/log/b.log]"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %s in\n%s", want, stdout)
		}
	}
	many := "clients: [{url: 'http://loki:3100'}]\nscrape_configs: [{job_name: a, static_configs: [{labels: " +
		"{__path__: '/" +
		strings.Repeat("{a,b}", 40) + ".log'}}]}]\n"
	if code, stdout, _ := call(t, many, "import", "--from", "promtail", "-"); code != 0 || len(stdout) > 4096 {
		t.Errorf("braces without an end: exit %d, %d bytes", code, len(stdout))
	}
}
