package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// load returns a config that must be right.
func load(t *testing.T, files map[string]string) *config.Config {
	t.Helper()
	cfg, err := loader(files).Load("longshore.yml", []byte(files["longshore.yml"]))
	if err != nil {
		t.Fatalf("the config is right, but:\n%v", err)
	}
	if err := pipetest.Schema(t, components())(files["longshore.yml"]); err != nil {
		t.Errorf("the config is right, and the schema says: %v", err)
	}
	return cfg
}

func TestDefaultsAreFilledIn(t *testing.T) {
	got := load(t, map[string]string{"longshore.yml": `
inputs:
  app: {type: file, paths: [/var/log/*.log], rules: [{match: a}]}
outputs:
  loki: {type: loki, url: http://loki}
`})
	want := &config.Config{
		File:            "longshore.yml",
		DataDir:         "/var/lib/longshore",
		HTTP:            config.HTTP{Listen: config.DefaultListen, ListenDefault: true},
		ShutdownTimeout: pipeline.Duration(30 * time.Second),
		Inputs: []config.Input{{Name: "app", Type: "file", Settings: &fileInput{
			Paths:    []string{"/var/log/*.log"},
			Exclude:  []string{"*.tmp", "*.swp"},
			ReadFrom: "beginning",
			MaxLine:  1 << 20,
			Poll:     pipeline.Duration(time.Second),
			Follow:   true,
			MaxFiles: 512,
			Rules:    []rule{{Match: "a", Times: 3}},
		}}},
		Parsers: []config.Parser{{Name: "auto", Type: "auto", Common: pipeline.ParserSettings{OnError: "keep"},
			Settings: &autoParser{}}},
		Transforms: []config.Transform{{Name: "redact", Type: "redact",
			Settings: &redactTransform{With: "[REDACTED]"}}},
		Outputs: []config.Output{{Name: "loki", Type: "loki",
			Common: pipeline.OutputSettings{
				Batch: pipeline.BatchSettings{Linger: pipeline.Duration(50 * time.Millisecond)},
				Retry: pipeline.RetrySettings{Initial: pipeline.Duration(250 * time.Millisecond),
					Max: pipeline.Duration(30 * time.Second)},
				Queue: 8 << 20, Spool: 512 << 20, DeadLetters: 1 << 30,
				Lanes: 4,
			},
			Settings: &lokiOutput{URL: "http://loki"},
		}},
		Pipelines: []config.Pipeline{{Name: "main", Inputs: []string{"app"}, Parsers: []string{"auto"},
			Transforms: []string{"redact"}, Outputs: []string{"loki"}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	cfg := load(t, map[string]string{"longshore.yml": `
version: 1
data_dir: /data
http: {listen: "[::1]:0"}
shutdown_timeout: 1m
inputs:
  app:
    type: file
    labels: {env: production, build: 42, on: true}
    paths: [a, b]
    exclude: ["x"]
    read_from: end
    max_line: 64KiB
    poll: 250ms
    follow: false
    share: 0.5
    max_files: 1_000
    rules: [{match: a, times: 7}, {match: b}]
    windows: {a: 1, b: 9}
outputs:
  out: {type: stdout, concurrency: 2, queue_size: 1MiB, spool_size: 32MiB, dead_letters_size: 2MiB, filter: {level: warn, labels: {container.name: web-*}}, batch: {max_bytes: 1MB, max_records: 10, linger: 0}, retry: {initial_backoff: 1s, max_backoff: 1h}}
`})
	wantInput := config.Input{Name: "app", Type: "file",
		Common: pipeline.InputSettings{Labels: map[string]string{"env": "production", "build": "42", "on": "true"}},
		Settings: &fileInput{
			Paths: []string{"a", "b"}, Exclude: []string{"x"}, ReadFrom: "end", MaxLine: 64 << 10,
			Poll:  pipeline.Duration(250 * time.Millisecond),
			Share: 0.5, MaxFiles: 1000, Rules: []rule{{"a", 7}, {"b", 3}}, Windows: map[string]int{"a": 1, "b": 9},
		},
	}
	if diff := cmp.Diff(wantInput, cfg.Inputs[0]); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	wantCommon := pipeline.OutputSettings{
		Filter: pipeline.Filter{Level: "warn", Labels: map[string]string{"container.name": "web-*"}},
		Batch:  pipeline.BatchSettings{Bytes: 1e6, Records: 10},
		Retry:  pipeline.RetrySettings{Initial: pipeline.Duration(time.Second), Max: pipeline.Duration(time.Hour)},
		Queue:  1 << 20, Spool: 32 << 20, DeadLetters: 2 << 20, Lanes: 2,
	}
	if diff := cmp.Diff(wantCommon, cfg.Outputs[0].Common); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if cfg.DataDir != "/data" || cfg.HTTP.Listen != "[::1]:0" || cfg.ShutdownTimeout != pipeline.Duration(time.Minute) {
		t.Errorf("the settings at the top are %q, %q and %s", cfg.DataDir, cfg.HTTP.Listen, cfg.ShutdownTimeout)
	}
}

func TestVariables(t *testing.T) {
	tests := []struct{ name, written, want string }{
		{"set", "${A}", "one"},
		{"within text", "http://${A}:${B}/x", "http://one:two/x"},
		{"empty", "x${EMPTY}", "x"},
		{"default not needed", "${A:-other}", "one"},
		{"default", "${NONE:-other}", "other"},
		{"default for empty", "${EMPTY:-other}", "other"},
		{"default is a variable", "${NONE:-${ALSO_NONE:-${B}}}", "two"},
		{"empty default", "x${NONE:-}", "x"},
		{"must be and is", "${A:?why}", "one"},
		{"escaped", "$${A}", "${A}"},
		{"escaped in between", "${A}$${A}${B}", "one${A}two"},
		{"plain dollar", "$A $ $$", "$A $ $$"},
		{"not again", "${NESTED}", "${A}"},
		{"file", "${file:/secret}", "from a file"},
		{"file beside the config", "${file:secret}", "beside"},
		{"YAML in a value stays a value", "${YAML}", "}\nevil: [1]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := load(t, map[string]string{
				"env":     "A=one\nB=two\nEMPTY=\nNESTED=${A}\n",
				"/secret": "from a file\r\n",
				"secret":  "beside\n",
				"longshore.yml": "inputs: {a: {type: docker}}\noutputs: {o: {type: loki, url: http://x, tenant_id: '" +
					strings.ReplaceAll(test.written, "${YAML}", "${file:/yaml}") + "'}}\n",
				"/yaml": "}\nevil: [1]",
			})
			if got := cfg.Outputs[0].Settings.(*lokiOutput).Tenant; got != test.want {
				t.Errorf("%s became %q, want %q", test.written, got, test.want)
			}
		})
	}
}

