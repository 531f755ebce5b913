package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestOwnLogIsLimited: what is logged again and again is logged some times a minute, and counted.
func TestOwnLogIsLimited(t *testing.T) {
	var out bytes.Buffer
	text := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
	h := slog.Handler(&limitHandler{text, &logLimits{}})
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	say := func(after time.Duration, level slog.Level, message string) {
		t.Helper()
		if err := h.WithAttrs([]slog.Attr{slog.String("input", "in")}).Handle(context.Background(),
			slog.NewRecord(start.Add(after), level, message, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		say(time.Duration(i)*time.Millisecond, slog.LevelWarn, "again")
		say(time.Duration(i)*time.Millisecond, slog.LevelDebug, "every step")
	}
	say(2*time.Second, slog.LevelError, "something else")
	say(61*time.Second, slog.LevelInfo, "later")
	say(61*time.Second, slog.LevelWarn, "again")
	for message, want := range map[string]int{
		"msg=again": sameLogged + 1, `msg="every step"`: 1000, `msg="something else"`: 1, "msg=later": 1,
		"lines=800 since=2026-01-02T03:04:05": 1,
	} {
		if n := strings.Count(out.String(), message); n != want {
			t.Errorf("%s: %d lines, want %d", message, n, want)
		}
	}
}

// TestOwnLogForgets: messages without number take no memory.
func TestOwnLogForgets(t *testing.T) {
	var l logLimits
	for i := range 10 * messagesLimited {
		if passes, _ := l.take(slog.NewRecord(time.Unix(0, 0), slog.LevelInfo, fmt.Sprint(i), 0)); !passes {
			t.Fatal(i)
		}
		if n := len(l.messages); n > messagesLimited+1 {
			t.Fatalf("%d messages are kept", n)
		}
	}
}
