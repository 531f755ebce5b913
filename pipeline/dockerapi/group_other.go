//go:build !unix

package dockerapi

// groupOf returns the group that owns a file, where files have one.
func groupOf(string) (gid int, ok bool) { return 0, false }
