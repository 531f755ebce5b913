package recognize

import (
	"strconv"

	"github.com/longshore/longshore/pipeline/event"
)

// Layout reads a time in one of the common layouts beside ISO from the start
// of p, and returns how many bytes it used:
//
//	02/Jan/2006:15:04:05 -0700       access logs
//	Mon, 02 Jan 2006 15:04:05 MST    RFC 1123, with the name of a zone or an offset
//	Mon Jan _2 15:04:05.000 2006     C's asctime, Apache's errors, also with a zone
//	Mon Jan 02 2006 15:04:05 GMT+07  JavaScript
//	02 Jan 2006 15:04:05.000         Redis, also without a year
//	02-Jan-2006 15:04:05.000         Tomcat, PHP
//	2-Jan-2006::15:04:05.000         Erlang
//	Jan 2, 2006 3:04:05 PM           java.util.logging, WebLogic
//	1/2/2006, 3:04:05 PM             JavaScript, Windows
//	01/02/2006-15:04:05.000000       Suricata, glog's kin, and 02/01/2006
//	02.01.2006 15:04:05
//	2006:01:02-15:04:05              Sophos, DirectAdmin
//	01/02/2006 - 15:04:05            game servers
//	20060102T150405Z, 20060102 15:04:05, 20060102-15:04:05:000
//	06/01/02 15:04:05, 060102 150405 Spark, Hadoop, and 1/2/06 15:04:05:000 MST of WebSphere
//	Jan-02-06 15:04:05               ASSP
//	Jan _2 15:04:05.000, Jan-02 15:04:05, Jan _2 2006 15:04:05: syslog (RFC 3164) has no year
//	2006 Jan _2 15:04:05, January 2, 2006 15:04:05, 02-Jan 15:04
//	02. Mai 2006 15:04:05, lun. 02 janv. 2006 15:04:05: names in other languages, see names.go
//	2006-002T15:04:05.000, 2006:002:15:04:05 the day of the year
//	01-02 15:04:05.000, 01/02 15:04:05, 01.02 15:04:05
//	@40000000662fcf1c075bcd15        TAI64N
//
// What a time lacks is found by near, a time in Unix nanoseconds (0 for none): a missing year is
// the one that brings the time nearest to near and not more than a day after it, and so is the
// order of 1/2/06. Of 1/2/2006 without AM or PM the month is first, unless the day is, and the time
// within two days of near. Without near, what lacks a year is not ok, though its length is
// returned.
func Layout(p []byte, zone Zone, near int64) (ns int64, used int, ok bool) {
	if len(p) < 14 {
		return 0, 0, false
	}
	c := clock{year: noYear}
	switch {
	case '0' <= p[0] && p[0] <= '9':
		used = c.digitsFirst(p)
	case (p[3] == ' ' || p[3] == '-') && monthOf(p) > 0:
		used = c.monthFirst(p, false)
	case p[0] == '@':
		return tai64n(p)
	case isWeekday(p):
		if used = c.weekdayFirst(p); used > 0 {
			break
		}
		fallthrough
	default:
		c = clock{year: noYear}
		used = c.wordFirst(p)
	}
	if used == 0 {
		return 0, 0, false
	}
	switch {
	case c.order != sure:
		ns, ok = c.instantInOrder(zone, near)
	case c.year == noYear:
		ns, ok = c.instantNear(zone, near)
	default:
		ns, ok = c.instant(zone)
	}
	return ns, used, ok
}

// tai64n reads the label of TAI64N that daemontools' multilog writes: @ and 24 hexadecimal digits,
// for seconds beyond 1970 TAI, which began ten seconds before that of UTC, and nanoseconds.
func tai64n(p []byte) (ns int64, used int, ok bool) {
	const length = 25
	if len(p) < length || string(p[1:3]) != "40" || len(p) > length && isWordByte(p[length]) {
		return 0, 0, false
	}
	sec, err := strconv.ParseUint(string(p[1:17]), 16, 64)
	nanos, nanosErr := strconv.ParseUint(string(p[17:length]), 16, 32)
	const epoch = 1<<62 + 10
	if err != nil || nanosErr != nil || nanos >= 1e9 || sec < epoch || sec > epoch+9e9 {
		return 0, 0, false
	}
	return int64(sec-epoch)*1e9 + int64(nanos), length, true
}

// noYear is the year of a clock that has none.
const noYear = -1

// weekdayFirst reads what has the name of a day before one of the other layouts.
func (c *clock) weekdayFirst(p []byte) int {
	at := 3
	if p[at] == ',' {
		at++
	}
	if p[at] != ' ' {
		return 0
	}
	at++
	n := 0
	if isDigit(p[at]) {
		n = c.dayFirst(p[at:])
	} else if len(p) > at+14 && p[at+3] == ' ' && monthOf(p[at:]) > 0 {
		n = c.monthFirst(p[at:], true)
	}
	if n == 0 {
		return 0
	}
	return at + n
}

