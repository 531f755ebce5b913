package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestSchemaNamesEveryComponent(t *testing.T) {
	code, stdout, stderr := call(t, "", "schema")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	var got struct {
		Dialect string                     `json:"$schema"`
		Defs    map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if got.Dialect != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", got.Dialect)
	}
	for _, spec := range components.All() {
		if got.Defs[string(spec.Kind)+"."+spec.Type] == nil {
			t.Errorf("%s %s is not in it", spec.Kind, spec.Type)
		}
	}
}

// TestSchemaTakesWhatImportWrites holds the golden configs of import against the schema.
func TestSchemaTakesWhatImportWrites(t *testing.T) {
	check := pipetest.Schema(t, components.All())
	paths, err := filepath.Glob("testdata/import/*/*.golden")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		written, _, _ := strings.Cut(string(text), "\n---\n") // what is told comes behind it
		if !strings.Contains(written, "\ninputs:") {
			continue // nothing of it could be converted
		}
		if err := check(written); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
