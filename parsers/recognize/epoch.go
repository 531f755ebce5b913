package recognize

import "bytes"

// Epoch reads a Unix time in seconds, milliseconds, microseconds or
// nanoseconds, told apart by magnitude: each unit reaches from the year 2000
// beyond 2100 before the next one begins. A fraction is exact to the nanosecond.
func Epoch(p []byte) (ns int64, ok bool) {
	whole, at := int64(0), 0
	for at < len(p) && '0' <= p[at] && p[at] <= '9' {
		if at == 19 {
			return 0, false
		}
		whole = whole*10 + int64(p[at]-'0')
		at++
	}
	if at == 0 || at < 9 && len(p) == at {
		return 0, false
	}
	if at < len(p) && p[at] == '.' {
		return epochFraction(whole, p[at+1:], p)
	}
	if at < len(p) {
		return epochExponent(p)
	}
	unit := unitOf(whole)
	return whole * unit, whole >= 0
}

// unitOf returns the nanoseconds that one of n is.
func unitOf(n int64) int64 {
	switch {
	case n < 1e11:
		if n > 9e9 { // beyond what nanoseconds reach
			return 0
		}
		return 1e9
	case n < 1e14:
		return 1e6
	case n < 1e17:
		return 1e3
	}
	return 1
}

func epochFraction(whole int64, digits, all []byte) (int64, bool) {
	if len(digits) == 0 {
		return 0, false
	}
	unit := unitOf(whole)
	ns, scale := whole*unit, unit
	for _, c := range digits {
		if c < '0' || c > '9' {
			return epochExponent(all)
		}
		scale /= 10
		ns += int64(c-'0') * scale
	}
	return ns, whole > 0
}

// epochExponent reads 1.7145612e9, which some encoders write for floats, by moving the dot.
func epochExponent(p []byte) (int64, bool) {
	e := bytes.IndexAny(p, "eE")
	if e < 2 || e > 24 || p[1] != '.' {
		return 0, false
	}
	shift, ok := smallInt(bytes.TrimPrefix(p[e+1:], []byte("+")))
	if !ok || shift < 8 || shift > 18 {
		return 0, false
	}
	var moved [48]byte
	digits := append(moved[:0], p[0])
	digits = append(digits, p[2:e]...)
	for len(digits) < shift+1 {
		digits = append(digits, '0')
	}
	if behind := digits[shift+1:]; len(behind) > 0 {
		digits = append(digits, 0)
		copy(digits[shift+2:], digits[shift+1:])
		digits[shift+1] = '.'
	}
	if bytes.IndexFunc(digits, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) >= 0 {
		return 0, false
	}
	return Epoch(digits)
}
