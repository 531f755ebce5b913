// Package throttle limits the rate of records.
package throttle

import (
	"fmt"
	"log/slog"
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
		Type: "throttle",
		Summary: "Drops records beyond a rate, and logs how many. Depends on the clock, so a replay after a crash " +
			"may decide differently.",
		Traits: pipeline.Traits{Stateful: true},
		New:    func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Rate  float64 `yaml:"rate" required:"true" min:"0.001" doc:"Records per second of each key." example:"100"`
	Burst int     `yaml:"burst" min:"1" doc:"Records of a key that pass at once after a pause; by default those of one second." example:"1000"`
	Key   string  `yaml:"key" default:"{service}" doc:"What is limited separately: a template of the record's fields; a text without a field limits all records together." example:"\"{container.name}\""`
	Max   int     `yaml:"max_keys" default:"10000" min:"2" max:"1000000" doc:"Most keys remembered; those unused for longest are forgotten first."`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem { return perrecord.CheckKey(c.Key) }

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	key, err := event.ParseTemplate(c.Key)
	if err != nil {
		return nil, fmt.Errorf("key %w", err)
	}
	t := &throttle{key: key, rate: c.Rate, burst: float64(c.Burst), max: c.Max, log: env.Log}
	if c.Burst == 0 {
		t.burst = max(1, c.Rate)
	}
	return perrecord.Record(env, t.throttle), nil
}

// throttle has a token bucket for each key, in two generations: when the young one is full it
// becomes the old one, and the old one is dropped.
type throttle struct {
	key         event.Template
	rate, burst float64
	max         int
	log         *slog.Logger

	mu         sync.Mutex
	young, old map[string]*bucket
	text       []byte
	dropped    int    // since the last warning
	lastKey    []byte // of the last dropped record
	warnedAt   time.Time
}

type bucket struct {
	tokens  float64
	updated time.Time
}

func (t *throttle) throttle(b *event.Batch, i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = t.key.Append(t.text[:0], b, i)
	now := time.Now()
	if !t.bucket(now).take(now, t.rate, t.burst) {
		b.Records[i].Flags |= event.Dropped
		t.dropped++
		t.lastKey = append(t.lastKey[:0], event.TruncateText(t.text, 100)...)
	}
	if t.dropped > 0 {
		t.warn(now)
	}
}

// bucket returns the bucket of the key in t.text.
func (t *throttle) bucket(now time.Time) *bucket {
	if b := t.young[string(t.text)]; b != nil {
		return b
	}
	b := t.old[string(t.text)]
	if b == nil {
		b = &bucket{t.burst, now}
	}
	if len(t.young) >= t.max/2 || t.young == nil {
		t.old, t.young = t.young, map[string]*bucket{}
	}
	t.young[string(t.text)] = b
	return b
}

func (b *bucket) take(now time.Time, rate, burst float64) bool {
	b.tokens = min(burst, b.tokens+rate*now.Sub(b.updated).Seconds())
	b.updated = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// warnInterval is the time between two warnings. The rest of a burst is reported with the first
// record after it.
const warnInterval = time.Minute

func (t *throttle) warn(now time.Time) {
	if !t.warnedAt.IsZero() && now.Sub(t.warnedAt) < warnInterval {
		return
	}
	t.log.Warn("records are dropped: they exceed the rate",
		"dropped", t.dropped, "key", string(t.lastKey), "rate", t.rate)
	t.dropped, t.warnedAt = 0, now
}
