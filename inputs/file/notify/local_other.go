//go:build !linux

package notify

// IsLocal reports whether the system is known to report every change in a folder.
func IsLocal(string) bool { return false }
