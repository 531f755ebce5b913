// Package throttle holds back what comes too fast.
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
		Kind:    pipeline.KindTransform,
		Type:    "throttle",
		Summary: "Drops records of what logs too fast, and says how many. Depends on the clock, so a replay after a crash may decide anew.",
		Traits:  pipeline.Traits{Stateful: true},
		New:     func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Rate  float64 `yaml:"rate" required:"true" min:"0.001" doc:"Records a second that pass, of each key." example:"100"`
	Burst int     `yaml:"burst" min:"1" doc:"Records of a key that pass at once after a quiet time; without it, as many as in a second." example:"1000"`
	Key   string  `yaml:"key" default:"{service}" doc:"What is counted by itself: a template of the record's names; one text without a name counts all records together." example:"\"{container.name}\""`
	Max   int     `yaml:"max_keys" default:"10000" min:"2" max:"1000000" doc:"Keys remembered at most; those that were quiet for longest are forgotten first."`
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

// throttle has a bucket for each key, which fills with time and which every
// record takes one from. There are two generations of buckets: when the young one is
// full it becomes the old one, and what was in that is forgotten.
type throttle struct {
	key         event.Template
	rate, burst float64
	max         int
	log         *slog.Logger

	mu         sync.Mutex
	young, old map[string]*bucket
	text       []byte
	held       int    // since it was last said
	last       []byte // the key of which something was held
	said       time.Time
}

type bucket struct {
	left float64
	at   time.Time
}

func (t *throttle) throttle(b *event.Batch, i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = t.key.Append(t.text[:0], b, i)
	now := time.Now()
	if !t.bucket(now).take(now, t.rate, t.burst) {
		b.Records[i].Flags |= event.Dropped
		t.held++
		t.last = append(t.last[:0], event.CutText(t.text, 100)...)
	}
	if t.held > 0 {
		t.say(now)
	}
}

// bucket gives the bucket of the key in t.text.
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
	b.left = min(burst, b.left+rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// sayEvery is the time between two messages about what is held back. The rest of a burst
// is told of with the first record that comes after it.
const sayEvery = time.Minute

func (t *throttle) say(now time.Time) {
	if !t.said.IsZero() && now.Sub(t.said) < sayEvery {
		return
	}
	t.log.Warn("records are dropped: they come faster than the throttle lets through",
		"dropped", t.held, "key", string(t.last), "rate", t.rate)
	t.held, t.said = 0, now
}
