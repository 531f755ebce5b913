package exec

import "syscall"

// ownGroup gives a command a process group, and has it end with the agent, however that ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
