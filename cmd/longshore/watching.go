package main

import (
	"log/slog"
	"reflect"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/longshore/longshore/agent/resources"
	"github.com/longshore/longshore/pipeline/config"
)

// A watching has the metrics of what the config in force has watched. Its zero value watches
// nothing, and costs nothing.
type watching struct {
	log *slog.Logger

	mu  sync.Mutex
	of  config.Watch
	now *resources.Watch // nil where nothing is watched
}

// use goes on by a config.
func (w *watching) use(c config.Watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if reflect.DeepEqual(w.of, c) {
		return
	}
	if w.now != nil {
		w.now.Close()
		w.now = nil
	}
	if w.of = c; c.On() {
		w.now = resources.Start(resources.Options{Config: c, Log: w.log, Now: time.Now})
	}
}

// close ends what use began.
func (w *watching) close() { w.use(config.Watch{}) }

// Gather implements prometheus.Gatherer.
func (w *watching) Gather() ([]*dto.MetricFamily, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		return nil, nil
	}
	return w.now.Gather()
}
