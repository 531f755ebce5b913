package stdout

import (
	"bytes"
	"unicode/utf8"
)

// A log may contain anything, and a terminal obeys control characters: they could move the cursor,
// rename the window, or reorder text. So they are shown, not sent.

// appendBlock appends text of several lines, those after the first indented.
func appendBlock(dst, text []byte) []byte {
	for {
		line, rest, more := bytes.Cut(text, []byte("\n"))
		dst = appendSafe(dst, bytes.TrimSuffix(line, []byte("\r")))
		if !more {
			return dst
		}
		dst = append(dst, "\n"+indent...)
		text = rest
	}
}

// appendInline appends text in one line, quoted if asked.
func appendInline(dst, text []byte, quote bool) []byte {
	if !quote {
		return appendSafe(dst, text)
	}
	dst = append(dst, '"')
	for {
		part, rest, more := bytes.Cut(text, []byte(`"`))
		dst = appendSafe(dst, part)
		if !more {
			return append(dst, '"')
		}
		dst = append(dst, `\"`...)
		text = rest
	}
}

// appendSafe appends text without control characters. Colours that the program wrote are removed,
// other control characters are shown as \x1b or \u202e; tabs stay.
func appendSafe(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c >= 0x20 && c < 0x7f || c == '\t':
			dst = append(dst, c)
			i++
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(text[i:])
			dst = appendRune(dst, r)
			i += size
		default:
			if n := colorLength(text[i:]); n > 0 {
				i += n
				continue
			}
			dst = appendControl(dst, c)
			i++
		}
	}
	return dst
}

// colorLength returns the length of an SGR sequence, ESC [ digits m, at the start of the text; 0 if
// there is none.
func colorLength(text []byte) int {
	if len(text) < 3 || text[0] != 0x1b || text[1] != '[' {
		return 0
	}
	for i, c := range text[2:] {
		switch {
		case c == 'm':
			return i + 3
		case (c < '0' || c > '9') && c != ';' && c != ':':
			return 0
		}
	}
	return 0
}

const hexDigits = "0123456789abcdef"

func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	}
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

func appendRune(dst []byte, r rune) []byte {
	if !isControl(r) {
		return utf8.AppendRune(dst, r)
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// isControl reports whether a character has an effect: C1 controls, line separators, and those that
// change the direction of text.
func isControl(r rune) bool {
	return r >= 0x80 && r <= 0x9f ||
		r == 0x200e || r == 0x200f || r == 0x061c ||
		r >= 0x2028 && r <= 0x202e ||
		r >= 0x2066 && r <= 0x2069
}
