package file

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// TestAFileSystemThatHangs: it is told, and nothing is missing once it answers.
func TestAFileSystemThatHangs(t *testing.T) {
	poll(t, func(r *rig) {
		answers := make(chan struct{})
		tune := r.tune
		r.tune = func(s *settings) {
			tune(s)
			s.readers = 2
			s.openFile = func(path string) (*os.File, error) {
				if strings.HasSuffix(path, "hangs.log") {
					<-answers
				}
				return openFile(path)
			}
		}
		r.write("hangs.log", "one\n")
		r.start()
		r.pass(pipeline.StuckAfter / 2)
		if err := r.health.get(); err != nil {
			t.Errorf("after half a minute: %v", err)
		}
		r.pass(pipeline.StuckAfter)
		r.wantLog("has not answered since 2000-01-01T00:00:00Z")
		if err := r.health.get(); err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("after a minute: %v", err)
		}
		close(answers)
		r.pass(2 * stuckReview)
		if err := r.health.get(); err != nil {
			t.Errorf("once it answers: %v", err)
		}
		r.wantLog("answers again")
		r.want("one")
	})
}

// TestWaitingIsNotHanging: an output that takes nothing is no file system that hangs.
func TestWaitingIsNotHanging(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("a.log", "one\n")
		r.feed.Block(true)
		r.start()
		r.pass(10 * time.Minute)
		if err := r.health.get(); err != nil {
			t.Errorf("while nothing is taken: %v", err)
		}
		r.feed.Block(false)
		r.pass(pollTime)
		r.want("one")
	})
}
