package pipetest

import (
	"log/slog"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// Config returns a component's settings as a config with this YAML has them: defaults are set, and
// what would be rejected fails the test. The YAML has no type.
func Config[T any](t testing.TB, spec pipeline.Spec, yaml string) T {
	t.Helper()
	settings, err := config.Settings(spec, yaml)
	if err != nil {
		t.Fatalf("%s %s with %q: %v", spec.Kind, spec.Type, yaml, err)
	}
	return settings.(T)
}

// Env returns what a component gets in tests: a log and metrics that nobody reads.
func Env(testing.TB) pipeline.Env {
	return pipeline.NewEnv("under-test", slog.New(slog.DiscardHandler))
}

// TransformEnv returns what a transform gets in tests, with the outputs "loki" and "elastic".
func TransformEnv(t testing.TB) pipeline.TransformEnv {
	return pipeline.TransformEnv{Env: Env(t), Outputs: []string{"loki", "elastic"}}
}
