package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestParsersPage holds every example of the page against the tests in it, and looks for
// every parser.
func TestParsersPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/parsers.md")
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	seen := ""
	bySchema := pipetest.Schema(t, components.All())
	for _, m := range fence.FindAllSubmatch(page, -1) {
		text := string(m[1])
		seen += text
		if !strings.HasPrefix(text, "inputs:") {
			text = "inputs: {in: {type: stdin}}\noutputs: {out: {type: stdout}}\n" + text
		}
		if code, stdout, stderr := call(t, "", "test", "-c", written(t, text)); code != 0 {
			t.Errorf("exit %d\n%s%s\n%s", code, stdout, stderr, text)
		}
		if err := bySchema(text); err != nil {
			t.Errorf("the schema says %v\n%s", err, text)
		}
	}
	for _, spec := range components.All() {
		if spec.Kind == pipeline.KindParser && !regexp.MustCompile(`type: `+spec.Type+`\b`).MatchString(seen) {
			t.Errorf("no example of %s", spec.Type)
		}
	}
}

// TestGuarantees looks for every test that the page names, in each of the packages
// named before it. A name that ends in … begins those of several tests.
func TestGuarantees(t *testing.T) {
	page, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	var packages []string
	proved := false
	for _, m := range regexp.MustCompile("`([^`\n]+)`|[;\n]").FindAllStringSubmatch(string(page), -1) {
		switch word := m[1]; {
		case regexp.MustCompile(`^(Test|Fuzz)\w*…?$`).MatchString(word):
			if len(packages) == 0 {
				t.Errorf("%s: of which package?", word)
			}
			for _, folder := range packages {
				if !testIn(t, folder, word) {
					t.Errorf("there is no %s in %s", word, folder)
				}
			}
			proved = true
			named++
		case word == "" || proved && isPackage(word):
			packages, proved = nil, false
			fallthrough
		default:
			if isPackage(word) {
				packages = append(packages, word)
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

func isPackage(name string) bool {
	tests, _ := filepath.Glob("../../" + name + "/*_test.go")
	return name != "" && len(tests) > 0
}

// testIn says whether a package has a test.
func testIn(t *testing.T, folder, name string) bool {
	t.Helper()
	end := `\(`
	if begin, several := strings.CutSuffix(name, "…"); several {
		name, end = begin, `\w*\(`
	}
	head := regexp.MustCompile(`(?m)^func ` + name + end)
	tests, err := filepath.Glob("../../" + folder + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tests {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if head.Match(code) {
			return true
		}
	}
	return false
}
