package recognize

import (
	"bytes"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// A clock is a date and time as written, before its zone is applied.
type clock struct {
	year, month, day  int
	hour, minute, sec int
	nanos             int64
	offset            int64 // seconds east of UTC
	zoned             bool  // offset was written
	order             order
	name              [5]byte // of the zone, padded with zeros; offset is what it mostly means
}

// instant returns the clock's time in Unix nanoseconds; it is false for dates
// that do not exist and years that int64 nanoseconds do not reach safely.
func (c *clock) instant(zone Zone) (int64, bool) {
	if c.year < 1700 || c.year > 2200 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > daysIn(c.year, c.month) ||
		c.hour > 23 || c.minute > 59 || c.sec > 59 {
		return 0, false
	}
	if !c.zoned && zone != nil {
		t := time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.sec, 0, zone)
		return t.Unix()*1e9 + c.nanos, true
	}
	if c.name[0] != 0 && zone != nil {
		c.offset = c.offsetIn(zone)
	}
	days := event.Days(int64(c.year), int64(c.month), int64(c.day))
	sec := days*86400 + int64(c.hour*3600+c.minute*60+c.sec) - c.offset
	return sec*1e9 + c.nanos, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// ISO reads a time of the RFC 3339 and ISO 8601 family from the start of p, and
// returns how many bytes it used: 2006-01-02 15:04:05, with T, a blank, - _ or : between,
// slashes or dots for dashes, a fraction after a dot or comma, also AM or PM, and Z, +07:00,
// +0700, +07, " +0700" or the name of a zone behind. Digits beyond nanoseconds are cut off.
func ISO(p []byte, zone Zone) (ns int64, used int, ok bool) {
	var c clock
	used = c.iso(p)
	if used == 0 {
		return 0, 0, false
	}
	ns, ok = c.instant(zone)
	return ns, used, ok
}

// iso fills the clock and returns how many bytes it used, 0 for no match.
func (c *clock) iso(p []byte) int {
	if len(p) < 16 || p[4] != p[7] || p[4] != '-' && p[4] != '/' && p[4] != '.' {
		return 0
	}
	century, year := two(p[0:2]), two(p[2:4])
	c.month, c.day = two(p[5:7]), two(p[8:10])
	if century|year|c.month|c.day < 0 {
		return 0
	}
	c.year = century*100 + year
	if len(p) < 19 || p[13] != ':' || p[16] != ':' || p[10] != 'T' && p[10] != ' ' && p[10] != 't' {
		return c.isoRare(p)
	}
	c.hour, c.minute, c.sec = two(p[11:13]), two(p[14:16]), two(p[17:19])
	if c.hour|c.minute|c.sec < 0 {
		return c.isoRare(p)
	}
	at := 19 + c.fraction(p[19:])
	return at + c.zone(p[at:])
}

// isoRare reads what may follow 2006-01-02 otherwise: a tab and 15:04:05, _15:04:05, -15:04:05,
// :15:04:05, an hour of one digit, 15:04 without seconds, and the -15.04.05.000000 of Db2.
func (c *clock) isoRare(p []byte) int {
	switch p[10] {
	case ' ', 'T', '_', '-', ':', '\t':
	default:
		return 0
	}
	if p[13] == '.' && p[10] == '-' {
		return c.dottedTime(p)
	}
	if n := c.timeBehind(p, 11); n > 0 {
		return n
	}
	if p[13] != ':' || p[10] != ' ' && p[10] != 'T' || len(p) > 16 && !endsMinute(p[16]) {
		return 0
	}
	if c.hour, c.minute, c.sec = two(p[11:]), two(p[14:]), 0; c.hour|c.minute < 0 {
		return 0
	}
	return 16 + c.zone(p[16:])
}

// endsMinute reports whether a byte may stand behind a time without seconds.
func endsMinute(c byte) bool { return c == 'Z' || !isWordByte(c) && c != ':' && c != '.' }

// dottedTime reads the time of 2006-01-02-15.04.05.000000.
func (c *clock) dottedTime(p []byte) int {
	if len(p) < 19 || p[16] != '.' {
		return 0
	}
	c.hour, c.minute, c.sec = two(p[11:]), two(p[14:]), two(p[17:])
	if c.hour|c.minute|c.sec < 0 {
		return 0
	}
	at := 19 + c.fraction(p[19:])
	return at + c.minutesOffset(p[at:])
}

// minutesOffset reads Db2's offset, in minutes: -300.
func (c *clock) minutesOffset(p []byte) int {
	if len(p) < 4 || p[0] != '+' && p[0] != '-' || two(p[1:]) < 0 || !isDigit(p[3]) || len(p) > 4 && isWordByte(p[4]) {
		return 0
	}
	c.zoned, c.offset = true, int64(two(p[1:])*10+int(p[3]-'0'))*60
	if p[0] == '-' {
		c.offset = -c.offset
	}
	return 4
}

// two reads two digits; it is negative if they are none.
func two(p []byte) int {
	a, b := int(p[0])-'0', int(p[1])-'0'
	if uint(a) > 9 || uint(b) > 9 {
		return -1
	}
	return a*10 + b
}

// fraction reads a dot or comma with digits behind, or a colon with three.
func (c *clock) fraction(p []byte) int {
	if len(p) < 2 || p[0] != '.' && p[0] != ',' {
		return c.colonMillis(p)
	}
	n, at := int64(0), 1
	for at < len(p) && at < 10 && '0' <= p[at] && p[at] <= '9' {
		n = n*10 + int64(p[at]-'0')
		at++
	}
	if at == 1 {
		return 0
	}
	c.nanos = n * tens[10-at]
	for at < len(p) && '0' <= p[at] && p[at] <= '9' {
		at++
	}
	return at
}

// colonMillis reads the :000 or :000000 that some write for a fraction; more may be an address or a
// port.
func (c *clock) colonMillis(p []byte) int {
	if len(p) < 4 || p[0] != ':' || two(p[1:]) < 0 || p[3] < '0' || p[3] > '9' {
		return 0
	}
	n, end := int64(two(p[1:])*10+int(p[3]-'0'))*1e6, 4
	if len(p) > 6 && two(p[4:]) >= 0 && isDigit(p[6]) {
		n, end = n+int64(two(p[4:])*10+int(p[6]-'0'))*1e3, 7
	}
	if len(p) > end && (isWordByte(p[end]) && p[end] != 'Z' || p[end] == '.' || p[end] == ':') {
		return 0
	}
	c.nanos = n
	return end
}

var tens = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWordByte(c byte) bool { return wordBytes[c] }

var wordBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
	}
	return t
}()

