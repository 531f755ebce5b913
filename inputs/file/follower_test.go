package file

import (
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
)

func TestHowOftenFilesArePolled(t *testing.T) {
	for name, c := range map[string]struct {
		w    *follower
		poll time.Duration
		want time.Duration
	}{
		"the system reports all":         {&follower{}, 0, time.Minute},
		"none":                           {&follower{fastPoll: true}, 0, time.Second},
		"what this machine does":         {&follower{maybeShared: true}, 0, 10 * time.Second},
		"a folder cannot be looked at":   {&follower{unreadable: map[string]bool{"/a": true}}, 0, 10 * time.Second},
		"the setting":                    {&follower{maybeShared: true}, time.Hour, time.Hour},
		"the setting, where none is":     {&follower{fastPoll: true}, time.Hour, time.Second},
		"a short setting, where none is": {&follower{fastPoll: true}, time.Millisecond, time.Millisecond},
	} {
		c.w.core = &core{settings: &settings{Config: Config{PollInterval: pipeline.Duration(c.poll)}}}
		if got := c.w.pollEvery(); got != c.want {
			t.Errorf("%s: every %v, want %v", name, got, c.want)
		}
	}
}
