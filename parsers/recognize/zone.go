package recognize

import (
	"bytes"
	"fmt"
	"time"
	_ "time/tzdata" // an image built from scratch has no zones of its own

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Zone is where times without a zone of their own are at home; nil is UTC.
type Zone = *time.Location

// LoadZone finds a zone by its name: "", UTC, Europe/Berlin, or Local for that of the machine.
func LoadZone(name string) (Zone, error) {
	if name == "" || name == "UTC" {
		return nil, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q; write it like Europe/Berlin, UTC or Local", name)
	}
	return zone, nil
}

// CheckZone finds what is wrong with a setting named timezone.
func CheckZone(name string) []pipeline.Problem {
	if _, err := LoadZone(name); err != nil {
		return []pipeline.Problem{{Path: "timezone", Message: err.Error()}}
	}
	return nil
}

// ZoneConfig is the setting that parsers of times have. Their configs embed it.
type ZoneConfig struct {
	Timezone string `yaml:"timezone" doc:"Zone of times that name none; it also says which IST or CST is meant." default:"UTC" example:"Europe/Berlin"`
}

// Check implements pipeline.Checker.
func (c *ZoneConfig) Check() []pipeline.Problem { return CheckZone(c.Timezone) }

// NewParser returns what makes the parser of each source from the zone. The error
// names the parser's type.
func (c *ZoneConfig) NewParser(name string, parser func(Zone) pipeline.Parser) (pipeline.NewParser, error) {
	zone, err := LoadZone(c.Timezone)
	if err != nil {
		return nil, fmt.Errorf("%s parser: %w", name, err)
	}
	return func(*event.Source) pipeline.Parser { return NewRelocator(zone, nil, parser) }, nil
}

// zone reads a zone, if there is one: Z, an offset, a name, also behind AM or PM.
func (c *clock) zone(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	switch p[0] {
	case 'Z', 'z':
		c.zoned = true
		return 1
	case '+', '-':
		return c.offsetOf(p)
	case ' ':
		return c.zoneAfterBlank(p)
	case 'U', 'G':
		return c.zoneName(p)
	case 'A', 'P', 'a', 'p':
		return c.afterNoon(p)
	}
	return 0
}

func (c *clock) zoneAfterBlank(p []byte) int {
	if len(p) < 3 {
		return 0
	}
	if n := c.afterNoon(p[1:]); n > 0 {
		return 1 + n
	}
	if p[1] != '+' && p[1] != '-' {
		if n := c.zoneName(p[1:]); n > 0 {
			return 1 + n
		}
		return 0
	}
	n := c.offsetOf(p[1:])
	if n < 5 && !(n == 3 && headGoesOn(p[1+n:])) { // " -12" is more likely text
		c.zoned, c.offset = false, 0
		return 0
	}
	if rest := p[1+n:]; len(rest) >= 4 && rest[0] == ' ' && utcName(rest[1:]) == 3 {
		return 1 + n + 4 // Go's own "+0000 UTC"
	}
	return 1 + n
}

// headGoesOn reports whether what stands behind +07 is not the text of a message.
func headGoesOn(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	switch p[0] {
	case ']', ')', '>', ':':
		return true
	case ' ':
		return len(p) > 1 && (p[1] == '[' || p[1] == '(' || p[1] == '<' || p[1] == '|')
	}
	return false
}

// afterNoon reads AM or PM and the zone behind it.
func (c *clock) afterNoon(p []byte) int {
	if len(p) < 2 || p[1]|0x20 != 'm' || len(p) > 2 && isWordByte(p[2]) || c.hour < 1 || c.hour > 12 {
		return 0
	}
	switch p[0] | 0x20 {
	case 'a':
		c.hour %= 12
	case 'p':
		c.hour = c.hour%12 + 12
	default:
		return 0
	}
	return 2 + c.zone(p[2:])
}

// zoneName reads a zone's abbreviation, and the UTC+02:00 and GMT+0200 of JavaScript.
func (c *clock) zoneName(p []byte) int {
	n := 0
	for n < len(p) && n < 6 && 'A' <= p[n] && p[n] <= 'Z' {
		n++
	}
	if n < 2 || n > 5 || !endsZone[p[n-1]] || n < len(p) && isWordByte(p[n]) {
		return 0
	}
	minutes, sure, ok := zoneOffset(p[:n])
	if !ok || !sure && !headGoesOn(p[n:]) {
		return 0
	}
	c.zoned, c.offset = true, int64(minutes)*60
	if minutes != 0 {
		copy(c.name[:], p[:n])
		return n
	}
	if n < len(p) && (p[n] == '+' || p[n] == '-') {
		return n + c.offsetOf(p[n:])
	}
	return n
}

// endsZone has the letters that zones' names end with, and INFO, WARN, ERROR and DEBUG do not.
var endsZone = [256]bool{'T': true, 'C': true, 'Z': true, 'K': true, 'D': true, 'B': true, 'A': true}

// utcName returns the length of a name of UTC at the start of p.
func utcName(p []byte) int {
	if len(p) < 3 || string(p[:3]) != "UTC" && string(p[:3]) != "GMT" {
		return 0
	}
	if len(p) > 3 && isWordByte(p[3]) {
		return 0
	}
	return 3
}

// offsetOf reads +07:00, +0700 or +07.
func (c *clock) offsetOf(p []byte) int {
	if len(p) < 3 {
		return 0
	}
	hours, minutes, used := two(p[1:3]), 0, 3
	switch {
	case len(p) >= 6 && p[3] == ':':
		minutes, used = two(p[4:6]), 6
	case len(p) >= 5 && two(p[3:5]) >= 0:
		minutes, used = two(p[3:5]), 5
	}
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0
	}
	c.zoned = true
	c.offset = int64(hours*3600 + minutes*60)
	if p[0] == '-' {
		c.offset = -c.offset
	}
	return used
}

