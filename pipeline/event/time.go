package event

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
	dst = append2(dst, year/100)
	dst = append2(dst, year%100)
	dst = append(dst, '-')
	dst = append2(dst, month)
	dst = append(dst, '-')
	dst = append2(dst, day)
	dst = append(dst, 'T')
	dst = append2(dst, rest/3600)
	dst = append(dst, ':')
	dst = append2(dst, rest/60%60)
	dst = append(dst, ':')
	dst = append2(dst, rest%60)
	dst = append(dst, '.')
	dst = append3(dst, frac/1e6)
	if frac%1e6 != 0 {
		dst = append3(dst, frac/1e3%1e3)
		if frac%1e3 != 0 {
			dst = append3(dst, frac%1e3)
		}
	}
	return append(dst, 'Z')
}

func append2(dst []byte, n int64) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

func append3(dst []byte, n int64) []byte {
	return append(dst, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
}

// civil turns days since 1970-01-01 into a date of the Gregorian calendar: Howard
// Hinnant's civil_from_days, chrono-compatible low-level date algorithms.
func civil(days int64) (year, month, day int64) {
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// Days gives the days since 1970-01-01 of a date of the Gregorian calendar,
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