func TestVariablesTakeAnyType(t *testing.T) {
	cfg := load(t, map[string]string{
		"env": "N=7\nOFF=false\nSIZE=2MiB\nTYPE=file\nPOLL=2s\nNAME=app\n",
		"longshore.yml": "inputs: {app: {type: '${TYPE}', paths: [x], max_files: '${N}', follow: '${OFF}', " +
			"max_line: '${SIZE}', poll: '${POLL}'}}\noutputs: {o: {type: stdout}}\npipelines: {p: {inputs: " +
			"['${NAME}'], outputs: [o]}}\n",
	})
	got := cfg.Inputs[0].Settings.(*fileInput)
	if got.MaxFiles != 7 || got.Follow || got.MaxLine != 2<<20 || got.Poll != pipeline.Duration(2*time.Second) {
		t.Errorf("the settings are %+v", got)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	cfg := load(t, map[string]string{"longshore.yml": `
x-loki: &loki
  type: loki
  url: http://loki
  auth: &who {username: me, password: secret}
inputs:
  a: {type: docker}
outputs:
  one: *loki
  two:
    <<: *loki
    url: http://other
  three:
    <<: [{tenant_id: t}, *loki]
    auth: {<<: *who, username: you}
`})
	want := []lokiOutput{
		{URL: "http://loki", Auth: auth{Username: "me", Password: "secret"}},
		{URL: "http://other", Auth: auth{Username: "me", Password: "secret"}},
		{URL: "http://loki", Tenant: "t", Auth: auth{Username: "you", Password: "secret"}},
	}
	for i, w := range want {
		if diff := cmp.Diff(&w, cfg.Outputs[i].Settings); diff != "" {
			t.Errorf("output %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestPipelines(t *testing.T) {
	cfg := load(t, map[string]string{"longshore.yml": `
redact: false
inputs: {a: {type: docker}, b: {type: docker}}
parsers: {own: {type: regex, pattern: x}, label: {type: json}}
outputs: {x: {type: stdout}, y: {type: stdout}}
pipelines:
  first: {inputs: [a], parsers: [json, own, auto], outputs: [y, x]}
  second: {inputs: [b], outputs: [x]}
  by-label: {inputs: [], outputs: [x]}
`})
	want := []config.Pipeline{
		{Name: "first", Inputs: []string{"a"}, Parsers: []string{"json", "own", "auto"}, Outputs: []string{"y", "x"}},
		{Name: "second", Inputs: []string{"b"}, Parsers: []string{"auto"}, Outputs: []string{"x"}},
		{Name: "by-label", Parsers: []string{"auto"}, Outputs: []string{"x"}},
	}
	if diff := cmp.Diff(want, cfg.Pipelines); diff != "" {
		t.Errorf("pipelines (-want +got):\n%s", diff)
	}
	var parsers []string
	for _, p := range cfg.Parsers {
		parsers = append(parsers, p.Name+" "+p.Type)
	}
	if diff := cmp.Diff([]string{"own regex", "label json", "json json", "auto auto"}, parsers); diff != "" {
		t.Errorf("parsers (-want +got):\n%s", diff)
	}
}

func TestByteOrderMarkAndLineEnds(t *testing.T) {
	text := "\xef\xbb\xbfinputs: {a: {type: docker}}\r\noutputs:\r\n  o: {type: stdout}\r\n"
	load(t, map[string]string{"longshore.yml": text})
}

func TestBuiltin(t *testing.T) {
	tests := []struct{ name, env, want string }{
		{"nothing set", "", "(built-in config) docker -> stdout"},
		{"Loki", "LONGSHORE_LOKI_URL=http://loki\nLONGSHORE_LOKI_TENANT=t\n", "(built-in config) docker -> loki"},
		{"both", "LONGSHORE_LOKI_URL=http://loki\nLONGSHORE_ELASTICSEARCH_URL=http://es\n" +
			"LONGSHORE_ELASTICSEARCH_API_KEY=k\nLONGSHORE_ELASTICSEARCH_INDEX=i\nLONGSHORE_ELASTICSEARCH_CA_FILE=/ca\n",
			"(built-in config) docker -> loki elasticsearch"},
		{"empty is not set", "LONGSHORE_LOKI_URL=\n", "(built-in config) docker -> stdout"},
		{"who we are", "LONGSHORE_LOKI_URL=http://loki\nLONGSHORE_LOKI_USERNAME=u\nLONGSHORE_LOKI_PASSWORD=p\n" +
			"LONGSHORE_ELASTICSEARCH_URL=http://es\n" +
			"LONGSHORE_ELASTICSEARCH_USERNAME=u\nLONGSHORE_ELASTICSEARCH_PASSWORD=p\n",
			"(built-in config) docker -> loki elasticsearch"},
		{"our own", "LONGSHORE_DATA_DIR=/data\nLONGSHORE_HTTP_LISTEN=0.0.0.0:80\n",
			"(built-in config) docker -> stdout"},
		{"a token alone", "LONGSHORE_HTTP_TOKEN=sesame\n", "(built-in config) docker -> stdout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := loader(map[string]string{"env": test.env}).Default()
			if err != nil {
				t.Fatalf("the built-in config is wrong:\n%v", err)
			}
			got := cfg.File + " " + cfg.Inputs[0].Type + " ->"
			for _, o := range cfg.Outputs {
				got += " " + o.Type
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestBuiltinTakesTheValues(t *testing.T) {
	cfg, err := loader(map[string]string{"env": "LONGSHORE_HTTP_TOKEN=sesame: ${x}\nLONGSHORE_LOKI_URL=http://loki: " +
		"{x\nLONGSHORE_LOKI_USERNAME=u\nLONGSHORE_LOKI_PASSWORD=p: ${x}\n"}).Default()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.HTTP.Token != "sesame: ${x}" {
		t.Errorf("the token is %q", cfg.HTTP.Token)
	}
	want := &lokiOutput{URL: "http://loki: {x", Auth: auth{Username: "u", Password: "p: ${x}"}}
	if diff := cmp.Diff(want, cfg.Outputs[0].Settings); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("password", "hunter2\n")
	write("large", strings.Repeat("x", 65<<10))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := config.Loader{Components: components()}

	path := write("right.yml", "inputs: {a: {type: docker}}\noutputs: {o: {type: loki, url: http://x, auth: "+
		"{password: '${file:password}'}}}\n")
	cfg, err := l.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Outputs[0].Settings.(*lokiOutput).Auth.Password.Reveal(); got != "hunter2" {
		t.Errorf("the password is %q", got)
	}

	tests := []struct{ name, path, want string }{
		{"no file", filepath.Join(dir, "none.yml"), "there is no file"},
		{"a folder", dir, "is a folder; name a regular file"},
		{"too large", write("huge.yml", strings.Repeat("#", 1<<20+1)), "larger than 1MiB"},
		{"large secret", write("a.yml", "data_dir: '${file:large}'"), "larger than 64KiB"},
		{"secret that is a folder", write("b.yml", "data_dir: '${file:.}'"), "is a folder"},
		{"secret that never ends", write("c.yml", "data_dir: '${file:/dev/zero}'"), "is a device"},
		{"secret that blocks", write("e.yml", "data_dir: '${file:pipe}'"), "is a named pipe"},
		{"a config that blocks", filepath.Join(dir, "pipe"), "is a named pipe"},
		{"a config that never ends", "/dev/zero", "is a device"},
		{"no file of the name", filepath.Join(dir, "hugo.yml"),
			`did you mean "` + filepath.Join(dir, "huge.yml") + `"?`},
		{"no secret", write("d.yml", "data_dir: '${file:nope}'"), "no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := l.LoadFile(test.path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestTransforms(t *testing.T) {
	const head = "inputs: {a: {type: docker}}\noutputs: {o: {type: stdout}}\n"
	for text, want := range map[string][]string{
		"":              {"main", "redact"},
		"redact: false": {"main"},
		"transforms: {x: {type: remove, fields: [a]}, s: {type: redact}, y: {type: remove, fields: [b]}}": {"main",
			"x", "s", "y"},
		"transforms: {s: {type: redact, if: level == \"debug\"}}": {"main",
			"redact", "s"},
		"transforms: {redact: {type: remove, fields: [a]}}": {"main",
			"default-redact", "redact"},
		"redact: false\ntransforms: {redact: {type: redact}}": {"main",
			"redact"},
		"pipelines: {p: {inputs: [a], outputs: [o], transforms: [redact]}}": {"p",
			"redact"},
		"pipelines: {p: {inputs: [a], outputs: [o]}, q: {inputs: [a], outputs: [o], transforms: [redact]}}": {"p",
			"redact", "q", "redact"},
	} {
		cfg := load(t, map[string]string{"longshore.yml": head + text})
		var got []string
		for _, p := range cfg.Pipelines {
			got = append(append(got, p.Name), p.Transforms...)
			for _, name := range p.Transforms {
				if !slices.ContainsFunc(cfg.Transforms, func(t config.Transform) bool { return t.Name == name }) {
					t.Errorf("%s: there is no transform %s", text, name)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
