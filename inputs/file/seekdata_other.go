//go:build !linux

package file

// seekData is no way to seek: what is in a hole is read as NULs.
const seekData = -1
