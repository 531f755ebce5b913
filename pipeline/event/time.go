package event

import "encoding/binary"

// AppendTime appends a time in Unix nanoseconds as RFC 3339 in UTC with the
// fewest of 3, 6 or 9 fractional digits that lose nothing. Years below 0 or above 9999
// do not occur: int64 nanoseconds reach from 1677 to 2262.
func AppendTime(dst []byte, ns int64) []byte {
	sec := ns / 1e9
	frac := ns % 1e9
	if frac < 0 {
		frac += 1e9
		sec--
	}
	days := sec / 86400
	rest := sec % 86400
	if rest < 0 {
		rest += 86400
		days--
	}
	year, month, day := civil(days)
	var p [len("0000-00-00T00:00:00.000000000Z")]byte
	put2(p[0:], uint64(year)/100)
	put2(p[2:], uint64(year)%100)
	p[4] = '-'
	put2(p[5:], uint64(month))
	p[7] = '-'
	put2(p[8:], uint64(day))
	p[10] = 'T'
	put2(p[11:], uint64(rest)/3600)
	p[13] = ':'
	put2(p[14:], uint64(rest)/60%60)
	p[16] = ':'
	put2(p[17:], uint64(rest)%60)
	p[19] = '.'
	end := 20 + putFraction(p[20:], uint64(frac))
	p[end] = 'Z'
	return append(dst, p[:end+1]...)
}

// putFraction writes nanoseconds and returns how many digits of them count.
func putFraction(p []byte, ns uint64) int {
	put3(p, ns/1e6)
	if ns%1e6 == 0 {
		return 3
	}
	put3(p[3:], ns/1e3%1e3)
	if ns%1e3 == 0 {
		return 6
	}
	put3(p[6:], ns%1e3)
	return 9
}

func put3(p []byte, n uint64) {
	p[0] = byte('0' + n/100)
	put2(p[1:], n%100)
}

func put2(p []byte, n uint64) {
	binary.LittleEndian.PutUint16(p, decimalPairs[n%100])
}

// decimalPairs are the numbers below 100 as two digits.
var decimalPairs = func() (t [100]uint16) {
	for n := range uint16(100) {
		t[n] = '0' + n/10 | ('0'+n%10)<<8
	}
	return t
}()

// civil turns days since 1970-01-01 into a date of the Gregorian calendar, from the
// year 0 on: Neri and Schneider, Euclidean Affine Functions and Applications to
// Calendar Algorithms, arXiv:2102.06959. In it years begin in March.
func civil(days int64) (year, month, day int64) {
	n := 4*uint32(days+719468) + 3
	century := n / 146097
	n = n%146097 | 3
	p := uint64(2939745) * uint64(n)
	dayOfYear := uint32(p) / 2939745 / 4
	m := 2141*dayOfYear + 197913
	year, month, day = int64(100*century+uint32(p>>32)), int64(m>>16), int64(m&0xffff/2141+1)
	if dayOfYear >= 306 {
		return year + 1, month - 12, day
	}
	return year, month, day
}

// Days returns the days since 1970-01-01 of a date of the Gregorian calendar,
// the inverse of the above (days_from_civil).
func Days(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	yoe := year - era*400
	mp := (month + 9) % 12
	doy := (153*mp+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}
