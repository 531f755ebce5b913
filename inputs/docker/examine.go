package docker

import (
	"cmp"
	"context"
	"fmt"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Input)(nil)

// Examine implements pipeline.Examiner: it reaches the engine, lists the containers, and says which
// of those that run are followed, and how.
func (in *Input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	eng := newEngine(&in.config)
	eng.Dial = in.dial
	defer eng.Close()
	info, err := eng.connect(ctx)
	if err != nil {
		tell(pipeline.Finding{What: "engine", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	tell(pipeline.Finding{What: "engine", Says: eng.Host + " answers, as " + cmp.Or(info.name,
		"a host without a name")})
	containers, err := eng.list(ctx)
	if err != nil {
		tell(pipeline.Finding{What: "containers", State: pipeline.FoundBroken, Says: err.Error(),
			Advice: "allow GET /containers on the socket"})
		return
	}
	in.examineContainers(ctx, eng, containers, tell)
}

func (in *Input) examineContainers(
	ctx context.Context, eng *engine, containers map[string]bool, tell func(pipeline.Finding),
) {
	running, followed, byFile := 0, 0, 0
	var unreadable error
	self := findSelf("/proc/self")
	for id, runs := range containers {
		if !runs {
			continue
		}
		running++
		c, err := eng.inspect(ctx, id)
		if err != nil {
			continue // gone meanwhile, or ctx ended
		}
		if _, ok := in.config.follows(newIdentity(c, "")); !ok || self.is(c) {
			continue
		}
		followed++
		if in.config.Mode == modeAPI || c.HostConfig == nil || c.HostConfig.LogConfig.Type != "json-file" {
			continue
		}
		if err := readable(c.LogPath); err != nil {
			unreadable = err
			continue
		}
		byFile++
	}
	if ctx.Err() != nil {
		return
	}
	found := pipeline.Finding{What: "containers",
		Says: fmt.Sprintf("%s running, %d of them followed", pipeline.Count(running, "container"), followed)}
	if running > 0 && followed == 0 {
		found.State = pipeline.FoundDoubtful
		found.Advice = "longshore explain NAME says why one is not"
	}
	tell(found)
	switch {
	case unreadable != nil && in.config.Mode == modeFiles:
		tell(pipeline.Finding{What: "log files", State: pipeline.FoundBroken, Says: unreadable.Error(),
			Advice: noFileError{unreadable}.advice()})
	case unreadable != nil:
		tell(pipeline.Finding{What: "log files", Says: fmt.Sprintf(
			"%d read from the engine's files, the others through its API (%v)", byFile, unreadable)})
	case byFile > 0:
		tell(pipeline.Finding{What: "log files", Says: fmt.Sprintf("%d read from the engine's files", byFile)})
	}
}
