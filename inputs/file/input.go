package file

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

var _ pipeline.Lookout = (*input)(nil)

type input struct {
	settings settings
	env      pipeline.Env
	running  atomic.Pointer[core]
}

// core is what the follower and the readers share.
type core struct {
	settings   *settings
	paths      glob.Set
	feed       pipeline.Feed
	log        *slog.Logger
	schedule   *schedule
	table      *table
	open       *openFiles
	unpacks    *unpackSlots
	known      *knownSources
	copies     *copyFinder
	identifier *identifier
	missing    *missingFiles
	health     *healthTracker
	found      func(string)
	metrics    *metrics
	sources    *pipeline.SourceMap[*file]

	rereadMetrics *metrics // what is read again counts for nothing
}

// Run follows the files until ctx ends.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	c, err := in.core(feed)
	if err != nil {
		return err
	}
	w := newFollower(c)
	w.startWatching()
	defer w.watcher.Close()
	in.running.Store(c)
	defer in.running.Store(nil)

	var wg sync.WaitGroup
	start := func(run func(context.Context)) {
		wg.Go(func() {
			defer in.env.Panicked.Contain()
			run(ctx)
		})
	}
	start(c.schedule.alarm)
	start(c.known.errands.run)
	watches := []*stopwatch{&w.stopwatch}
	for range in.settings.readers {
		r := &reader{core: c}
		watches = append(watches, &r.stopwatch)
		start(r.serve)
	}
	start(func(ctx context.Context) { c.watchStuck(ctx, watches) })
	w.run(ctx)
	wg.Wait()
	c.closeAll()
	return nil
}

// HeldUpUntil implements pipeline.Lookout.
func (in *input) HeldUpUntil(src *event.Source) time.Time {
	c := in.running.Load()
	if c == nil {
		return time.Time{}
	}
	f := c.sources.Of(src.ID)
	if f == nil {
		return time.Time{}
	}
	return c.schedule.heldUpUntil(f)
}

// Unread implements pipeline.Gauge. It is as of the last scan of the folder and the last read
// slice.
func (in *input) Unread(id event.SourceID) (bytes int64, ok bool) {
	c := in.running.Load()
	if c == nil {
		return 0, false
	}
	f := c.sources.Of(id)
	if f == nil || f.compressed {
		return 0, false
	}
	return c.table.unread(f), true
}

func (in *input) core(feed pipeline.Feed) (*core, error) {
	paths, err := glob.NewSet(in.settings.Paths, in.settings.Exclude)
	if err != nil {
		return nil, fmt.Errorf("paths: %w", err)
	}
	log := in.env.Log
	schedule, metrics := newSchedule(feed.Hurry), newMetrics(in.env.Metrics)
	table, health := newTable(schedule, in.settings.compared), newHealthTracker(log, in.env.Health)
	missing := &missingFiles{files: map[*file]bool{}, grown: make(chan struct{}, 1)}
	known := readKnown(feed, &losses{log: log, metrics: metrics, health: health}, in.settings.guide.Labels)
	open := newOpenFiles(&in.settings, schedule, table, missing)
	return &core{
		settings:   &in.settings,
		paths:      paths,
		feed:       feed,
		log:        log,
		schedule:   schedule,
		table:      table,
		open:       open,
		unpacks:    &unpackSlots{schedule: schedule},
		known:      known,
		copies:     &copyFinder{table: table, open: open, known: known, folders: folderCache{lists: folderList{}}},
		identifier: &identifier{table, known},
		missing:    missing,
		health:     health,
		found:      in.env.Found,
		metrics:    metrics,
		sources:    new(pipeline.SourceMap[*file]),

		rereadMetrics: newMetrics(prometheus.NewRegistry()),
	}, nil
}

func newFollower(c *core) *follower {
	return &follower{core: c, unreadable: map[string]bool{}, links: map[string]string{}, deleted: deletedFiles{}}
}

// closeAll closes all files and sources once no reader is left, and reports what is gone by that.
func (c *core) closeAll() {
	for _, f := range c.table.all() {
		c.reportClosed(f)
	}
	c.open.closeAll()
	c.feed.Hurry(false)
	for _, f := range c.table.all() {
		for _, src := range []*event.Source{f.read.src, f.read.predecessor} {
			if src != nil {
				c.feed.Close(src, false)
			}
		}
	}
}
