package config

import (
	"fmt"
	"log/slog"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Redactor returns what takes secrets out of texts that are no records, such as what a destination
// says: the config's transforms of that kind, whatever their conditions. Without any it returns
// texts as they are. It may be called concurrently.
func (cfg *Config) Redactor() (func(string) string, error) {
	var all []pipeline.Transform
	for _, c := range cfg.Transforms {
		if c.Type != redactType {
			continue
		}
		// Its metrics count values of records; these are none.
		env := pipeline.NewEnv(c.Name, slog.New(slog.DiscardHandler))
		t, err := c.Settings.Transform(pipeline.TransformEnv{Env: env})
		if err != nil {
			return nil, fmt.Errorf("transform %s: %w", c.Name, err)
		}
		all = append(all, t)
	}
	source := event.NewSource(0, "", "", nil)
	return func(text string) string {
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
