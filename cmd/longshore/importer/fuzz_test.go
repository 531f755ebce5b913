package importer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/cmd/longshore/importer"
	"github.com/longshore/longshore/components"
)

// FuzzConvert: whatever is in a foreign config, what is made of it is a config that check takes, or
// an error that says why there is none.
func FuzzConvert(f *testing.F) {
	tools := importer.Tools()
	for i, tool := range tools {
		paths, err := filepath.Glob("../testdata/import/" + string(tool) + "/*")
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if ext := filepath.Ext(path); err == nil && ext != ".golden" && ext != ".lines" && ext != ".want" {
				f.Add(uint8(i), string(text))
			}
		}
	}
	all := components.All()
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		result, err := importer.Convert(importer.Source{Name: "config", Text: []byte(text),
			Tool:    tools[int(which)%len(tools)],
			Include: func(string) ([]byte, error) { return nil, errors.New("there are no other files") }})
		if err != nil {
			return
		}
		err = result.Accept(all, func(string) (string, bool) { return "", false })
		if err != nil && strings.Contains(err.Error(), "bug") {
			t.Fatalf("%v\n%s", err, result.Config())
		}
		if result.Converted < 0 || result.Left < 0 || result.Share() == "" {
			t.Errorf("counts: %+v", result)
		}
	})
}
