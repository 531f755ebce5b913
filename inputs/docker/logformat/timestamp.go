package logformat

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// maxTimestamp is the length of the longest timestamp.
const maxTimestamp = len("2006-01-02T15:04:05.000000000+07:00")

// The years that Unix nanoseconds hold in full.
const (
	firstYear = 1678
	lastYear  = 2261
)

// cutTimestamp takes the timestamp and the space behind it off a message. It reports false, and
// returns the whole message, if there is none.
func cutTimestamp(p []byte) (ts int64, rest []byte, ok bool) {
	space := bytes.IndexByte(p[:min(len(p), maxTimestamp+1)], ' ')
	if space < 0 {
		return 0, p, false
	}
	ts, ok = parseTimestamp(p[:space])
	if !ok {
		return 0, p, false
	}
	return ts, p[space+1:], true
}

// parseTimestamp returns the Unix nanoseconds of an RFC 3339 time with up to nine fractional
// digits. Docker pads to nine digits and writes Z; Podman does neither.
func parseTimestamp(p []byte) (ns int64, ok bool) {
	if len(p) < len("2006-01-02T15:04:05Z") || len(p) > maxTimestamp {
		return 0, false
	}
	if p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' {
		return 0, false
	}
	year, month, day := parseNumber(p[0:4]), parseNumber(p[5:7]), parseNumber(p[8:10])
	hour, minute, sec := parseNumber(p[11:13]), parseNumber(p[14:16]), parseNumber(p[17:19])
	if year < firstYear || year > lastYear || month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	if day > 28 && day > event.Days(year, month+1, 1)-event.Days(year, month, 1) {
		return 0, false
	}
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || sec < 0 || sec > 59 {
		return 0, false
	}
	frac, rest := parseFraction(p[19:])
	offset, ok := parseZone(rest)
	if frac < 0 || !ok {
		return 0, false
	}
	sec += event.Days(year, month, day)*86400 + hour*3600 + minute*60 - offset
	return sec*1e9 + frac, true
}

// parseNumber reads decimal digits. It returns -1 if there is anything else.
func parseNumber(p []byte) int64 {
	n := int64(0)
	for _, c := range p {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// parseFraction reads the fraction that may follow the seconds. Its ns is -1 if it is not valid.
func parseFraction(p []byte) (ns int64, rest []byte) {
	if len(p) == 0 || p[0] != '.' {
		return 0, p
	}
	i, scale := 1, int64(1e9)
	for i < len(p) && p[i] >= '0' && p[i] <= '9' {
		ns = ns*10 + int64(p[i]-'0')
		scale /= 10
		i++
	}
	if i == 1 || scale == 0 {
		return -1, p
	}
	return ns * scale, p[i:]
}

// parseZone reads Z or an offset, in seconds east of UTC.
func parseZone(p []byte) (seconds int64, ok bool) {
	if len(p) == 1 && p[0] == 'Z' {
		return 0, true
	}
	if len(p) != len("+07:00") || p[3] != ':' || (p[0] != '+' && p[0] != '-') {
		return 0, false
	}
	hour, minute := parseNumber(p[1:3]), parseNumber(p[4:6])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if p[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}
