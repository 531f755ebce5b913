package file

import (
	"testing"
	"time"
)

func TestHowOftenFilesArePolled(t *testing.T) {
	for name, c := range map[string]struct {
		w    *follower
		want time.Duration
	}{
		"the system tells of all":      {&follower{}, time.Minute},
		"of none":                      {&follower{fastPoll: true}, time.Second},
		"of what this machine does":    {&follower{unsure: true}, 10 * time.Second},
		"a folder cannot be looked at": {&follower{ill: map[string]bool{"/a": true}}, 10 * time.Second},
		"the setting":                  {&follower{unsure: true, settings: &settings{poll: time.Hour}}, time.Hour},
		"the setting, told of nothing": {&follower{fastPoll: true, settings: &settings{poll: time.Hour}}, time.Second},
		"a short setting":              {&follower{fastPoll: true, settings: &settings{poll: time.Millisecond}}, time.Millisecond},
	} {
		if c.w.settings == nil {
			c.w.settings = &settings{}
		}
		if got := c.w.pollEvery(); got != c.want {
			t.Errorf("%s: every %v, want %v", name, got, c.want)
		}
	}
}