// offsetIn returns the offset that the zone's name means where the configured zone is called so
// itself, in summer or in winter; otherwise it is what the name mostly means.
func (c *clock) offsetIn(zone Zone) int64 {
	t := time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.sec, 0, zone)
	written := string(bytes.TrimRight(c.name[:], "\x00"))
	for _, months := range [...]int{0, 6} {
		if name, offset := t.AddDate(0, months, 0).Zone(); name == written {
			return int64(offset)
		}
	}
	return c.offset
}

// zoneOffset returns the offset in minutes east of UTC that a zone's abbreviation stands for. Of
// those that several zones have, it is that of most people who write logs: IST is India's, CST,
// EST, MST and PST those of North America, BST Britain's summer, AST the Atlantic's, GST the
// Gulf's, SST Samoa's. sure is false for those that are words, too.
func zoneOffset(name []byte) (minutes int, sure, ok bool) {
	switch string(name) {
	case "UTC", "GMT", "UT", "WET":
		return 0, true, true
	case "WEST", "CET", "MEZ", "BST", "WAT":
		return 60, true, true
	case "MET":
		return 60, false, true
	case "CEST", "MEST", "MESZ", "EET", "SAST":
		return 120, true, true
	case "CAT":
		return 120, false, true
	case "EEST", "MSK", "TRT", "IDT":
		return 180, true, true
	case "EAT":
		return 180, false, true
	case "MSD", "GST", "AZT", "SAMT":
		return 240, true, true
	case "IRST":
		return 210, true, true
	case "AFT":
		return 270, false, true
	case "PKT", "UZT", "YEKT":
		return 300, true, true
	case "IST":
		return 330, true, true
	case "NPT":
		return 345, true, true
	case "OMST", "BDT":
		return 360, true, true
	case "MMT":
		return 390, true, true
	case "ICT", "WIB", "KRAT", "NOVT":
		return 420, true, true
	case "HKT", "SGT", "MYT", "PHT", "AWST", "WITA", "IRKT":
		return 480, true, true
	case "JST", "KST", "YAKT":
		return 540, true, true
	case "WIT":
		return 540, false, true
	case "ACST":
		return 570, true, true
	case "AEST", "VLAT":
		return 600, true, true
	case "ACDT":
		return 630, true, true
	case "AEDT", "MAGT":
		return 660, true, true
	case "NZST", "FJT":
		return 720, true, true
	case "NZDT":
		return 780, true, true
	case "NDT":
		return -150, true, true
	case "BRT", "CLST", "UYT":
		return -180, true, true
	case "ART", "ADT":
		return -180, false, true
	case "NST":
		return -210, true, true
	case "EDT", "CLT":
		return -240, true, true
	case "AST", "BOT", "VET":
		return -240, false, true
	case "EST", "CDT":
		return -300, true, true
	case "COT", "PET":
		return -300, false, true
	case "CST", "MDT":
		return -360, true, true
	case "MST", "PDT":
		return -420, true, true
	case "PST", "AKDT":
		return -480, true, true
	case "AKST", "HDT":
		return -540, true, true
	case "HST":
		return -600, true, true
	case "SST":
		return -660, false, true
	}
	return 0, false, false
}
