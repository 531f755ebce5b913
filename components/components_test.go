package components

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// suites are the conformance suites by the folder of the components they are for.
var suites = map[string]string{"inputs": "pipetest.TestInput(", "parsers": "pipetest.TestParser(",
	"transforms": "pipetest.TestTransform(", "outputs": "pipetest.TestOutput("}

var specFunc = regexp.MustCompile(`(?m)^func Spec\(\) pipeline\.Spec`)

// TestEveryComponentIsInTheTable finds the packages that describe a component,
// and looks for each in the table, and for its conformance suite in its tests.
func TestEveryComponentIsInTheTable(t *testing.T) {
	table := read(t, "components.go")
	found := 0
	for kind, suite := range suites {
		for _, dir := range folders(t, filepath.Join("..", kind)) {
			code, tests := sources(t, dir)
			if !specFunc.MatchString(code) {
				continue
			}
			found++
			path := kind + "/" + filepath.Base(dir)
			if !strings.Contains(table, `longshore/`+path+`"`) {
				t.Errorf("%s is not in the table: import it in components/components.go, and add its Spec() to All",
					path)
			}
			if !strings.Contains(tests, suite) {
				t.Errorf("%s: its tests do not call %s…)", path, suite)
			}
		}
	}
	if n := len(All()); found != n {
		t.Errorf("%d packages have a Spec, but All in components/components.go returns %d", found, n)
	}
}

// TestInputsThatCannotBeReadAgain sees to it that they are spooled: else an output that is away
// would hold up the others.
func TestInputsThatCannotBeReadAgain(t *testing.T) {
	settings := map[string]string{
		"file": "paths: [x]", "probe": "tcp: db:5432", "syslog": "listen: ['udp://:514']", "exec": "command: [x]",
		"http": "listen: '127.0.0.1:1'", "loki": "listen: '127.0.0.1:1'", "elasticsearch": "listen: '127.0.0.1:1'",
		"kafka": "{brokers: ['b:9092'], topics: [x]}",
	}
	for _, spec := range All() {
		if spec.Kind != pipeline.KindInput {
			continue
		}
		in, err := pipetest.Config[pipeline.InputConfig](t, spec, settings[spec.Type]).Input(pipetest.Env(t))
		if err != nil {
			t.Fatalf("%s: %v", spec.Type, err)
		}
		if _, can := in.(pipeline.Rereader); !can && !spec.Traits.Ephemeral {
			t.Errorf("%s cannot be read again, and is not ephemeral", spec.Type)
		}
	}
}

func TestSpecsAreWellFormed(t *testing.T) {
	if err := config.CheckSpecs(All()); err != nil {
		t.Error(err)
	}
}

func folders(t *testing.T, root string) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(root, e.Name()))
		}
	}
	return dirs
}

func sources(t *testing.T, dir string) (code, tests string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			tests += read(t, file)
		} else {
			code += read(t, file)
		}
	}
	return code, tests
}

func read(t *testing.T, path string) string {
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}
