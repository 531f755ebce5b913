package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// logger writes what the agent has to say of itself to standard error: short
// lines for people on a terminal, JSON lines otherwise.
func (a *app) logger() *slog.Logger {
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(&lineHandler{out: a.stderr, style: a.styleOf(a.stderr), mu: new(sync.Mutex)})
	}
	return slog.New(slog.NewJSONHandler(a.stderr, nil))
}

// lineHandler writes "15:04:05 WARN message  key=value" lines.
type lineHandler struct {
	out    io.Writer
	style  style
	mu     *sync.Mutex
	attrs  string
	groups string
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(h.style.dim(r.Time.Format("15:04:05")))
	b.WriteString(" " + h.level(r.Level) + " " + printable(r.Message) + h.attrs)
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

func (h *lineHandler) level(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return h.style.red("error")
	case level >= slog.LevelWarn:
		return h.style.wrap("1;33", "warn ")
	}
	return h.style.green("info ")
}

func (h *lineHandler) attr(a slog.Attr) string {
	return h.style.dim(" "+h.groups+a.Key+"=") + printable(a.Value.Resolve().String())
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

// printable keeps what others have written, such as a destination's answer,
// from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}
