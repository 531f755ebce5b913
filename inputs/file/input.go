package file

import (
	"context"
	"fmt"
	"sync"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

type input struct {
	settings settings
	env      pipeline.Env
}

// Run follows the files until ctx ends.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	w, err := in.follower(feed)
	if err != nil {
		return err
	}
	w.startNotify()
	defer w.watcher.Close()

	var wg sync.WaitGroup
	wg.Go(func() { w.schedule.alarm(ctx) })
	for range in.settings.readers {
		wg.Go(func() { w.reader().run(ctx) })
	}
	w.run(ctx)
	wg.Wait()
	w.closeAll()
	return nil
}

func (in *input) follower(feed pipeline.Feed) (*follower, error) {
	paths, err := glob.NewSet(in.settings.paths, in.settings.exclude)
	if err != nil {
		return nil, fmt.Errorf("paths: %w", err)
	}
	log, health := in.env.Log, in.env.Health
	s, t, m := newSchedule(), newTable(), newMetrics(in.env.Metrics)
	w := &follower{
		settings: &in.settings,
		paths:    paths,
		feed:     feed,
		log:      log,
		schedule: s,
		table:    t,
		open:     newOpenFiles(&in.settings, s, t),
		unpacks:  &unpackSlots{schedule: s},
		pasts:    readPasts(feed, log, m),
		troubles: newTroubles(log, health),
		metrics:  m,
		missing:  map[*file]bool{},
		ill:      map[string]bool{},
		links:    map[string]string{},
		moved:    make(chan struct{}, 1),
	}
	w.copies = &copyFinder{table: t, pasts: w.pasts, wanted: w.wanted}
	return w, nil
}

func (w *follower) reader() *reader {
	return &reader{
		settings: w.settings,
		feed:     w.feed,
		log:      w.log,
		schedule: w.schedule,
		table:    w.table,
		open:     w.open,
		unpacks:  w.unpacks,
		pasts:    w.pasts,
		copies:   w.copies,
		troubles: w.troubles,
		metrics:  w.metrics,
		astray:   w.astray,
	}
}

// closeAll closes all files and sources when the readers have gone.
func (w *follower) closeAll() {
	w.open.closeAll()
	for _, f := range w.table.all() {
		for _, src := range []*event.Source{f.src, f.former} {
			if src != nil {
				w.feed.Close(src, false)
			}
		}
	}
}
