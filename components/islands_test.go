package components

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/config"
)

// loadIn loads a config in a folder, where CA stands for a certificate and SECRET for a file.
func loadIn(t *testing.T, dir, yaml string) *config.Config {
	t.Helper()
	yaml = strings.NewReplacer("CA", filepath.Join(dir, "ca.pem"), "SECRET", "${file:secret}").Replace(yaml)
	cfg, err := config.Loader{Components: All()}.Load(filepath.Join(dir, "test.yml"), []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// show returns an island's components.
func show(c *config.Config) string {
	var names []string
	for _, in := range c.Inputs {
		names = append(names, in.Name)
	}
	for _, p := range c.Pipelines {
		names = append(names, p.Name)
	}
	for _, o := range c.Outputs {
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

const twoIslands = `
inputs:
  a: {type: file, paths: [/a.log], labels: {env: test}}
  b: {type: file, paths: [/b.log]}
parsers:
  p: {type: json}
transforms:
  t: {type: add, fields: {a: b}}
outputs:
  x: {type: loki, url: "https://x", auth: {username: me, password: "SECRET"}, tls: {ca_file: CA}}
  y: {type: file, path: /y}
pipelines:
  one: {inputs: [a], parsers: [p], transforms: [t], outputs: [x]}
  two: {inputs: [b], outputs: [y]}
`

func TestIslands(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       []string
	}{
		{"apart", twoIslands, []string{"a one x", "b two y"}},
		{"an output that both have", strings.Replace(twoIslands, "[b], outputs: [y]", "[b], outputs: [x, y]", 1),
			[]string{"a b one two x y"}},
		{"an input that both have", strings.Replace(twoIslands, "inputs: [b]", "inputs: [a, b]", 1),
			[]string{"a b one two x y"}},
		{"joined by a third", `
inputs: {a: {type: file, paths: [/a]}, b: {type: file, paths: [/b]}, c: {type: file, paths: [/c]}}
outputs: {x: {type: file, path: /x}, y: {type: file, path: /y}, z: {type: file, path: /z}}
pipelines:
  one: {inputs: [a], outputs: [x]}
  two: {inputs: [b], outputs: [y]}
  three: {inputs: [c], outputs: [z]}
  four: {inputs: [a], outputs: [z]}
`, []string{"b two y", "a c one three four x z"}},
		{"sources that choose their pipelines", strings.Replace(twoIslands, "b: {type: file, paths: [/b.log]}",
			"b: {type: docker}", 1), []string{"a b one two x y"}},
		{"no pipelines", `
inputs: {a: {type: stdin}}
outputs: {x: {type: file, path: /x}, y: {type: file, path: /y}}
`, []string{"a main x y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, island := range loadIn(t, secrets(t), tt.yaml).Islands() {
				got = append(got, show(island))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// secrets returns a folder with a certificate and a secret.
func secrets(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string]string{"ca.pem": string(cert), "secret": "geheim"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestWhatAReloadRestarts names which islands of twoIslands are others after a change.
func TestWhatAReloadRestarts(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		file           string // that gets another line
		want           []string
	}{
		{"nothing", "", "", "", nil},
		{"a comment and the form", "{type: file, path: /y}", "{path: \"/y\", type: 'file'} # here", "", nil},
		{"what is the default", "path: /y", "path: /y, queue_size: 8MiB", "", nil},
		{"http and shutdown", "parsers:\n", "http: {token: t}\nshutdown_timeout: 1s\nparsers:\n", "", nil},
		{"a setting of an output", "path: /y", "path: /z", "", []string{"b two y"}},
		{"a setting of all outputs", "path: /y", "path: /y, queue_size: 1MiB", "", []string{"b two y"}},
		{"a setting of an input", "/a.log", "/c.log", "", []string{"a one x"}},
		{"a label", "env: test", "env: prod", "", []string{"a one x"}},
		{"a parser", "type: json", "type: logfmt", "", []string{"a one x"}},
		{"a transform", "a: b", "a: c", "", []string{"a one x"}},
		{"a condition", "t: {type: add,", "t: {type: add, if: 'level == \"info\"',", "", []string{"a one x"}},
		{"another type", "y: {type: file, path: /y}", "y: {type: stdout}", "", []string{"b two y"}},
		{"another name", "b", "c", "", []string{"c two y"}},
		{"another pipeline's name", "two:", "too:", "", []string{"b too y"}},
		{"redaction", "outputs:\n  x", "redact: false\noutputs:\n  x", "", []string{"a one x", "b two y"}},
		{"an input more", "b: {type", "c: {type: file, paths: [/c]}\n  b: {type", "", []string{"c b two y"}},
		{"a certificate", "", "", "ca.pem", []string{"a one x"}},
		{"a secret", "", "", "secret", []string{"a one x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := secrets(t)
			before := loadIn(t, dir, twoIslands).Islands()
			yaml := strings.Replace(twoIslands, tt.from, tt.to, 1)
			switch tt.name {
			case "another name":
				yaml = strings.NewReplacer("  b:", "  c:", "[b]", "[c]").Replace(twoIslands)
			case "an input more":
				yaml = strings.Replace(yaml, "inputs: [b]", "inputs: [b, c]", 1)
			}
			if tt.file != "" {
				appendTo(t, filepath.Join(dir, tt.file), "more\n")
			}
			var got []string
			for _, island := range loadIn(t, dir, yaml).Islands() {
				if !slices.ContainsFunc(before, func(b *config.Config) bool { return config.SameIsland(b, island) }) {
					got = append(got, show(island))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(content, text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFilesOfAConfig are what is watched beside the config's own file.
func TestFilesOfAConfig(t *testing.T) {
	dir := secrets(t)
	want := []string{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "secret")}
	if diff := cmp.Diff(want, loadIn(t, dir, twoIslands).Files()); diff != "" {
		t.Error(diff)
	}
}
