package recognize

import (
	"bytes"
	"time"
)

// The layouts that fewer programs write; Layout lists them.

// digitsFirst reads the dates that start with a digit.
func (c *clock) digitsFirst(p []byte) int {
	switch {
	case p[3] >= 'A' && !isDigit(p[2]), p[2] >= 'A' && !isDigit(p[1]), p[2] == '.' && p[3] == ' ':
		return c.dayFirst(p)
	case p[4] == ' ' && len(p) > 19 && monthOf(p[5:]) > 0:
		return c.yearFirst(p)
	case p[2] == '.' && p[5] == '.':
		return c.dotted(p)
	case p[1] == '/' || p[2] == '/':
		return c.slashed(p)
	case p[2] == '-' && p[5] == '-':
		return c.dayMonthYear(p)
	case p[4] == ':' && p[7] == ':':
		return c.withColons(p)
	case (p[2] == '-' || p[2] == '.') && p[5] == ' ':
		return c.monthDay(p)
	case p[4] == '-' && p[8] == 'T', p[4] == ':' && p[8] == ':':
		return c.dayOfYear(p)
	case len(p) < 15:
		return 0
	case p[6] == ' ':
		return c.shortBasic(p)
	}
	return c.basic(p)
}

// yearFirst reads 2006 Jan _2 15:04:05.
func (c *clock) yearFirst(p []byte) int {
	if c.year = four(p); c.year < 0 {
		return 0
	}
	n := c.monthFirst(p[5:], false)
	if n == 0 {
		return 0
	}
	return 5 + n
}

// monthDay reads 01-02 15:04:05 and 01.02 15:04:05, which have no year.
func (c *clock) monthDay(p []byte) int {
	c.month, c.day = two(p), two(p[3:])
	if c.month|c.day < 0 || !isDigit(p[6]) || !isDigit(p[7]) {
		return 0
	}
	return c.timeBehind(p, 6)
}

// dayMonthYear reads 02-01-2006 15:04:05, in which few have the month first.
func (c *clock) dayMonthYear(p []byte) int {
	c.day, c.month, c.year = two(p), two(p[3:]), four(p[6:])
	if c.day|c.month|c.year < 0 {
		return 0
	}
	c.order = either
	return c.timeAfterDate(p, 10)
}

// withColons reads 2006:01:02-15:04:05.
func (c *clock) withColons(p []byte) int {
	c.year, c.month, c.day = four(p), two(p[5:]), two(p[8:])
	if c.year|c.month|c.day < 0 {
		return 0
	}
	return c.timeAfterDate(p, 10)
}

// dayOfYear reads the ordinal dates of ISO 8601, 2006-002T15:04:05, and 2006:002:15:04:05.
func (c *clock) dayOfYear(p []byte) int {
	c.year = four(p)
	tens := two(p[5:])
	if c.year < 0 || tens < 0 || !isDigit(p[7]) {
		return 0
	}
	c.month, c.day = 1, tens*10+int(p[7]-'0')
	for c.month < 12 && c.day > daysIn(c.year, c.month) {
		c.day -= daysIn(c.year, c.month)
		c.month++
	}
	return c.timeBehind(p, 9)
}

// dotted reads 02.01.2006 15:04:05.
func (c *clock) dotted(p []byte) int {
	c.day, c.month, c.year = two(p), two(p[3:]), four(p[6:])
	if c.day|c.month|c.year < 0 {
		return 0
	}
	return c.timeAfterDate(p, 10)
}

// An order is that of the parts of a date. The zero value is one that is certain.
type order uint8

const (
	sure   order = iota
	either       // 1/2/2006: the month first, or the day
	anyWay       // 1/2/06: also the year first
)

// slashed reads 1/2/2006, 3:04:05 PM, 01/02/2006-15:04:05 and 02/01/2006 15:04:05, where the order
// is certain only with AM or PM, or by a number beyond 12; 06/01/02 15:04:05, whose order is never
// certain; and 01/02 15:04:05, which has no year.
func (c *clock) slashed(p []byte) int {
	at := 0
	if c.month, at = oneOrTwo(p, at); at == 0 || p[at] != '/' {
		return 0
	}
	if c.day, at = oneOrTwo(p, at+1); at == 0 || at+6 > len(p) {
		return 0
	}
	switch {
	case at == 5 && (p[at] == ' ' || p[at] == '-'):
		if c.month > 12 {
			c.month, c.day = c.day, c.month
		}
		return c.timeAfterDate(p, at)
	case p[at] != '/':
		return 0
	case !isDigit(p[at+3]):
		if c.year, at = two(p[at+1:]), at+3; c.year < 0 {
			return 0
		}
		c.order = anyWay
	default:
		if c.year, at = four(p[at+1:]), at+5; c.year < 0 {
			return 0
		}
		c.order = either
	}
	zoned := at
	if at = c.timeAfterDate(p, at); at > 0 && c.order == either && twelveHours(p[zoned:at]) {
		c.order = sure
	}
	return at
}

// twelveHours reports whether AM or PM stands in what follows a date.
func twelveHours(p []byte) bool {
	at := bytes.IndexAny(p, "mM")
	return at > 0 && bytes.IndexByte([]byte("aApP"), p[at-1]) >= 0
}

