package recognize

import "github.com/longshore/longshore/pipeline/event"

// Layout reads a time in one of the common layouts beside ISO from the start
// of p, and returns how many bytes it used:
//
//	02/Jan/2006:15:04:05 -0700       access logs
//	Mon, 02 Jan 2006 15:04:05 MST    RFC 1123, with GMT, UTC or an offset
//	Mon Jan _2 15:04:05.000 2006     C's asctime, Apache's errors
//	02 Jan 2006 15:04:05.000         Redis
//	02-Jan-2006 15:04:05.000         Tomcat, PHP
//	2-Jan-2006::15:04:05.000         Erlang
//	Jan 2, 2006 3:04:05 PM           java.util.logging
//	1/2/2006, 3:04:05 PM             JavaScript, Windows
//	02.01.2006 15:04:05
//	20060102T150405Z, 20060102 15:04:05
//	06/01/02 15:04:05, 060102 150405 Spark, Hadoop
//	Jan _2 15:04:05.000              syslog (RFC 3164): no year
//
// A missing year is the one that brings the time nearest to near, a time in
// Unix nanoseconds; without one the time cannot be known.
func Layout(p []byte, zone Zone, near int64) (ns int64, used int, ok bool) {
	if len(p) < 15 {
		return 0, 0, false
	}
	var c clock
	switch {
	case p[2] == '/' && p[3] >= 'A':
		used = c.access(p)
	case p[3] == ',':
		used = c.rfc1123(p)
	case '0' <= p[0] && p[0] <= '9':
		if used = c.dayFirst(p); used == 0 {
			used = c.digitsFirst(p)
		}
	case monthOf(p) > 0 && (p[6] == ',' || p[5] == ','):
		used = c.monthName(p)
	case monthOf(p) > 0:
		used = c.monthFirst(p)
		if used > 0 {
			ns, ok = c.instantNear(zone, near)
			return ns, used, ok
		}
	case isWeekday(p):
		used = c.asctime(p)
	}
	if used == 0 {
		return 0, 0, false
	}
	ns, ok = c.instant(zone)
	return ns, used, ok
}

// access reads 02/Jan/2006:15:04:05 -0700, also with a blank before the hour.
func (c *clock) access(p []byte) int {
	if len(p) < 20 || p[6] != '/' || p[11] != ':' && p[11] != ' ' {
		return 0
	}
	c.day, c.month, c.year = two(p), monthOf(p[3:]), four(p[7:])
	if c.day < 0 || c.month == 0 || c.year < 0 {
		return 0
	}
	return c.timeBehind(p, 12)
}

// rfc1123 reads Mon, 02 Jan 2006 15:04:05 GMT.
func (c *clock) rfc1123(p []byte) int {
	if len(p) < 25 || !isWeekday(p) || p[4] != ' ' {
		return 0
	}
	n := c.dayFirst(p[5:])
	if n == 0 {
		return 0
	}
	return 5 + n
}

// dayFirst reads 02 Jan 2006 15:04:05.
func (c *clock) dayFirst(p []byte) int {
	if len(p) < 20 || p[2] != ' ' || p[6] != ' ' || p[11] != ' ' {
		return 0
	}
	c.day, c.month, c.year = two(p), monthOf(p[3:]), four(p[7:])
	if c.day < 0 || c.month == 0 || c.year < 0 {
		return 0
	}
	return c.timeBehind(p, 12)
}

// monthFirst reads Jan _2 15:04:05, with a fraction perhaps.
func (c *clock) monthFirst(p []byte) int {
	if len(p) < 15 || p[3] != ' ' || p[6] != ' ' {
		return 0
	}
	c.month, c.day = monthOf(p), two(p[4:6])
	if p[4] == ' ' {
		c.day = int(p[5]) - '0'
	}
	if c.day < 1 || c.day > 31 {
		return 0
	}
	n := c.hms(p[7:])
	if n == 0 {
		return 0
	}
	return 7 + n
}

// asctime reads Mon Jan _2 15:04:05 2006.
func (c *clock) asctime(p []byte) int {
	if len(p) < 24 || p[3] != ' ' || monthOf(p[4:]) == 0 {
		return 0
	}
	n := c.monthFirst(p[4:])
	at := 4 + n
	if n == 0 || len(p) < at+5 || p[at] != ' ' {
		return 0
	}
	at += c.zone(p[at:]) // date's own layout has the zone before the year
	if len(p) < at+5 || p[at] != ' ' {
		return 0
	}
	if c.year = four(p[at+1:]); c.year < 0 {
		return 0
	}
	return at + 5
}

// hms reads 15:04:05 with a fraction perhaps.
func (c *clock) hms(p []byte) int {
	if len(p) < 8 || p[2] != ':' || p[5] != ':' {
		return 0
	}
	c.hour, c.minute, c.sec = two(p), two(p[3:]), two(p[6:])
	if c.hour|c.minute|c.sec < 0 {
		return 0
	}
	return 8 + c.fraction(p[8:])
}

// TimeOfDay returns the length of 15:04:05, with a fraction perhaps, or of 3:04PM at the
// start of p, 0 if there is none.
func TimeOfDay(p []byte) int {
	var c clock
	n := c.hms(p)
	if n == 0 {
		return kitchen(p)
	}
	if c.hour > 23 || c.minute > 59 || c.sec > 59 {
		return 0
	}
	return n
}

// kitchen returns the length of 3:04PM.
func kitchen(p []byte) int {
	hour, at := oneOrTwo(p, 0)
	if at == 0 || hour > 12 || len(p) < at+6 || p[at] != ':' || two(p[at+1:]) < 0 || p[at+4] != 'M' ||
		p[at+3] != 'A' && p[at+3] != 'P' {
		return 0
	}
	return at + 5
}

// Klog reads the time of klog and glog, 0102 15:04:05.000000, which has no
// year either, and CockroachDB's, 060102 15:04:05.000000.
func Klog(p []byte, zone Zone, near int64) (ns int64, used int, ok bool) {
	if len(p) >= 15 && p[6] == ' ' {
		return ShortDate(p, zone)
	}
	if len(p) < 13 || p[4] != ' ' {
		return 0, 0, false
	}
	var c clock
	c.month, c.day = two(p), two(p[2:])
	n := c.hms(p[5:])
	if c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || n == 0 {
		return 0, 0, false
	}
	ns, ok = c.instantNear(zone, near)
	return ns, 5 + n, ok
}

// instantNear is instant for a clock without a year.
func (c *clock) instantNear(zone Zone, near int64) (int64, bool) {
	if near == 0 {
		return 0, false
	}
	var best int64
	found := false
	this := yearOf(near)
	for c.year = this - 1; c.year <= this+1; c.year++ {
		ns, ok := c.instant(zone)
		if ok && (!found || distance(ns, near) < distance(best, near)) {
			best, found = ns, true
		}
	}
	return best, found
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// yearOf returns the year of a time in UTC.
func yearOf(ns int64) int {
	days := ns / day
	year := 1970 + int(days*400/146097)
	for event.Days(int64(year), 1, 1) > days {
		year--
	}
	for event.Days(int64(year+1), 1, 1) <= days {
		year++
	}
	return year
}

// monthOf returns the month whose three English letters p starts with, or 0.
func monthOf(p []byte) int {
	if len(p) < 3 {
		return 0
	}
	switch string(p[:3]) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

func isWeekday(p []byte) bool {
	switch string(p[:3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}
