package recognize

import "github.com/longshore/longshore/pipeline/event"

// mostDigits bounds the numbers that are taken for such in text: beyond, no
// integer of 64 bits holds them.
const mostDigits = 18

// KindOf tells what a value is that was written without quotes or types: Number for plain decimal
// numbers as JSON has them, Bool for true and false, Text for all else. What has leading zeros, an
// exponent or very many digits is rather an id, and stays text.
func KindOf(p []byte) event.Kind {
	if len(p) == 0 {
		return event.Text
	}
	switch c := p[0]; {
	case '0' <= c && c <= '9' || c == '-':
		if isDecimal(p) {
			return event.Number
		}
	case c == 't' && string(p) == "true", c == 'f' && string(p) == "false":
		return event.Bool
	}
	return event.Text
}

func isDecimal(p []byte) bool {
	if p[0] == '-' {
		p = p[1:]
	}
	if len(p) == 0 || len(p) > mostDigits+1 || p[0] == '0' && len(p) > 1 && p[1] != '.' {
		return false
	}
	dot := -1
	for i, c := range p {
		switch {
		case c == '.' && dot < 0:
			dot = i
		case c < '0' || c > '9':
			return false
		}
	}
	if dot < 0 {
		return len(p) <= mostDigits
	}
	return dot > 0 && dot < len(p)-1
}
