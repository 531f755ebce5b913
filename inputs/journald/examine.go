package journald

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/longshore/longshore/inputs/journald/journalfile"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*input)(nil)

// Examine implements pipeline.Examiner: it looks whether there are journals, and can be read.
func (in *input) Examine(_ context.Context, tell func(pipeline.Finding)) {
	readable := 0
	var newest uint64
	var denied error
	for _, dir := range in.config.Paths {
		paths, err := list(dir)
		if errors.Is(err, fs.ErrPermission) {
			denied = err
		}
		for _, path := range paths {
			last, err := lastEntry(path)
			if errors.Is(err, fs.ErrPermission) {
				denied = err
			}
			if err == nil {
				readable++
				newest = max(newest, last)
			}
		}
	}
	f := pipeline.Finding{What: "journal"}
	switch {
	case readable == 0 && denied != nil:
		f.State, f.Says = pipeline.FoundBroken, denied.Error()
		f.Advice = "give the agent the group systemd-journal, or mount the folder readable"
	case readable == 0:
		f.State, f.Says = pipeline.FoundBroken, fmt.Sprintf("no journal is in %q", in.config.Paths)
		f.Advice = "mount /var/log/journal (or /run/log/journal, where Storage=volatile) into the container, " +
			"or set paths"
	case denied != nil:
		f.State, f.Says = pipeline.FoundDoubtful, "not all of it can be read: "+denied.Error()
		f.Advice = "give the agent the group systemd-journal"
	default:
		f.Says = pipeline.Count(readable, "file") + " can be read"
		if newest > 0 {
			f.Says += ", the last entry is of " + time.UnixMicro(nanoseconds(newest)/1000).UTC().Format(time.RFC3339)
		}
	}
	tell(f)
}

// lastEntry returns when the last entry of a file was written.
func lastEntry(path string) (uint64, error) {
	f, err := journalfile.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h, err := f.Header()
	return h.TailRealtime, err
}
