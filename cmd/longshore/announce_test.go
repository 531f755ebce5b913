package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// announced returns an announcer of two inputs, and what it logs, without times.
func announced() (*announcer, *strings.Builder) {
	var log strings.Builder
	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})
	cfg := &config.Config{File: "longshore.yml", ShutdownTimeout: pipeline.Duration(30 * time.Second)}
	again := pipeline.Traits{Rereadable: true}
	cfg.Inputs = []config.Input{
		{Name: "web", Type: "docker", Traits: again}, {Name: "app", Type: "file", Traits: again},
	}
	return newAnnouncer(slog.New(handler), cfg), &log
}

func probes(context.Context) []graph.Probe {
	return []graph.Probe{
		{Output: "loki", Type: "loki", Location: "http://loki:3100", Server: "Loki 3.7.8"},
		{Output: "other", Type: "loki", Location: "http://other:9428"},
		{Output: "elastic", Type: "elasticsearch", Location: "http://es:9200",
			Err: errors.New("http://es:9200/: connection refused")},
		{Output: "out", Type: "stdout"},
	}
}

func TestAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, log := announced()
		a.page = pageURL(&config.HTTP{}, "0.0.0.0:5664")
		a.note("app", "3 files of 1.0 MiB")
		a.note("app", "4 files of 2.0 MiB") // the first counts
		a.running(t.Context(), probes)
		want := `msg=reading web="docker, still looking" app="3 files of 1.0 MiB"
msg=sending loki="http://loki:3100, Loki 3.7.8" other="http://other:9428, which answers" ` +
			`elastic="no answer yet, will be tried again: http://es:9200/: connection refused" out=stdout
msg="a page shows what flows, logs, and what is wrong" page=http://localhost:5664/
`
		if diff := cmp.Diff(want, log.String()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestAnnouncementIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, log := announced()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.running(ctx, probes)
		if log.Len() > 0 {
			t.Errorf("after the stop it says %s", log)
		}
	})
}

func TestStoppingSaysWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, log := announced()
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		left := uint64(30)
		a.stopping(ctx, func() uint64 { left -= 10; return left })
		got := log.String()
		if !strings.Contains(got, "for_at_most=30s pending=20") || !strings.Contains(got, "and loses nothing") ||
			!strings.HasSuffix(got, "msg=\"still stopping\" pending=10\nmsg=\"still stopping\" pending=0\n") {
			t.Errorf("it says %s", got)
		}
	})
}

func TestStoppingSaysWhatWouldBeLost(t *testing.T) {
	a, _ := announced()
	a.config.Load().Inputs = append(a.config.Load().Inputs, config.Input{Name: "in", Type: "stdin"})
	if got := a.secondSignal(); !strings.Contains(got, "of the input in is lost") {
		t.Errorf("it says %s", got)
	}
}

func TestSummary(t *testing.T) {
	c := graph.Counts{Read: 10, Due: 10}
	c.Delivered, c.Rejected, c.Filtered = 5, 1, 2
	var b strings.Builder
	writeSummary(&b, c)
	want := `read           10 lines
delivered      5 records
not delivered  1 rejected, 2 left out by a filter, 0 lost
pending        2 records, read again at the next start
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestPageURL(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:5664": "http://127.0.0.1:5664/", "0.0.0.0:5664": "http://localhost:5664/",
		"[::]:80": "http://localhost:80/", "[::1]:80": "http://[::1]:80/", "10.0.0.7:80": "http://10.0.0.7:80/",
	} {
		if got := pageURL(&config.HTTP{}, address); got != want {
			t.Errorf("the page of %s is at %s, want %s", address, got, want)
		}
	}
}
