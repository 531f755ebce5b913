package mapping

// These read JSON that is valid: they bound what they read, and check nothing.

func skipSpace(p []byte, at int) int {
	for at < len(p) && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r') {
		at++
	}
	return at
}

// A member is a name and a value of an object, or a value of an array.
type member struct {
	key        []byte // as it is written, without quotes
	start, end int    // of the value
}

// nextMember returns the member of an object that follows an index, which is behind its brace or
// behind the member before. Without one it returns the index behind the object.
func nextMember(p []byte, at int) (m member, ok bool) {
	at = skipSpace(p, at)
	if at < len(p) && p[at] == ',' {
		at = skipSpace(p, at+1)
	}
	if at >= len(p) || p[at] != '"' {
		return member{end: at + 1}, false
	}
	end := stringEnd(p, at)
	m.key = p[at+1 : end-1]
	m.start = skipSpace(p, skipSpace(p, end)+1)
	m.end = valueEnd(p, m.start)
	return m, true
}

// nextElement is nextMember for an array.
func nextElement(p []byte, at int) (m member, ok bool) {
	at = skipSpace(p, at)
	if at < len(p) && p[at] == ',' {
		at = skipSpace(p, at+1)
	}
	if at >= len(p) || p[at] == ']' {
		return member{end: at + 1}, false
	}
	m.start, m.end = at, valueEnd(p, at)
	return m, true
}

// stringEnd returns the index behind the string that starts at an index.
func stringEnd(p []byte, at int) int {
	for at++; at < len(p); at++ {
		switch p[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(p)
}

// valueEnd returns the index behind the value that starts at an index.
func valueEnd(p []byte, at int) int {
	if at >= len(p) {
		return len(p)
	}
	switch p[at] {
	case '"':
		return stringEnd(p, at)
	case '{', '[':
		return containerEnd(p, at)
	}
	for at < len(p) && p[at] > ' ' && p[at] != ',' && p[at] != '}' && p[at] != ']' {
		at++
	}
	return at
}

func containerEnd(p []byte, at int) int {
	for depth := 0; at < len(p); at++ {
		switch p[at] {
		case '"':
			at = stringEnd(p, at) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return len(p)
}
