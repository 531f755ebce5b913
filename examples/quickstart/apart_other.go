//go:build !linux && !windows

package main

import "syscall"

// apart is explained in apart_linux.go.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
