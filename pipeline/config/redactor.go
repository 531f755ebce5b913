package config

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Redactor returns what takes secrets out of texts that are no records, such as what a destination
// says: those of the config itself, and then by the config's transforms of that kind, whatever
// their conditions. It may be called concurrently.
func (cfg *Config) Redactor() (func(string) string, error) {
	all, err := cfg.redacting()
	if err != nil {
		return nil, err
	}
	source, own := event.NewSource(0, "", "", nil), cfg.masker()
	return func(text string) string {
		text = own.Replace(text)
		if text == "" || len(all) == 0 {
			return text
		}
		b := &event.Batch{}
		b.Reset(source)
		b.Add(0, 0, b.PutString(text))
		for _, t := range all {
			t.Apply(b)
		}
		return string(b.Line(0))
	}, nil
}

// redacting returns the config's transforms that take secrets out, without their conditions. They
// count for no metric.
func (cfg *Config) redacting() (all []pipeline.Transform, err error) {
	for _, c := range cfg.Transforms {
		if c.Type != redactType {
			continue
		}
		env := pipeline.NewEnv(c.Name, slog.New(slog.DiscardHandler))
		t, err := c.Settings.Transform(pipeline.TransformEnv{Env: env})
		if err != nil {
			return nil, fmt.Errorf("transform %s: %w", c.Name, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// LeftToRedact returns what takes secrets out of the records of a pipeline none of whose own
// transforms does so for all of them: the config's transforms of that kind, whatever their
// conditions. They are the caller's own.
func (cfg *Config) LeftToRedact(p Pipeline) ([]pipeline.Transform, error) {
	if cfg.redacts(p) {
		return nil, nil
	}
	return cfg.redacting()
}

// redacts reports whether a pipeline takes secrets out of all of its records.
func (cfg *Config) redacts(p Pipeline) bool {
	return slices.ContainsFunc(cfg.Transforms, func(t Transform) bool {
		return t.Type == redactType && t.Common.If == "" && slices.Contains(p.Transforms, t.Name)
	})
}
