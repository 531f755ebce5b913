package main

import (
	"os"
	"strings"
	"testing"
)

// TestContributingPages holds the code on the pages to the examples that are built and tested.
func TestContributingPages(t *testing.T) {
	for page, files := range map[string][]string{
		"input":     {"growing/growing.go", "growing/growing_test.go"},
		"parser":    {"colon/colon.go", "colon/colon_test.go", "colon/testdata/colon.txt"},
		"transform": {"uppercase/uppercase.go", "uppercase/uppercase_test.go"},
		"output":    {"jsonlines/jsonlines.go", "jsonlines/jsonlines_test.go"},
	} {
		text, err := os.ReadFile("../../docs/contributing/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			code, err := os.ReadFile("../../examples/components/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "\n"+string(code)+"```\n") {
				t.Errorf("docs/contributing/%s.md does not show examples/components/%s as it is: copy it there", page,
					file)
			}
		}
	}
}
