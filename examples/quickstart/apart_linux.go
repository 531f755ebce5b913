package main

import "syscall"

// apart puts the agent into a process group of its own: Ctrl-C in a terminal goes to
// a whole group, and the agent must get it once, handed on by us, not twice. The
// kernel ends the agent should we be killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
