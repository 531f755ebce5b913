package pipeline

// Match reports whether a value matches a pattern in which * stands for any characters.
func Match[T string | []byte](pattern string, value T) bool {
	star, mark := -1, 0
	p, v := 0, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, v
			p++
		case p < len(pattern) && pattern[p] == value[v]:
			p++
			v++
		case star >= 0:
			mark++
			p, v = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// MatchAny reports whether a value matches any of several patterns.
func MatchAny[T string | []byte](patterns []string, value T) bool {
	for _, p := range patterns {
		if Match(p, value) {
			return true
		}
	}
	return false
}
