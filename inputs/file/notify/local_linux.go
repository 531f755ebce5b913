package notify

import "golang.org/x/sys/unix"

// IsLocal reports whether only this machine writes to a folder's file system, so that the system
// reports every change. A type that is not known is not local.
func IsLocal(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && isLocalType(int64(st.Type))
}

const zfsMagic = 0x2fc12fc1 // of OpenZFS, zfs_vfsops_os.c

func isLocalType(magic int64) bool {
	switch uint32(magic) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
		unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC,
		unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, zfsMagic:
		return true
	}
	return false
}
