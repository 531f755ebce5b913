package event

import "unicode/utf8"

// TruncateText shortens a text to n bytes or a few less, not inside of a character.
func TruncateText[T string | []byte](s T, n int) T {
	if len(s) <= n {
		return s
	}
	for back := 0; back < utf8.UTFMax && n-back > 0; back++ {
		if utf8.RuneStart(s[n-back]) {
			return s[:n-back]
		}
	}
	return s[:max(n, 0)]
}

// Truncate shortens a value, whose bytes are text, to n bytes or a few less, inside of no escape
// and no character. What was no string becomes the head of its JSON, as a string.
func (v Value) Truncate(text []byte, n int) Value {
	if v.Kind == Escaped {
		v.Len = uint32(cutEscaped(text, n))
		return v
	}
	if v.Kind != Plain {
		v.Kind = Text
	}
	v.Len = uint32(len(TruncateText(text, n)))
	return v
}

// cutEscaped returns the largest end, up to n, that is inside of no escape and no
// character of the inside of a JSON string.
func cutEscaped(p []byte, n int) int {
	end := 0
	for i := 0; i < min(n, len(p)); {
		i += unitLen(p[i:])
		if i <= n {
			end = i
		}
	}
	return len(TruncateText(p, end))
}

// unitLen is the length of the escape that p begins with, surrogate pairs taken together, or 1.
func unitLen(p []byte) int {
	switch {
	case p[0] != '\\':
		return 1
	case len(p) < 6 || p[1] != 'u':
		return 2
	case len(p) >= 12 && (p[2]|0x20) == 'd' && p[3] >= '8' && (p[3] <= '9' || p[3]|0x20 <= 'b') && p[6] == '\\' &&
		p[7] == 'u':
		return 12
	}
	return 6
}
