package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// agpl are Go modules under the AGPL that a log shipper or its tests could be tempted to require,
// in all versions. Loki's pkg/push is a module of its own, under Apache-2.0.
var agpl = []string{
	"github.com/grafana/loki", "github.com/grafana/grafana", "github.com/grafana/mimir", "github.com/grafana/tempo",
	"github.com/grafana/pyroscope", "github.com/grafana/phlare", "github.com/grafana/oncall", "go.k6.io/k6",
	"github.com/minio/minio", "github.com/minio/mc", "github.com/minio/console", "github.com/minio/pkg",
	"github.com/minio/madmin-go", "github.com/signoz/signoz/ee", "github.com/zitadel/zitadel",
}

// TestNoModuleUnderTheAGPL looks into every module file of the repository.
func TestNoModuleUnderTheAGPL(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); name != "go.mod" && name != "go.work" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for word := range strings.FieldsSeq(string(text)) {
			if module := underAGPL(word); module != "" {
				t.Errorf("%s names %s, which is under the AGPL", path, module)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 4 {
		t.Errorf("only %d module files were found", files)
	}
	for _, word := range []string{"github.com/grafana/loki/v3", "github.com/grafana/loki/v3/cmd/loki",
		"github.com/minio/minio"} {
		if underAGPL(word) == "" {
			t.Errorf("%s would not be noticed", word)
		}
	}
}

func underAGPL(word string) string {
	if word == "github.com/grafana/loki/pkg/push" {
		return ""
	}
	for _, module := range agpl {
		if word == module || strings.HasPrefix(word, module+"/") {
			return word
		}
	}
	return ""
}
