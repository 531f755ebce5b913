package notify

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocalFileSystems(t *testing.T) {
	for name, c := range map[string]struct {
		magic int64
		local bool
	}{
		"ext4":                                 {unix.EXT4_SUPER_MAGIC, true},
		"btrfs":                                {unix.BTRFS_SUPER_MAGIC, true},
		"btrfs, where it is a negative number": {int64(int32(-0x6edc97c2)), true},
		"tmpfs":                                {unix.TMPFS_MAGIC, true},
		"NFS":                                  {unix.NFS_SUPER_MAGIC, false},
		"SMB":                                  {unix.SMB2_SUPER_MAGIC, false},
		"FUSE":                                 {unix.FUSE_SUPER_MAGIC, false},
		"9P":                                   {unix.V9FS_MAGIC, false},
		"unknown":                              {12345, false},
	} {
		if got := isLocalType(c.magic); got != c.local {
			t.Errorf("%s: local %v, want %v", name, got, c.local)
		}
	}
}
