//go:build !linux

package syslog

import "net"

// enlarge makes the kernel's buffer of a socket as large as may be.
func enlarge(conn *net.UDPConn, size int) { _ = conn.SetReadBuffer(size) }

// dropsOf is for Linux alone.
func dropsOf(*net.UDPConn) (uint64, bool) { return 0, false }
