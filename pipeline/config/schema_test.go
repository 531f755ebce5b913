package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestSchemaText holds the whole schema against a golden file.
func TestSchemaText(t *testing.T) {
	got, err := config.Schema(components())
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/schema.json"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

// notOfOnePlace are the archives of testdata/wrong in which nothing is wrong that a schema can
// express: what it takes two places or a component's own check to see.
var notOfOnePlace = []string{
	"documents",  // a second document
	"problems",   // the components' own
	"recent_off", // two settings that exclude each other
	"variables",  // values that come from elsewhere
}

// TestSchemaRejectsWhatIsWrong holds the wrong configs against the schema.
func TestSchemaRejectsWhatIsWrong(t *testing.T) {
	check := pipetest.Schema(t, components())
	paths, err := filepath.Glob("testdata/wrong/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "longshore.yml" })
		err = check(string(archive.Files[i].Data))
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		if (err == nil) != slices.Contains(notOfOnePlace, name) {
			t.Errorf("%s: the schema says %v", name, err)
		}
	}
}

func TestSchemaOfSettings(t *testing.T) {
	check := pipetest.Schema(t, components())
	env := map[string]string{"SIZE": "1MiB", "ON": "true"}
	load := config.Loader{Components: components(), LookupEnv: func(name string) (string, bool) {
		return env[name], env[name] != ""
	}}
	const file, loki = "inputs: {a: {type: file, paths: [x], ", "outputs: {o: {type: loki, url: http://x, "
	const stdout = "outputs: {o: {type: stdout}}"
	tests := []struct {
		text  string
		right bool
	}{
		{file + "max_line: 64KiB}}", true},
		{file + "max_line: 1024}}", true},
		{file + "max_line: 1023}}", false},
		{file + "max_line: 17000000}}", false},
		{file + "max_line: 1.5 mib}}", true},
		{file + "max_line: 12 bananas}}", false},
		{file + "max_line: '${SIZE}'}}", true},
		{file + "poll: 1m}}", true},
		{file + "poll: .5s}}", true},
		{file + "poll: 5}}", false},
		{file + "poll: 5 s}}", false},
		{file + "follow: false}}", true},
		{file + "follow: 'True'}}", true},
		{file + "follow: yes}}", false},
		{file + "follow: '${ON:-false}'}}", true},
		{file + "share: 0.5}}", true},
		{file + "share: 1.5}}", false},
		{file + "share: '0.5'}}", true},
		{file + "max_files: 1_000}}", true},
		{file + "max_files: -1}}", false},
		{file + "max_files: '7'}}", true},
		{file + "read_from: end}}", true},
		{file + "read_from: tail}}", false},
		{file + "rules: [{match: a, times: 0}]}}", false},
		{file + "rules: [{times: 1}]}}", false},
		{file + "rules: [{match: 5}]}}", true},
		{file + "labels: {a: 1, b: true, c: x}}}", true},
		{file + "labels: {a: [x]}}}", false},
		{file + "labels: {a: null}}}", false},
		{file + "exclude: []}}", false},
		{file + "host: x}}", false}, // of another type
		{"inputs: {a: {type: file}}", false},
		{"inputs: {a: {type: file, paths: x}}", false},
		{"inputs: {a: {paths: [x]}}", false},
		{"inputs: {a b: {type: docker}}", false},
		{"inputs: {a: {type: dokcer}}", false},
		{"inputs: {a: {type: docker}}\nx-a: [1]\nx-b: {c: null}", true},
		{"inputs: {a: {type: docker}}\ny-a: 1", false},
		{"inputs: {a: {type: docker}}\nversion: 2", false},
		{"inputs: {a: {type: docker}}\nversion: 1\nrecent: on", true},
		{"inputs: {a: {type: docker}}\nrecent: TRUE", true},
		{"inputs: {a: {type: docker}}\nrecent: 'True'", true},
		{"inputs: {a: {type: docker}}\nrecent: yes", false},
		{"inputs: {a: {type: docker}}\nrecent: {size: 1MiB}", true},
		{"inputs: {a: {type: docker}}\nrecent: {sizes: 1MiB}", false},
		{"inputs: {a: {type: docker}}\nhttp:", false},
		{"inputs: {a: {type: docker}}\ntransforms: {d: {type: drop}}", false},
		{"inputs: {a: {type: docker}}\ntransforms: {d: {type: drop, if: level == \"debug\"}}", true},
		{"inputs: {a: {type: docker}}\n" + loki + "tenant: x, auth: {password: 5}}}", true},
		{"inputs: {a: {type: docker}}\n" + loki + "tenant: x, tenant_id: y}}", false},
		{"inputs: {a: {type: docker}}\n" + loki + "filter: {level: warning}}}", false},
		{"inputs: {a: {type: docker}}\n" + loki + "concurrency: 65}}", false},
		{"inputs: {a: {type: docker}}\noutputs: {o: {type: loki, url: ''}}", false},
		{"inputs: {a: {type: docker}}\npipelines: {p: {inputs: [a]}}", true},
		{"inputs: {a: {type: docker}}\npipelines: {p: {inputs: []}, q: {inputs: [a]}}", true},
		{"inputs: {a: {type: docker}}\npipelines: {p: {inputs: a}}", false},
		{"inputs: {a: {type: docker}}\n" + stdout + "\npipelines: {p: {inputs: [a]}}", false},
		{"inputs: {a: {type: docker}}\n" + stdout + "\npipelines: {p: {inputs: [a], outputs: [o]}}", true},
	}
	for _, test := range tests {
		err := check(test.text)
		_, loadErr := load.Load("x", []byte(test.text))
		if (loadErr == nil) != test.right {
			t.Errorf("%s\nis loaded with %v", test.text, loadErr)
		}
		if test.right != (err == nil) {
			t.Errorf("%s\nthe schema says %v", test.text, err)
		}
	}
}
