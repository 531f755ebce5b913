//go:build !unix

package docker

// groupOf gives the group that owns a file, where files have one.
func groupOf(string) (gid int, ok bool) { return 0, false }
