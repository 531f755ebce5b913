package receive

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An Input is a Server and its Hub as a pipeline.Input.
type Input struct{ Server *Server }

var (
	_ pipeline.Committer = Input{}
	_ pipeline.Examiner  = Input{}
)

// Run implements pipeline.Input.
func (in Input) Run(ctx context.Context, feed pipeline.Feed) error {
	if err := in.Server.Hub.Begin(ctx, feed, "requests"); err != nil {
		return err
	}
	defer in.Server.Hub.End()
	return in.Server.Run(ctx)
}

// Commit implements pipeline.Committer.
func (in Input) Commit(id event.SourceID, at pipeline.Cursor) { in.Server.Hub.Commit(id, at) }

// Examine implements pipeline.Examiner: it looks whether it could listen.
func (in Input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	f := pipeline.Finding{What: in.Server.Listen, Says: "is free"}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", in.Server.Listen)
	switch {
	case err == nil:
		l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		f.State, f.Says = pipeline.FoundDoubtful, "is in use"
		f.Advice = "if that is not this agent, which may run, stop what listens there, or change listen"
	default:
		f.State, f.Says = pipeline.FoundBroken, err.Error()
		f.Advice = "listen at an address of this host, with a port from 1024 up or with CAP_NET_BIND_SERVICE"
	}
	tell(f)
}
