package syslog

import (
	"net"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// enlarge makes the kernel's buffer of a socket as large as may be.
func enlarge(conn *net.UDPConn, size int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
		}
	})
}

// dropsOf returns how many datagrams the kernel has dropped of a socket, by the kernel's own table.
func dropsOf(conn *net.UDPConn) (uint64, bool) {
	inode, ok := inodeOf(conn)
	if !ok {
		return 0, false
	}
	proc, err := procfs.NewFS("/proc/self") // whose net is that of this process
	if err != nil {
		return 0, false
	}
	for _, table := range []func() (procfs.NetUDP, error){proc.NetUDP6, proc.NetUDP} {
		lines, err := table()
		if err != nil {
			continue
		}
		for _, line := range lines {
			if line.Inode == inode && line.Drops != nil {
				return *line.Drops, true
			}
		}
	}
	return 0, false
}

func inodeOf(conn *net.UDPConn) (uint64, bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var stat unix.Stat_t
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Fstat(int(fd), &stat) }); err != nil || failed != nil {
		return 0, false
	}
	return stat.Ino, true
}
