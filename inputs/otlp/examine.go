package otlp

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*input)(nil)

// Examine implements pipeline.Examiner: it looks whether each address is free.
func (in *input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	var of net.ListenConfig
	for _, listen := range in.config.Listen {
		f := pipeline.Finding{What: listen, Says: "is free"}
		listener, err := of.Listen(ctx, "tcp", listen)
		switch {
		case err == nil:
			_ = listener.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			f.State, f.Says = pipeline.FoundDoubtful, "is in use"
			f.Advice = "if that is not this agent, which may run, stop what listens there, or change listen"
		default:
			f.State, f.Says = pipeline.FoundBroken, err.Error()
			f.Advice = "listen at an address of this host, with a port from 1024 up or with CAP_NET_BIND_SERVICE"
		}
		tell(f)
	}
}