// instantInOrder returns the time of a slashed date in the order that fits.
func (c *clock) instantInOrder(zone Zone, near int64) (int64, bool) {
	a, b, third := c.month, c.day, c.year
	if c.order == either {
		usual, ok := c.inOrder(third, a, b, zone)
		other, otherOK := c.inOrder(third, b, a, zone)
		if !ok || otherOK && isNear(other, near) && !isNear(usual, near) {
			return other, otherOK
		}
		return usual, true
	}
	var best int64
	found := 0
	for _, date := range [...][3]int{{a, b, third}, {third, b, a}, {third, a, b}} {
		ns, ok := c.inOrder(2000+date[0], date[1], date[2], zone)
		if !ok || near != 0 && ns > near+day || found > 0 && ns == best {
			continue
		}
		if found == 0 || ns > best {
			best = ns
		}
		found++
	}
	return best, found == 1 || found > 1 && near != 0
}

// isNear reports whether a time is that of a source, by a day or two.
func isNear(ns, near int64) bool { return near != 0 && max(ns-near, near-ns) < 2*day }

func (c *clock) inOrder(year, month, date int, zone Zone) (int64, bool) {
	c.year, c.month, c.day = year, month, date
	return c.instant(zone)
}

// shortBasic reads the 060102 150405 of Hadoop's first versions, and 060102 15:04:05, also with a
// blank before the hour.
func (c *clock) shortBasic(p []byte) int {
	c.year, c.month, c.day = two(p), two(p[2:]), two(p[4:])
	if c.year|c.month|c.day < 0 {
		return 0
	}
	c.year += 2000
	if p[9] == ':' {
		return c.timeBehind(p, 7)
	}
	c.hour, c.minute, c.sec = two(p[7:]), two(p[9:]), two(p[11:])
	if c.hour|c.minute|c.sec < 0 || p[13] != ' ' {
		return 0
	}
	return 13
}

// basic reads 20060102T150405Z, 20060102 15:04:05 and 20060102-15:04:05:000.
func (c *clock) basic(p []byte) int {
	if p[8] != 'T' && p[8] != ' ' && p[8] != '-' && p[8] != '.' {
		return 0
	}
	c.year, c.month, c.day = four(p), two(p[4:]), two(p[6:])
	if c.year|c.month|c.day < 0 {
		return 0
	}
	if p[11] == ':' || p[10] == ':' {
		return c.timeBehind(p, 9)
	}
	c.hour, c.minute, c.sec = two(p[9:]), two(p[11:]), two(p[13:])
	if c.hour|c.minute|c.sec < 0 || p[8] == ' ' || p[8] == '-' || p[8] == '.' && len(p) > 15 && isDigit(p[15]) {
		return 0
	}
	at := 15 + c.fraction(p[15:])
	return at + c.zone(p[at:])
}

// timeBehind reads 15:04:05, 3:04:05 PM or a blank and 3:04:05, and what may follow it, from an
// index on, and returns the index behind it, 0 if there is none.
func (c *clock) timeBehind(p []byte, at int) int {
	if at < len(p) && p[at] == ' ' {
		at++
	}
	if c.hour, at = oneOrTwo(p, at); at == 0 || len(p) < at+6 || p[at] != ':' || p[at+3] != ':' {
		return 0
	}
	if c.minute, c.sec = two(p[at+1:]), two(p[at+4:]); c.minute|c.sec < 0 {
		return 0
	}
	at += 6
	at += c.fraction(p[at:])
	return at + c.zone(p[at:])
}

// four reads four digits; it is negative if they are none.
func four(p []byte) int {
	century, year := two(p), two(p[2:])
	if century|year < 0 {
		return -1
	}
	return century*100 + year
}

// oneOrTwo reads one or two digits at an index, and returns the index behind
// them, 0 if there are none.
func oneOrTwo(p []byte, at int) (n, end int) {
	if at+2 >= len(p) || p[at] < '0' || p[at] > '9' {
		return 0, 0
	}
	if n = two(p[at:]); n >= 0 {
		return n, at + 2
	}
	return int(p[at]) - '0', at + 1
}

// ShortDate reads 060102 15:04:05, with which Tornado's lines start.
func ShortDate(p []byte, zone Zone) (ns int64, used int, ok bool) {
	if len(p) < 16 || p[6] != ' ' || p[9] != ':' {
		return 0, 0, false
	}
	var c clock
	if used = c.shortBasic(p); used == 0 {
		return 0, 0, false
	}
	ns, ok = c.instant(zone)
	return ns, used, ok
}

// MonthDay reads a whole 01-02|15:04:05, which has no year.
func MonthDay(p []byte, zone Zone, near int64) (int64, bool) {
	ns, used, ok := MonthDayTime(p, zone, near)
	return ns, ok && used == len(p)
}

// MonthDayTime reads 01-02 15:04:05.000 from the start of p, also with a bar between.
func MonthDayTime(p []byte, zone Zone, near int64) (ns int64, used int, ok bool) {
	if len(p) < 14 || p[2] != '-' || p[5] != ' ' && p[5] != '|' {
		return 0, 0, false
	}
	var c clock
	c.month, c.day = two(p), two(p[3:])
	n := c.hms(p[6:])
	if c.month < 1 || c.day < 1 || n == 0 {
		return 0, 0, false
	}
	ns, ok = c.instantNear(zone, near)
	return ns, 6 + n, ok
}

// IsZone reports whether the configured zone is called so at a time.
func IsZone(name []byte, ns int64, zone Zone) bool {
	if zone == nil {
		return string(name) == "UTC" || string(name) == "GMT"
	}
	abbreviation, _ := time.Unix(0, ns).In(zone).Zone()
	return abbreviation == string(name) || zone.String() == string(name)
}
