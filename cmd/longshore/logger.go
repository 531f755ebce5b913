package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// logger writes the agent's own log to standard error: short lines on a terminal, JSON lines
// otherwise. What comes again and again is limited.
func (a *app) logger() *slog.Logger {
	var h slog.Handler = slog.NewJSONHandler(jsonWriter{a.stderr}, &slog.HandlerOptions{Level: a.logLevel})
	if isTerminal(a.stderr) {
		h = &lineHandler{out: a.stderr, level: a.logLevel, style: a.styleOf(a.stderr), mu: new(sync.Mutex)}
	}
	return slog.New(&limitHandler{h, &logLimits{}})
}

// lineHandler writes "15:04:05 WARN message  key=value" lines.
type lineHandler struct {
	out    io.Writer
	level  slog.Level
	style  style
	mu     *sync.Mutex
	attrs  string
	groups string
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level
}

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	printf(&b, "%s %s %s%s", h.style.dim(r.Time.Format("15:04:05")), h.levelName(r.Level), r.Message, styled(h.attrs))
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(h.attr(a))
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.out, b.String())
	return err
}

func (h *lineHandler) levelName(level slog.Level) styled {
	switch {
	case level >= slog.LevelError:
		return h.style.red("error")
	case level >= slog.LevelWarn:
		return h.style.yellow("warn ")
	case level >= slog.LevelInfo:
		return h.style.green("info ")
	}
	return h.style.dim("debug")
}

func (h *lineHandler) attr(a slog.Attr) string {
	return string(h.style.dim(" "+h.groups+a.Key+"=")) + printable(a.Value.Resolve().String())
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	for _, a := range attrs {
		next.attrs += h.attr(a)
	}
	return &next
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.groups += name + "."
	return &next
}
