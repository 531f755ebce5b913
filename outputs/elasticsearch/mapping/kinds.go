package mapping

import (
	"bytes"
	"strconv"

	"github.com/longshore/longshore/pipeline/event"
)

// kinds are what dynamic mapping makes of values.
type kinds uint16

const (
	object kinds = 1 << iota
	text
	dashDate  // 2026-11-29, with a time or without
	slashDate // 2026/11/29
	oddDate   // it may be taken for a date
	badDate   // it is taken for a date, and then cannot be read
	integer
	fraction
	boolean

	nothing kinds = 0 // null
	dates         = dashDate | slashDate | oddDate | badDate
)

// kindOf returns the kind of a scalar. An integer or a fraction is text where no type holds it.
func (f *Fitter) kindOf(scalar []byte) kinds {
	switch scalar[0] {
	case '"':
		if f.dates {
			return f.kindOfText(scalar[1 : len(scalar)-1])
		}
		return text
	case 't', 'f':
		return boolean
	case 'n':
		return nothing
	}
	return kindOfNumber(scalar)
}

// sureDigits is the length of integers that are below 2^63, with their sign.
const sureDigits = 18

func kindOfNumber(number []byte) kinds {
	whole := true
	for _, c := range number {
		if c == '.' || c|0x20 == 'e' {
			whole = false
			break
		}
	}
	if whole {
		if len(number) > sureDigits {
			if _, err := strconv.ParseInt(string(number), 10, 64); err != nil {
				return text
			}
		}
		return integer
	}
	if isLongNumber(number) {
		return text
	}
	if n, err := strconv.ParseFloat(string(number), 64); err != nil || n > maxFloat || n < -maxFloat {
		return text
	}
	return fraction
}

// maxFloat is below the largest 32-bit float, which is what dynamic mapping makes of fractions.
const maxFloat = 3.4e38

// isLongNumber reports whether newer servers may refuse a number for its length alone.
func isLongNumber(number []byte) bool { return len(number) > 500 }

// longestDate bounds the texts that are looked at.
const longestDate = 128

// kindOfText tells texts that may be taken for dates from others.
func (f *Fitter) kindOfText(inside []byte) kinds {
	if len(inside) == 0 || len(inside) > longestDate || !firstOfDate[inside[0]] {
		return text
	}
	if bytes.IndexByte(inside, '\\') >= 0 {
		f.unescaped = event.AppendUnescaped(f.unescaped[:0], inside)
		inside = f.unescaped
	}
	return kindOfDate(inside)
}

// kindOfDate classifies text by what dynamic date detection accepts: strict_date_optional_time,
// and yyyy/MM/dd with a time or without. Numbers are no dates.
func kindOfDate(s []byte) kinds {
	plain := true // four digits, no sign
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		s, plain = s[1:], false
	}
	year := digits(s)
	if year < 4 || year == len(s) {
		return text
	}
	plain = plain && year == 4
	rest := s[year:]
	switch rest[0] {
	case 'T':
		return oddDate
	case '/':
		return slashDateKind(s[:year], rest, plain)
	case '-':
		return dashDateKind(s[:year], rest, plain)
	}
	return text
}

// slashDateKind classifies what follows a year: /MM/dd, and a time perhaps.
func slashDateKind(year, rest []byte, plain bool) kinds {
	if len(rest) < 6 || digits(rest[1:]) != 2 || rest[3] != '/' || digits(rest[4:]) != 2 {
		return text
	}
	switch valid := isDay(year, rest[1:3], rest[4:6]); {
	case !valid:
		return badDate
	case len(rest) > 6 && rest[6] != ' ':
		return text
	case len(rest) > 6 || !plain:
		return oddDate
	}
	return slashDate
}

// dashDateKind classifies what follows a year: -MM or -MM-dd, and a time perhaps.
func dashDateKind(year, rest []byte, plain bool) kinds {
	if digits(rest[1:]) != 2 {
		return text
	}
	month, rest := rest[1:3], rest[3:]
	day := []byte("01")
	whole := false
	if len(rest) > 0 && rest[0] == '-' {
		if digits(rest[1:]) != 2 {
			return text
		}
		day, rest, whole = rest[1:3], rest[3:], true
	}
	switch {
	case len(rest) > 0 && rest[0] != 'T':
		return text
	case !isDay(year, month, day) && whole:
		return oddDate
	case !isDay(year, month, day):
		return badDate
	case !plain || !whole && len(rest) > 0 || !isTime(rest):
		return oddDate
	}
	return dashDate
}

func digits(s []byte) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func number(s []byte) int {
	n := 0
	for _, c := range s {
		n = min(n*10+int(c-'0'), 1<<30)
	}
	return n
}

func isDay(year, month, day []byte) bool {
	y, m, d := number(year), number(month), number(day)
	longest := 31
	switch m {
	case 4, 6, 9, 11:
		longest = 30
	case 2:
		longest = 28
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			longest = 29
		}
	}
	return m >= 1 && m <= 12 && d >= 1 && d <= longest
}

// isTime reports whether a date may end in this: nothing, or the usual Thh:mm:ss with a fraction
// and an offset perhaps.
func isTime(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	if len(s) < 9 || digits(s[1:]) != 2 || s[3] != ':' || digits(s[4:]) != 2 || s[6] != ':' || digits(s[7:]) != 2 ||
		number(s[1:3]) > 23 || number(s[4:6]) > 59 || number(s[7:9]) > 59 {
		return false
	}
	s = s[9:]
	if len(s) > 1 && s[0] == '.' {
		n := digits(s[1:])
		if n == 0 || n > 9 {
			return false
		}
		s = s[1+n:]
	}
	switch {
	case len(s) == 0, len(s) == 1 && s[0] == 'Z':
		return true
	case len(s) != 6 || s[0] != '+' && s[0] != '-' || digits(s[1:]) != 2 || s[3] != ':' || digits(s[4:]) != 2:
		return false
	}
	return number(s[1:3]) < 18 && number(s[4:6]) < 60
}
