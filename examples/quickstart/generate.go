package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// playlist says how often each story is told, and when: an error comes early, so
// that nobody waits for it, and rarely after.
var playlist = []string{
	"browse", "order", "browse", "declined", "housekeeping", "broken",
	"browse", "order", "browse", "scan", "order", "browse", "order", "housekeeping",
	"browse", "browse", "order", "declined", "browse", "order",
}

// A generator writes the stories into files in a folder.
type generator struct {
	dir     string
	stories map[string]story
	pause   time.Duration // on average, between two entries
	told    atomic.Int64  // entries that were written
}

// makeFiles makes the files that run appends to, so that the agent finds all at its start.
func (g *generator) makeFiles() error {
	for _, s := range g.stories {
		for _, e := range s {
			if err := appendTo(filepath.Join(g.dir, e.file), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// run tells stories until ctx ends. An error is one of writing.
func (g *generator) run(ctx context.Context) error {
	for n := 0; ; n++ {
		name := playlist[n%len(playlist)]
		if err := g.tell(ctx, g.stories[name]); err != nil {
			return fmt.Errorf("writing sample logs: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// tell appends the entries of one story to their files, with pauses.
func (g *generator) tell(ctx context.Context, s story) error {
	people := newCast()
	for _, e := range s {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(g.pause/2 + rand.N(g.pause)):
		}
		if err := appendTo(filepath.Join(g.dir, e.file), people.fill(e.text, time.Now())); err != nil {
			return err
		}
		g.told.Add(1)
	}
	return nil
}

// appendTo writes the whole entry at once: a reader never sees half a line.
func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
