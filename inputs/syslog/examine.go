package syslog

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*input)(nil)

// Examine implements pipeline.Examiner: it looks whether it could listen at each address.
func (in *input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	for _, a := range in.addresses {
		tell(in.examine(ctx, a))
	}
}

func (in *input) examine(ctx context.Context, a address) pipeline.Finding {
	f := pipeline.Finding{What: a.String(), Says: "is free"}
	err := tryListen(ctx, a)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EADDRINUSE):
		f.State, f.Says = pipeline.FoundDoubtful, "is in use"
		f.Advice = "if that is not this agent, which may run, stop what listens there, or change listen"
	default:
		f.State, f.Says = pipeline.FoundBroken, err.Error()
		f.Advice = "listen at an address of this host, with a port from 1024 up or with CAP_NET_BIND_SERVICE"
		if a.over == overUnix {
			f.Advice = "give the agent a folder that it may write to"
		}
	}
	return f
}

func tryListen(ctx context.Context, a address) error {
	switch a.over {
	case overUDP:
		conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", a.at)
		if err != nil {
			return err
		}
		return conn.Close()
	case overUnix:
		_, err := os.Stat(filepath.Dir(a.at))
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.at)
	if err != nil {
		return err
	}
	return l.Close()
}
