package config_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/longshore/longshore/pipeline/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestWrong loads wrong configs. Each archive in testdata/wrong has a
// longshore.yml, the environment in env (name=value lines), the files of ${file:…}, what must
// not be shown in secrets, and the errors in want.
func TestWrong(t *testing.T) {
	paths, err := filepath.Glob("testdata/wrong/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { testWrong(t, path) })
	}
}

func testWrong(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	_, err = loader(files).Load("longshore.yml", []byte(files["longshore.yml"]))
	if err == nil {
		t.Fatal("the config was taken without a problem")
	}
	got := err.Error() + "\n"
	for _, secret := range strings.Fields(files["secrets"]) {
		if strings.Contains(got, secret) {
			t.Errorf("the errors show the secret %q:\n%s", secret, got)
		}
	}
	if *update {
		writeWant(t, path, archive, got)
		return
	}
	if diff := cmp.Diff(files["want"], got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func writeWant(t *testing.T, path string, archive *txtar.Archive, got string) {
	t.Helper()
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// loader takes the environment and the secret files from an archive.
func loader(files map[string]string) config.Loader {
	env := map[string]string{}
	for line := range strings.Lines(files["env"]) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	return config.Loader{
		Components: components(),
		LookupEnv: func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		},
		ReadFile: func(path string) ([]byte, error) {
			if data, ok := files[path]; ok {
				return []byte(data), nil
			}
			return nil, fmt.Errorf("reading a value: open %s: no such file or directory", path)
		},
	}
}
