package syslog

import (
	"context"
	"sync"
	"time"
)

// closeAtEnd closes something as soon as ctx ends, and when the function that it returns is called.
func closeAtEnd(ctx context.Context, closing func() error) func() {
	var once sync.Once
	done := func() { once.Do(func() { _ = closing() }) }
	stop := context.AfterFunc(ctx, done)
	return func() {
		stop()
		done()
	}
}

// withGrace returns a context that ends some time after ctx, and a function that ends it.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, func()) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(grace, cancel)
	})
	return later, func() {
		stop()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
	}
}
