package pipeline

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

// Panicked is told what a goroutine has panicked with. Where it is nil, the panic goes on.
type Panicked func(value any)

// Contain is deferred by the goroutine.
func (p Panicked) Contain() {
	if p == nil {
		return
	}
	if value := recover(); value != nil {
		p(value)
	}
}

// maxStacks is how much of the goroutines' stacks is logged, in bytes.
const maxStacks = 64 << 10

// Stacks returns where all goroutines are, for what should not happen.
func Stacks() string {
	p := make([]byte, maxStacks)
	return string(p[:runtime.Stack(p, true)])
}

// Panics notes the panics of a component of which only one record is concerned. All are counted;
// one a minute is told, with its stack. The zero value counts and tells nothing.
type Panics struct {
	Log   *slog.Logger
	Total prometheus.Counter

	mu     sync.Mutex
	told   time.Time
	untold int
}

// panicsToldEvery is the time between two panics that are told.
const panicsToldEvery = time.Minute

// Note notes a panic. It is called by the deferred function that has recovered it, as then the
// stack still shows where it was. Any goroutine may call it.
func (p *Panics) Note(panicked any, message string, args ...any) {
	if p.Log == nil {
		return
	}
	p.Total.Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.told.IsZero() && time.Since(p.told) < panicsToldEvery {
		p.untold++
		return
	}
	args = append(args, "panic", fmt.Sprint(panicked), "before_untold", p.untold, "stack", string(debug.Stack()))
	p.Log.Error(message+"; this is a bug: please report it with the stack", args...)
	p.told, p.untold = time.Now(), 0
}

// TransformPanics returns what notes the panics of a transform.
func TransformPanics(env TransformEnv) *Panics {
	return &Panics{Log: env.Log, Total: metric.Counter(env.Metrics, "longshore_transform_panics_total",
		"Panics of the transform, each at one record.")}
}
