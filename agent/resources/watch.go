// Package resources has the metrics of the host and of containers, under the names that
// node_exporter and cAdvisor use, so that their dashboards work.
//
// Numbers are read when somebody asks for /metrics, and not otherwise. All that goes on in between
// is one request to the Docker Engine that waits for events, so that what rarely changes of a
// container is asked for only when it does. Where the kernel's files of a container can be found,
// they are read, and the engine has no work: see docs/watch.md for what either costs.
package resources

import (
	"context"
	"log/slog"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

// gatherTimeout bounds one reading: who asks does not wait much longer.
const gatherTimeout = 5 * time.Second

// Options of a Watch.
type Options struct {
	Config config.Watch
	Log    *slog.Logger
	Now    func() time.Time
	Dial   dockerapi.Dialer // for tests; nil otherwise
	Noted  func()           // for tests: something new is known of containers; nil otherwise
}

// A Watch reads the host and the containers. It is a prometheus.Gatherer.
type Watch struct {
	o          Options
	host       *host       // nil where it is not watched
	containers *containers // nil where they are not
	cancel     context.CancelFunc
	running    sync.WaitGroup

	mu   sync.Mutex
	last []*dto.MetricFamily
	at   time.Time
}

// Start begins to watch. Close must follow.
func Start(o Options) *Watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watch{o: o, cancel: cancel}
	if o.Config.Host {
		w.host = newHost(o.Config)
	}
	if o.Config.Containers {
		w.containers = newContainers(o)
		w.running.Go(func() { w.containers.run(ctx) })
	}
	return w
}

// Close ends what Start began.
func (w *Watch) Close() {
	w.cancel()
	w.running.Wait()
	if w.containers != nil {
		w.containers.engine.Close()
	}
}

// Gather implements prometheus.Gatherer. What cannot be read is left out, so there is no error.
func (w *Watch) Gather() ([]*dto.MetricFamily, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.o.Now()
	if age := now.Sub(w.at); w.last != nil && age >= 0 && age < time.Duration(w.o.Config.MaxAge) {
		return w.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	p := newPage()
	if w.host != nil {
		w.host.write(p)
	}
	if w.containers != nil {
		w.containers.write(ctx, p, now)
	}
	w.last, w.at = p.families(), now
	return w.last, nil
}
