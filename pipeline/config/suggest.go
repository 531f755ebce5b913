package config

import "strings"

// nearest returns the known name that was probably meant, or "".
func nearest(name string, known []string) string {
	best, bestAt := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := editDistance(fold(name), fold(k)); d < bestAt {
			best, bestAt = k, d
		}
	}
	return best
}

// editDistance is how far a name is from a known one; a name cut short (elastic for
// elasticsearch) or drawn out (warning for warn) is near.
func editDistance(name, known string) int {
	short, long := name, known
	if len(short) > len(long) {
		short, long = long, short
	}
	if len(short) > 2 && strings.HasPrefix(long, short) {
		return min(1, len(long)-len(short))
	}
	return distance(name, known)
}

// fold leaves out what people mix up: case, and the kind of dash.
func fold(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "-", "_"))
}

// distance counts the letters to insert, remove, replace or swap with their neighbour to make b of
// a (optimal string alignment). Names longer than any of ours are far from all.
func distance(a, b string) int {
	const far = 64
	if len(a) > far || len(b) > far {
		return far
	}
	var rows [3][far + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+differ(a[i-1], b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

// meant says what to do about an unknown name: the one that was probably meant, or else
// all there are, if they are few.
func meant(name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return `; did you mean "` + best + `"?`
	}
	if len(known) > 0 && len(known) <= 12 {
		return "; there is " + list(known, "and")
	}
	return ""
}

// list joins names as a sentence does: a, b and c.
func list(names []string, and string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " " + and + " " + names[last]
}
