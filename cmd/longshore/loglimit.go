package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// sameLogged is how many lines with the same message the agent's own log takes in a
	// sameLoggedIn. More are counted, and told as one line when the time is over.
	sameLogged   = 200
	sameLoggedIn = time.Minute
	// messagesLimited is of how many messages that is known at a time.
	messagesLimited = 256
)

// A limitHandler keeps what comes again and again from filling the agent's own log, which may be
// the very disk that its messages are about. Debug lines are not limited: who wants them wants all.
type limitHandler struct {
	slog.Handler
	limits *logLimits
}

// logLimits are shared by the handlers of one log. The zero value is ready to use.
type logLimits struct {
	mu       sync.Mutex
	messages map[string]*limited
}

// limited is what is known of one message.
type limited struct {
	level slog.Level
	since time.Time
	lines int
}

// Handle implements slog.Handler.
func (h *limitHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return h.Handler.Handle(ctx, r)
	}
	passes, over := h.limits.take(r)
	for _, o := range over {
		if err := h.Handler.Handle(ctx, o); err != nil {
			return err
		}
	}
	if !passes {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *limitHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limitHandler{h.Handler.WithAttrs(attrs), h.limits}
}

// WithGroup implements slog.Handler.
func (h *limitHandler) WithGroup(name string) slog.Handler {
	return &limitHandler{h.Handler.WithGroup(name), h.limits}
}

// take reports whether a record is to be logged, and returns what is to be said of others whose
// time is over.
func (l *logLimits) take(r slog.Record) (passes bool, over []slog.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for message, m := range l.messages {
		if age := r.Time.Sub(m.since); age >= 0 && age < sameLoggedIn && len(l.messages) <= messagesLimited {
			continue
		}
		delete(l.messages, message)
		if held := m.lines - sameLogged; held > 0 {
			more := slog.NewRecord(r.Time, m.level, "more lines like one before were left out of this log", 0)
			more.AddAttrs(slog.String("message", message), slog.Int("lines", held), slog.Time("since", m.since))
			over = append(over, more)
		}
	}
	m := l.messages[r.Message]
	if m == nil {
		if l.messages == nil {
			l.messages = map[string]*limited{}
		}
		m = &limited{level: r.Level, since: r.Time}
		l.messages[r.Message] = m
	}
	m.lines++
	return m.lines <= sameLogged, over
}
