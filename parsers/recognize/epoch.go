package recognize

import "strconv"

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

// unitOf gives the nanoseconds that one of n is.
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

// epochExponent reads 1.7145612e9, which some encoders write for floats.
func epochExponent(p []byte) (int64, bool) {
	if len(p) > 32 {
		return 0, false
	}
	for _, c := range p {
		if (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(p), 64)
	if err != nil || !(f >= 1e8 && f < 9e18) {
		return 0, false
	}
	unit := unitOf(int64(f))
	if unit == 0 {
		return 0, false
	}
	whole := int64(f)
	return whole*unit + int64((f-float64(whole))*float64(unit)), true
}
