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
	return whole * unit, unit > 0
}

// unitOf returns the nanoseconds that one of n is, 0 where they would be beyond the year 2255:
// 64 bits do not reach far beyond it, and such a number is a date rather, or an id.
func unitOf(n int64) int64 {
	const last = 9e9
	switch {
	case n < 1e11:
		return unitUpTo(n, last, 1e9)
	case n < 1e14:
		return unitUpTo(n, last*1e3, 1e6)
	case n < 1e17:
		return unitUpTo(n, last*1e6, 1e3)
	}
	return unitUpTo(n, last*1e9, 1)
}

func unitUpTo(n, last, unit int64) int64 {
	if n > last {
		return 0
	}
	return unit
}

// digitsOnly reads a whole 20060102150405, also with milliseconds behind.
func digitsOnly(p []byte, zone Zone) (int64, bool) {
	if len(p) != 14 && len(p) != 17 || p[0] != '1' && p[0] != '2' {
		return 0, false
	}
	for _, digit := range p {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	c := clock{year: four(p), month: two(p[4:]), day: two(p[6:])}
	c.hour, c.minute, c.sec = two(p[8:]), two(p[10:]), two(p[12:])
	if len(p) == 17 {
		c.nanos = int64(two(p[14:])*10+int(p[16]-'0')) * 1e6
	}
	return c.instant(zone)
}

func epochFraction(whole int64, digits, all []byte) (int64, bool) {
	if len(digits) == 0 {
		return 0, false
	}
	unit := unitOf(whole)
	if unit == 0 {
		return 0, false
	}
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
