package event

// These find their way in JSON that is valid: they bound what they read, and check nothing.

// StringEnd returns the index of the quote that ends the string whose inside starts at an index, or
// the end of p.
func StringEnd(p []byte, at int) int {
	for at < len(p) && p[at] != '"' {
		if p[at] == '\\' {
			at++
		}
		at++
	}
	return min(at, len(p))
}

// NestedEnd returns the index behind the object or array that starts at an index.
func NestedEnd(p []byte, at int) int {
	depth := 0
	for ; at < len(p); at++ {
		switch p[at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		case '"':
			at = StringEnd(p, at+1)
		}
	}
	return len(p)
}

// SkipBlanks returns the index of what is no blank from an index on.
func SkipBlanks(p []byte, at int) int {
	// Most bytes are no blanks, nor control characters.
	for at < len(p) && p[at] <= ' ' && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r') {
		at++
	}
	return at
}