// dayFirst reads 02/Jan/2006:15:04:05 -0700, 02 Jan 2006 15:04:05, 2-Jan-2006::15:04:05 and
// others that have the day before a month's name, and 02 Jan 15:04:05.000.
func (c *clock) dayFirst(p []byte) int {
	day, at := oneOrTwo(p, 0)
	if at == 0 || len(p) < at+12 {
		return 0
	}
	if p[at] == '.' {
		at++
	}
	sign := p[at]
	if sign != ' ' && sign != '/' && sign != '-' {
		return 0
	}
	month, size := monthAt(p[at+1:])
	c.day, c.month = day, month
	at += 1 + size
	if c.month == 0 || len(p) < at+8 || p[at] != sign && p[at] != ' ' {
		return 0
	}
	if sign == ' ' && p[at+3] == ':' {
		return c.timeBehind(p, at+1)
	}
	if sign == '-' && p[at] == ' ' && p[at+3] == ':' {
		return c.minuteBehind(p, at+1)
	}
	if p[at] != sign {
		return 0
	}
	if c.year = four(p[at+1:]); c.year < 0 {
		return 0
	}
	return c.timeAfterDate(p, at+5)
}

// minuteBehind reads Bacula's 02-Jan 15:04, also with seconds.
func (c *clock) minuteBehind(p []byte, at int) int {
	if n := c.timeBehind(p, at); n > 0 {
		return n
	}
	if c.hour, c.minute, c.sec = two(p[at:]), two(p[at+3:]), 0; c.hour|c.minute < 0 || p[at+5] != ' ' {
		return 0
	}
	return at + 5
}

// timeAfterDate reads a time, and what may stand between it and a date.
func (c *clock) timeAfterDate(p []byte, at int) int {
	if len(p) < at+8 {
		return 0
	}
	switch p[at] {
	case ',':
		at++
		if p[at] == ' ' {
			at++
		}
	case ':':
		at++
		if p[at] == ':' {
			at++
		}
	case ' ':
		if at++; p[at] == '-' && p[at+1] == ' ' {
			at += 2
		}
	case '-', 'T':
		at++
	default:
		return 0
	}
	return c.timeBehind(p, at)
}

// monthFirst reads what starts with a month's name: Jan _2 15:04:05, Jan _2 15:04:05 MST 2006,
// Jan _2 2006 15:04:05 and Jan 2, 2006 3:04:05 PM. Behind a weekday the time is more certain.
func (c *clock) monthFirst(p []byte, weekday bool) int {
	month, size := monthAt(p)
	at := size + 1
	if p[at] == ' ' {
		at++
	}
	c.month = month
	if c.day, at = oneOrTwo(p, at); month == 0 || at == 0 || c.day < 1 || c.day > 31 || len(p) < at+9 {
		return 0
	}
	if p[at] == ' ' && p[at+3] == ':' || p[at] == ' ' && p[at+2] == ':' {
		if at = c.timeBehind(p, at+1); at == 0 {
			return 0
		}
		return c.yearBehind(p, at, weekday)
	}
	if year := two(p[at+1:]); p[size] == '-' && p[at] == '-' && year >= 0 && p[at+3] == ' ' {
		c.year = 2000 + year
		return c.timeAfterDate(p, at+3)
	}
	if p[at] == ',' {
		at++
	}
	if len(p) < at+13 || p[at] != ' ' {
		return 0
	}
	if c.year = four(p[at+1:]); c.year < 0 {
		return 0
	}
	if n := c.timeAfterDate(p, at+5); n > 0 {
		return n
	}
	return c.minuteAfterDate(p, at+6)
}

// minuteAfterDate reads the time of GitLab's "January 2, 2006 15:04: …".
func (c *clock) minuteAfterDate(p []byte, at int) int {
	if len(p) < at+7 || p[at-1] != ' ' || p[at+2] != ':' || p[at+5] != ':' || p[at+6] != ' ' {
		return 0
	}
	if c.hour, c.minute, c.sec = two(p[at:]), two(p[at+3:]), 0; c.hour|c.minute < 0 {
		return 0
	}
	return at + 5
}

// yearBehind reads the year, and the zone behind it, that asctime has at the end.
func (c *clock) yearBehind(p []byte, at int, weekday bool) int {
	if len(p) < at+5 || p[at] != ' ' || len(p) > at+5 && isWordByte(p[at+5]) {
		return at
	}
	year := four(p[at+1:])
	if year < 1990 && !weekday || year < 0 || year > 2100 {
		return at
	}
	c.year = year
	at += 5
	if !c.zoned {
		at += c.zone(p[at:])
	}
	return at
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
// year either, 20060102 15:04:05.000000, and CockroachDB's, 060102 15:04:05.000000.
func Klog(p []byte, zone Zone, near int64) (ns int64, used int, ok bool) {
	if len(p) >= 15 && p[6] == ' ' {
		return ShortDate(p, zone)
	}
	if len(p) >= 17 && p[8] == ' ' {
		return fullDate(p, zone)
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

// fullDate reads glog's 20060102 15:04:05.000000, which has a year if it is told to.
func fullDate(p []byte, zone Zone) (ns int64, used int, ok bool) {
	c := clock{year: four(p), month: two(p[4:]), day: two(p[6:])}
	n := c.hms(p[9:])
	if n == 0 {
		return 0, 0, false
	}
	ns, ok = c.instant(zone)
	return ns, 9 + n, ok
}

// instantNear is instant for a clock without a year: it is the latest that brings the time to no
// more than a day after near.
func (c *clock) instantNear(zone Zone, near int64) (int64, bool) {
	if near == 0 {
		return 0, false
	}
	this := yearOf(near)
	for c.year = this + 1; c.year >= this-leapYears; c.year-- {
		if ns, ok := c.instant(zone); ok && ns <= near+day {
			return ns, true
		}
	}
	return 0, false
}

// leapYears is how many years may lie between two that have a 29th of February.
const leapYears = 8

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
