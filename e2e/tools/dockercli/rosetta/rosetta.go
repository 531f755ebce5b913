// Package rosetta stands in for the package of that name, which the docker command asks where it
// runs: these tests do not run on a Mac.
package rosetta

// Enabled reports whether a Mac translates the program.
func Enabled() bool { return false }
