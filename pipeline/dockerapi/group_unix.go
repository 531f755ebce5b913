//go:build unix

package dockerapi

import (
	"os"
	"syscall"
)

// groupOf returns the group that owns a file.
func groupOf(path string) (gid int, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Gid), true
}