// Time reads a whole value as a time: the ISO family, a Unix time, or one of the
// layouts below. Without a year or zone of its own it is completed from
// near, a time in Unix nanoseconds (0 for none), and zone.
func Time(p []byte, zone Zone, near int64) (int64, bool) {
	if len(p) > 0 && (p[0] <= ' ' || p[len(p)-1] <= ' ') {
		p = bytes.TrimSpace(p)
	}
	if len(p) < 9 || len(p) > 64 {
		return 0, false
	}
	if ns, used, ok := ISO(p, zone); ok {
		return ns, used == len(p)
	}
	if ns, ok := Epoch(p); ok {
		return ns, true
	}
	if ns, ok := digitsOnly(p, zone); ok {
		return ns, true
	}
	ns, used, ok := Layout(p, zone, near)
	return ns, ok && used == len(p)
}

// The bounds of what is believed: clocks that were never set say 1970, and
// nothing says 2100 in earnest.
const (
	earliest = 631152000 * int64(1e9)  // 1990-01-01
	latest   = 4102444800 * int64(1e9) // 2100-01-01
	day      = 86400 * int64(1e9)
	aWhile   = 5 * 365 * day
)

// Believable reports whether a line's own time can be right: not before 1990, not more than a day
// after source, the time that the line's source knows, nor years before it. Where the source knows
// none (0), it must be before 2100, as whether a time is to come depends on when it is asked, and a
// line that is read again must be given the time it had.
func Believable(ns, source int64) bool {
	if source != 0 && (ns > source+day || ns < source-aWhile) {
		return false
	}
	return earliest <= ns && ns < latest
}
