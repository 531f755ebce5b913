package condition

import "strings"

// meant names what was probably meant.
func meant(name string, known []string) string {
	for _, k := range known {
		if near(name, k) || len(name) > 2 && strings.HasPrefix(strings.ToLower(name), strings.ToLower(k)) ||
			len(name) > 2 && strings.HasPrefix(strings.ToLower(k), strings.ToLower(name)) {
			return `; did you mean "` + k + `"?`
		}
	}
	return ""
}

// near reports whether a name is another one with one letter too many, too few, or wrong,
// with two neighbours swapped, or in another case.
func near(name, known string) bool {
	a, b := strings.ToLower(name), strings.ToLower(known)
	if a == b {
		return true
	}
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	a, b = a[at:], b[at:]
	switch {
	case len(a) == len(b)+1:
		return a[1:] == b
	case len(b) == len(a)+1:
		return b[1:] == a
	case len(a) != len(b):
		return false
	}
	return a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
}
