package file

import (
	"testing"

	"github.com/longshore/longshore/pipeline"
)

// TestWrittenAnewByAnEditor: an editor or sed -i writes a new file and puts it in the place of the
// old one, or moves that aside before. What was read before is not read again.
func TestWrittenAnewByAnEditor(t *testing.T) {
	const before, after = "one line\ntwo lines\n", "one line\ntwo lines\nthree, by hand\n"
	for _, tt := range []struct {
		name string
		save func(r *rig)
		want []string
	}{
		{"renamed over", func(r *rig) {
			r.write("sedXyz123", after)
			r.rename("sedXyz123", "app.log")
		}, []string{"three, by hand"}},
		{"renamed over by a name that the globs match", func(r *rig) {
			r.write("new.log", after)
			r.rename("new.log", "app.log")
		}, []string{"three, by hand"}},
		{"moved aside before", func(r *rig) {
			r.rename("app.log", "app.log~")
			r.write("app.log", after)
			r.remove("app.log~")
		}, []string{"three, by hand"}},
		{"nothing was changed", func(r *rig) {
			r.write("4913", before)
			r.rename("4913", "app.log")
		}, nil},
		{"another text", func(r *rig) {
			r.write("4913", "one line\n2\nthree\n")
			r.rename("4913", "app.log")
		}, []string{"one line", "2", "three"}},
		{"a new log that begins alike", func(r *rig) {
			r.remove("app.log")
			r.write("app.log", "one line\n")
		}, []string{"one line"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, stopped := range []bool{false, true} {
				poll(t, func(r *rig) {
					r.config.PollInterval = pipeline.Duration(pollTime)
					r.write("app.log", before)
					r.start()
					r.pass(pollTime)
					r.feed.Ack()
					want := append([]string{"one line", "two lines"}, tt.want...)
					if stopped {
						r.restart(func() { tt.save(r) })
						want = tt.want
					} else {
						tt.save(r)
					}
					r.pass(quietTime)
					r.append("app.log", "and goes on\n")
					r.pass(quietTime)
					r.want(append(want, "and goes on")...)
				})
			}
		})
	}
}
