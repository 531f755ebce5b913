package file

import (
	"os"
	"testing"
)

func (r *rig) link(to, name string) {
	r.t.Helper()
	r.must(os.Symlink(to, r.path(name+".new")))
	r.rename(name+".new", name)
}

// TestLinksThatMove: a link that leads elsewhere now is noticed at once, wherever it stands on the
// way to a file.
func TestLinksThatMove(t *testing.T) {
	for _, tt := range []struct {
		name, glob  string
		links, then [][2]string
	}{
		{"to a file", "app.log", [][2]string{{"r1/a.log", "app.log"}}, [][2]string{{"r2/a.log", "app.log"}}},
		{"to a folder", "current/*.log", [][2]string{{"r1", "current"}}, [][2]string{{"r2", "current"}}},
		{"to a folder that a pattern matches", "cur*/a.log", [][2]string{{"r1", "current"}},
			[][2]string{{"r2", "current"}}},
		{"to a link", "app.log", [][2]string{{"r1/a.log", "to"}, {"to", "app.log"}}, [][2]string{{"r2/a.log", "to"}}},
		{"to a link to a folder", "current/*.log", [][2]string{{"../r1", "other/to"}, {"other/to", "current"}},
			[][2]string{{"../r2", "other/to"}}},
		{"through a folder", "app.log", [][2]string{{"../r1", "other/to"}, {"other/to/a.log", "app.log"}},
			[][2]string{{"../r2", "other/to"}}},
		{"that was not there", "current/*.log", nil, [][2]string{{"r2", "current"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			notified(t, func(r *rig) {
				r.config.Paths = []string{r.path(tt.glob)}
				r.write("r1/a.log", "first\n")
				r.write("r2/a.log", "second, of another release\n")
				r.write("other/none", "")
				for _, l := range tt.links {
					r.link(l[0], l[1])
				}
				r.start()
				r.wait(0)
				for _, l := range tt.then {
					r.link(l[0], l[1])
				}
				want := map[string]bool{}
				for {
					got := r.wait(1 + len(want))
					want[got[len(got)-1].Line] = true
					if want["second, of another release"] {
						return
					}
				}
			})
		})
	}
}
