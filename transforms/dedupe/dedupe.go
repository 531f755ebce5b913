// Package dedupe drops records that repeat a recent one.
package dedupe

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindTransform,
		Type: "dedupe",
		Summary: "Drops records that repeat another within a short time. Depends on earlier records, so a replay " +
			"after a crash may decide differently.",
		Traits: pipeline.Traits{Stateful: true},
		New:    func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Key    string            `yaml:"key" default:"{service} {level} {message}" doc:"What two equal records have in common: a template of the record's fields." example:"\"{container.name} {message}\""`
	Window pipeline.Duration `yaml:"window" default:"5s" min:"1ms" max:"1h" doc:"How long a record is remembered, by the records' own times, counted from the one that was kept."`
	Max    int               `yaml:"max_keys" default:"10000" min:"2" max:"1000000" doc:"Most records remembered; the oldest are forgotten first. Each takes about 50 bytes."`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem { return perrecord.CheckKey(c.Key) }

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	key, err := event.ParseTemplate(c.Key)
	if err != nil {
		return nil, fmt.Errorf("key %w", err)
	}
	m := &history{key: key, window: int64(time.Duration(c.Window)), max: c.Max, seed: maphash.MakeSeed()}
	return perrecord.Record(env, m.dedupe), nil
}

// A history holds when records were kept, by the hash of their keys, in two generations: when the
// young one is full it becomes the old one, and the old one is dropped.
type history struct {
	key    event.Template
	window int64
	max    int
	seed   maphash.Seed

	mu         sync.Mutex
	young, old map[uint64]int64
	text       []byte
}

func (m *history) dedupe(b *event.Batch, i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = m.key.Append(m.text[:0], b, i)
	r := &b.Records[i]
	if !m.remember(maphash.Bytes(m.seed, m.text), r.Time) {
		r.Flags |= event.Dropped
	}
}

// remember reports whether a record is to be kept, and remembers it if so.
func (m *history) remember(key uint64, now int64) bool {
	last, known := m.young[key]
	if !known {
		last, known = m.old[key]
	}
	if apart := now - last; known && apart < m.window && apart > -m.window {
		return false
	}
	if len(m.young) >= m.max/2 || m.young == nil {
		m.old, m.young = m.young, make(map[uint64]int64)
	}
	m.young[key] = now
	return true
}
