package components_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline/config"
)

// TestConfigsThatDoHarm: what is valid, but loses, repeats or mislabels records, is told. DIR
// stands for a folder that is there.
func TestConfigsThatDoHarm(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"logs", "out", "data"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "logs"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	const (
		out   = "outputs: {o: {type: stdout}}\n"
		loki  = "outputs: {o: {type: loki, url: http://x, labels: {service: '{service}', f: '{filename}', x: '%s'}}}\n"
		noise = "inputs: {a: {type: file, paths: [DIR/logs/*.log]}}\n"
	)
	two := func(a, b string) string {
		return "inputs: {a: {type: file, paths: ['DIR/" + a + "']}, b: {type: file, paths: ['DIR/" + b + "']}}\n"
	}
	one := func(glob string) string { return "inputs: {a: {type: file, paths: ['DIR/" + glob + "']}}\n" }
	to := func(path string) string { return "outputs: {o: {type: file, path: 'DIR/" + path + "'}}\n" }
	const pq = "pipelines: {p: {inputs: [a], outputs: [x]}, q: {inputs: [b], outputs: [y]}}\n"
	label := func(text string) string { return noise + strings.Replace(loki, "%s", text, 1) }
	for name, test := range map[string]struct{ config, failed, warned string }{
		"harmless": {noise + to("out/o.jsonl"), "", ""},
		"output into its own input": {noise + to("logs/o.log"),
			"outputs.o.path: is a file that the input \"a\" reads", ""},
		"through a link":              {noise + to("link/o.log"), "outputs.o.path: is a file", ""},
		"through a link that is read": {one("link/*.log") + to("logs/o.log"), "outputs.o.path: is a file", ""},
		"below a link":                {one("logs/**/*.log") + to("link/none/o.log"), "outputs.o.path: is a file", ""},
		"in any folder below": {one("**") + to("out/x") + "data_dir: /elsewhere\n",
			"outputs.o.path: is a file", ""},
		"excluded": {"inputs: {a: {type: file, paths: ['DIR/logs/*'], exclude: ['o.*']}}\n" +
			to("logs/o.log"), "", ""},
		"in a circle": {two("logs/a", "logs/b") +
			"outputs: {x: {type: file, path: DIR/logs/b}, y: {type: file, path: DIR/logs/a}}\n" +
			pq,
			"outputs.x.path: is a file", ""},
		"one after the other": {two("logs/a", "logs/b") +
			"outputs: {x: {type: file, path: DIR/logs/b}, y: {type: file, path: DIR/logs/c}}\n" +
			pq, "", ""},
		"dead letters": {"data_dir: DIR/data\ninputs: {a: {type: file, paths: ['DIR/data/**/*.jsonl']}}\n" + out, "",
			"inputs.a: reads the dead letters of the output \"o\""},
		"one file twice": {two("logs/a.log", "logs/a.log") + out, "",
			"inputs.b: reads files that the input \"a\" reads too"},
		"globs that meet": {two("logs/*.log", "logs/app*") + out, "",
			"logs/app.log, and the output \"o\" gets their lines twice"},
		"globs of folders":           {two("**/*.log", "*/app.log") + out, "", "inputs.b: reads files"},
		"one of them through a link": {two("logs/a.log", "link/*.log") + out, "", "inputs.b: reads files"},
		"globs apart":                {two("logs/*.log", "logs/*.txt") + out, "", ""},
		"globs kept apart": {"inputs: {a: {type: file, paths: [DIR/logs/*.log], exclude: ['app*']}, b: {type: file, " +
			"paths: ['DIR/logs/app*']}}\n" + out, "", ""},
		"for two outputs": {two("logs/a", "logs/a") +
			"outputs: {x: {type: stdout}, y: {type: file, path: DIR/out/y}}\n" +
			pq, "", ""},
		"containers twice": {"inputs: {a: {type: docker}, b: {type: docker}}\n" + out, "",
			"inputs.b: reads what the input \"a\" reads"},
		"containers apart": {"inputs: {a: {type: docker, include: {names: [a]}}, " +
			"b: {type: docker, include: {names: [b]}}}\n" + out, "", ""},
		"containers and their files": {"inputs: {a: {type: docker}, b: {type: file, paths: " +
			"[/var/lib/docker/containers/*/*.log]}}\n" + out, "", "inputs.b: reads files that the input \"a\" reads"},
		"some containers, and files": {"inputs: {a: {type: docker, include: {names: [a]}}, b: {type: file, paths: " +
			"[/var/lib/docker/containers/*/*.log]}}\n" + out, "", ""},
		"no folder": {noise + to("none/o.jsonl"), "", "outputs.o.path: the folder"},
		"braces":    {one("logs/{a,b}.log") + out, "", "has {a,b}, which is taken literally"},
		"a date":    {one("logs/a-%Y-%m.log") + out, "", "has %Y, which is taken literally"},
		"excluded braces": {"inputs: {a: {type: file, paths: ['DIR/logs/*'], exclude: ['*.{gz,bz2}']}}\n" + out, "",
			"inputs.a.exclude[0]: has {gz,bz2}"},
		"a date in an output": {noise + to("out/o-%Y.log"), "", "outputs.o.path: has %Y, which is taken literally"},
		"a name in an output": {noise + to("out/{service}.log"), "", "has {service}, which is taken literally"},
		"percent":             {"inputs: {a: {type: file, paths: ['DIR/logs/100%.log']}}\n" + out, "", ""},
		"misspelt": {label("{servce}"), "",
			"{servce} is no name that longshore gives; did you mean {service}?"},
		"another dash":     {label("a-{container_name}"), "", "did you mean {container.name}?"},
		"a known field":    {label("{compose.service}"), "", ""},
		"an own field":     {label("{tenant}"), "", ""},
		"near, but own":    {label("{sevice}") + "transforms: {t: {type: add, fields: {sevice: x}}}\n", "", ""},
		"an input's label": {strings.Replace(label("{sevice}"), "a: {", "a: {labels: {sevice: x}, ", 1), "", ""},
		"an index": {noise + "outputs: {o: {type: elasticsearch, urls: [http://x], index: 'logs-{servcie}'}}\n", "",
			"did you mean {service}?"},
	} {
		t.Run(name, func(t *testing.T) {
			loader := config.Loader{Components: components.All()}
			text := strings.ReplaceAll(test.config, "DIR", dir)
			cfg, err := loader.Load("test.yml", []byte(text))
			if test.failed != "" {
				if err == nil || !strings.Contains(err.Error(), test.failed) {
					t.Errorf("error %v, want one with %q", err, test.failed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			warned := cfg.Warnings.Error()
			if test.warned == "" && warned != "" || !strings.Contains(warned, test.warned) {
				t.Errorf("warned %q, want %q", warned, test.warned)
			}
		})
	}
}
