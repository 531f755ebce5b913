//go:build !linux

package server

import "syscall"

// Only Linux has a death signal; elsewhere a server can outlive a test that is killed.
func attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
