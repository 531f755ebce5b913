//go:build unix

package exec

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminate asks a command's process group to end.
func terminate(p *os.Process) { _ = unix.Kill(-p.Pid, unix.SIGTERM) }

// kill ends what there is of a command's process group.
func kill(p *os.Process) { _ = unix.Kill(-p.Pid, unix.SIGKILL) }
