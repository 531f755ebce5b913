package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/graph"
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
	for _, m := range fence.FindAllSubmatch(page, -1) {
		text := string(m[1])
		seen += text
		if !strings.HasPrefix(text, "inputs:") {
			text = "inputs: {in: {type: stdin}}\noutputs: {out: {type: stdout}}\n" + text
		}
		if code, stdout, stderr := call(t, "", "test", "-c", written(t, text)); code != 0 {
			t.Errorf("exit %d\n%s%s\n%s", code, stdout, stderr, text)
		}
	}
	for _, spec := range graph.Components() {
		if spec.Kind == pipeline.KindParser && !regexp.MustCompile(`type: `+spec.Type+`\b`).MatchString(seen) {
			t.Errorf("no example of %s", spec.Type)
		}
	}
}
