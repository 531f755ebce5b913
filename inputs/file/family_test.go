package file

import (
	"fmt"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// TestManyFilesOfOneFamily: what files of one family cost grows with their number and not with its
// square: files are looked at because of others a few times each, whatever happens to all of them.
func TestManyFilesOfOneFamily(t *testing.T) {
	const n = 120
	job := func(i int) string { return fmt.Sprintf("job-%05d.log", i) }
	each := func(do func(name string, i int)) {
		for i := range n {
			do(job(i), i)
		}
	}
	write := func(r *rig) {
		each(func(name string, i int) { r.write(name, fmt.Sprintf("%d %s is about to begin\n", i, name)) })
	}
	for _, tt := range []struct {
		name  string
		globs []string
		then  func(r *rig)
		lines int // in the end
	}{
		{"first start", []string{"*.log"}, func(*rig) {}, n},
		{"restart", []string{"*.log"}, func(r *rig) { r.restart(nil) }, 0},
		{"deleted", []string{"*.log"}, func(r *rig) { each(func(name string, _ int) { r.remove(name) }) }, n},
		{"deleted while stopped, and there are others", []string{"*.log"}, func(r *rig) {
			r.restart(func() {
				each(func(name string, _ int) { r.remove(name) })
				each(func(_ string, i int) { r.write(job(n+i), fmt.Sprintf("another job, %d\n", i)) })
			})
		}, n},
		{"compressed while stopped", []string{"*.log"}, func(r *rig) {
			r.restart(func() { each(func(name string, _ int) { r.compress(name) }) })
		}, 0},
		{"compressed while stopped, and asked for", []string{"*.log", "*.gz"}, func(r *rig) {
			r.restart(func() { each(func(name string, _ int) { r.compress(name) }) })
		}, 0},
		{"compressed", []string{"*.log", "*.gz"}, func(r *rig) {
			each(func(name string, _ int) { r.compress(name) })
		}, n},
		{"compressed beside", []string{"*.log", "*.gz"}, func(r *rig) {
			each(func(name string, _ int) { r.write(name+".gz", gzipped(r.read(name))) })
		}, n},
		{"compressed beside from the start", []string{"*.log", "*.gz"}, func(r *rig) {
			r.restart(func() {
				each(func(name string, _ int) { r.write(name+".gz", gzipped(r.read(name))) })
			})
		}, 0},
		{"truncated", []string{"*.log"}, func(r *rig) {
			each(func(name string, i int) { r.truncate(name, fmt.Sprintf("%d begins anew\n", i)) })
		}, 2 * n},
	} {
		t.Run(tt.name, func(t *testing.T) {
			poll(t, func(r *rig) {
				r.config.Paths = nil
				for _, glob := range tt.globs {
					r.config.Paths = append(r.config.Paths, r.path(glob))
				}
				r.config.PollInterval = pipeline.Duration(10 * time.Second)
				write(r)
				r.start()
				r.pass(copyTimeout)
				r.feed.Ack()
				tt.then(r)
				r.pass(copyTimeout + quietTime)
				if lines := len(r.feed.Lines()); lines != tt.lines {
					t.Errorf("%d lines, want %d", lines, tt.lines)
				}
				if got := r.compared.Load(); got > 50*n {
					t.Errorf("files were looked at %d times because of others, more than 50 times each", got)
				}
			})
		})
	}
}
