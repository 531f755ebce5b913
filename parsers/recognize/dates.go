package recognize

import "time"

// The layouts that fewer programs write; Layout lists them.

// digitsFirst reads the dates that start with a digit, beside those of access logs and 02 Jan 2006.
func (c *clock) digitsFirst(p []byte) int {
	switch {
	case p[2] == '-' || p[1] == '-':
		return c.dashed(p)
	case p[2] == '.' && p[5] == '.':
		return c.dotted(p)
	case p[2] == '/' && p[5] == '/' && p[8] == ' ':
		return c.shortYear(p)
	case p[1] == '/' || p[2] == '/':
		return c.american(p)
	case p[6] == ' ':
		return c.shortBasic(p)
	}
	return c.basic(p)
}

// dashed reads 02-Jan-2006 15:04:05 and Erlang's 2-Jan-2006::15:04:05.
func (c *clock) dashed(p []byte) int {
	at := 2
	if p[1] == '-' {
		at = 1
		c.day = int(p[0]) - '0'
	} else {
		c.day = two(p)
	}
	if len(p) < at+18 || p[at+4] != '-' {
		return 0
	}
	c.month, c.year = monthOf(p[at+1:]), four(p[at+5:])
	at += 9
	if p[at] == ':' && p[at+1] == ':' {
		at++
	} else if p[at] != ' ' {
		return 0
	}
	if c.day < 1 || c.month == 0 || c.year < 0 {
		return 0
	}
	return c.timeBehind(p, at+1)
}

// dotted reads 02.01.2006 15:04:05.
func (c *clock) dotted(p []byte) int {
	if len(p) < 19 || p[10] != ' ' && p[10] != ',' {
		return 0
	}
	c.day, c.month, c.year = two(p), two(p[3:]), four(p[6:])
	at := 11
	if p[10] == ',' && p[11] == ' ' {
		at++
	}
	if c.day|c.month|c.year < 0 {
		return 0
	}
	return c.timeBehind(p, at)
}

// shortYear reads Spark's 06/01/02 15:04:05.
func (c *clock) shortYear(p []byte) int {
	c.year, c.month, c.day = two(p), two(p[3:]), two(p[6:])
	if c.year|c.month|c.day < 0 {
		return 0
	}
	c.year += 2000
	return c.timeBehind(p, 9)
}

// shortBasic reads the 060102 150405 of Hadoop's first versions, and 060102 15:04:05.
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

// basic reads 20060102T150405Z, 20060102 15:04:05 and 20060102-15:04:05.
func (c *clock) basic(p []byte) int {
	if p[8] != 'T' && p[8] != ' ' && p[8] != '-' {
		return 0
	}
	c.year, c.month, c.day = four(p), two(p[4:]), two(p[6:])
	if c.year|c.month|c.day < 0 {
		return 0
	}
	if p[11] == ':' {
		return c.timeBehind(p, 9)
	}
	c.hour, c.minute, c.sec = two(p[9:]), two(p[11:]), two(p[13:])
	if c.hour|c.minute|c.sec < 0 || p[8] != 'T' {
		return 0
	}
	at := 15 + c.fraction(p[15:])
	return at + c.zone(p[at:])
}

// american reads 1/2/2006, 3:04:05 PM. Without AM or PM the day and the month
// could be the other way round.
func (c *clock) american(p []byte) int {
	at := 0
	if c.month, at = oneOrTwo(p, at); at == 0 || p[at] != '/' {
		return 0
	}
	day := at + 1
	if c.day, at = oneOrTwo(p, day); at == 0 || at+6 > len(p) || p[at] != '/' {
		return 0
	}
	c.year = four(p[at+1:])
	at += 5
	if p[at] == ',' {
		at++
	}
	if c.year < 0 || at >= len(p) || p[at] != ' ' {
		return 0
	}
	return c.half(p, at+1)
}

// monthName reads Jan 2, 2006 3:04:05 PM.
func (c *clock) monthName(p []byte) int {
	at := 0
	c.month = monthOf(p)
	if c.day, at = oneOrTwo(p, 4); at == 0 || at+7 > len(p) || p[at] != ',' || p[at+1] != ' ' {
		return 0
	}
	c.year = four(p[at+2:])
	at += 6
	if p[at] == ',' {
		at++
	}
	if c.year < 0 || at >= len(p) || p[at] != ' ' {
		return 0
	}
	return c.half(p, at+1)
}

// half reads 3:04:05 PM from an index on and returns the index behind it.
func (c *clock) half(p []byte, at int) int {
	hour, next := oneOrTwo(p, at)
	if next == 0 || hour < 1 || hour > 12 || len(p) < next+9 || p[next] != ':' || p[next+3] != ':' {
		return 0
	}
	c.minute, c.sec = two(p[next+1:]), two(p[next+4:])
	next += 6
	next += c.fraction(p[next:])
	if c.minute|c.sec < 0 || len(p) < next+3 || p[next+2]|0x20 != 'm' {
		return 0
	}
	switch p[next+1] | 0x20 {
	case 'a':
		c.hour = hour % 12
	case 'p':
		c.hour = hour%12 + 12
	default:
		return 0
	}
	return next + 3
}

// timeBehind reads 15:04:05 and what may follow it from an index on, and returns
// the index behind it.
func (c *clock) timeBehind(p []byte, at int) int {
	n := c.hms(p[min(at, len(p)):])
	if n == 0 {
		return 0
	}
	at += n
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
