package examples_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// loader reads configs as the program does, with the environment of the
// .env.example beside them. What has no value there is a secret, and gets one.
func loader(t *testing.T, folder string) config.Loader {
	env := envExample(t, folder)
	return config.Loader{
		Components: components.All(),
		LookupEnv: func(name string) (string, bool) {
			value, ok := env[name]
			if ok && value == "" {
				value = "not-so-secret"
			}
			return value, ok
		},
	}
}

// anyEnv reads configs where every variable is set.
func anyEnv() config.Loader {
	return config.Loader{
		Components: components.All(),
		LookupEnv:  func(string) (string, bool) { return "set", true },
	}
}

// wantClean fails where a config has problems, or is warned of.
func wantClean(t *testing.T, cfg *config.Config, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	} else if len(cfg.Warnings) > 0 {
		t.Errorf("%s: %v", cfg.File, cfg.Warnings)
	}
}

func TestBuiltinConfigIsAccepted(t *testing.T) {
	env := anyEnv()
	env.LookupEnv = func(name string) (string, bool) {
		return map[string]string{
			"LONGSHORE_LOKI_URL": "http://loki", "LONGSHORE_LOKI_TENANT": "t", "LONGSHORE_HTTP_LISTEN": ":0",
			"LONGSHORE_ELASTICSEARCH_URL": "http://es", "LONGSHORE_ELASTICSEARCH_INDEX": "i",
			"LONGSHORE_DATA_DIR": "/d",
		}[name], true
	}
	cfg, err := env.Default()
	wantClean(t, cfg, err)
}

func TestEveryConfigIsAccepted(t *testing.T) {
	configs := 0
	bySchema := pipetest.Schema(t, components.All())
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "longshore.yml" && d.Name() != "with-docker.yml" {
			return err
		}
		configs++
		cfg, err := loader(t, filepath.Dir(path)).LoadFile(path)
		wantClean(t, cfg, err)
		if err := bySchema(read(t, path)); err != nil {
			t.Errorf("%s: the schema says %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if configs < 6 {
		t.Errorf("found only %d configs", configs)
	}
}

// TestEverySnippetIsAccepted reads the YAML in pages that is a config as a whole.
func TestEverySnippetIsAccepted(t *testing.T) {
	fence := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	pages, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	snippets := 0
	bySchema := pipetest.Schema(t, components.All())
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		for _, m := range fence.FindAllStringSubmatch(read(t, page), -1) {
			if !strings.HasPrefix(m[1], "version:") {
				continue
			}
			snippets++
			cfg, err := anyEnv().Load(page, []byte(m[1]))
			wantClean(t, cfg, err)
			if err := bySchema(m[1]); err != nil {
				t.Errorf("%s: the schema says %v\n%s", page, err, m[1])
			}
		}
	}
	if snippets < 2 {
		t.Errorf("found only %d snippets", snippets)
	}
}

func TestMissingSecretsAreNamed(t *testing.T) {
	for folder, name := range map[string]string{"existing-elk": "ES_API_KEY", "existing-loki": "LOKI_URL"} {
		bare := config.Loader{Components: components.All()}
		_, err := bare.LoadFile(filepath.Join(folder, "longshore.yml"))
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), ".env") {
			t.Errorf("%s without .env: got %v, want an error that names %s and .env", folder, err, name)
		}
	}
}
