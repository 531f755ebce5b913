package recent

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Filter chooses records. The zero value takes all.
type Filter struct {
	levels       uint16 // a bit for each level; 0: all
	services     []string
	containers   []string
	sources      []string
	trace        [16]byte
	hasTrace     bool
	text         []byte // in lower case, as it stands in JSON
	since, until int64  // 0: no limit
}

// noLevel is the name by which records without a level are asked for.
const noLevel = "none"

// Bounds on what a filter may ask for.
const (
	maxNames = 64 // of services and so on
	maxText  = 1 << 10
)

// ParseFilter reads a filter from the parameters of a query: level (several with commas), service,
// container and source (exactly; each may be given several times), trace, text (anywhere in the
// message, the fields and the raw line, whatever its case), since and until (RFC 3339, or a
// duration before now).
func ParseFilter(q url.Values, now time.Time) (f Filter, err error) {
	for _, names := range q["level"] {
		for name := range strings.SplitSeq(names, ",") {
			bit, err := levelBit(strings.ToLower(strings.TrimSpace(name)))
			if err != nil {
				return f, err
			}
			f.levels |= bit
		}
	}
	f.services, f.containers, f.sources = given(q["service"]), given(q["container"]), given(q["source"])
	if len(f.services)+len(f.containers)+len(f.sources) > maxNames {
		return f, fmt.Errorf("service, container and source: at most %d together", maxNames)
	}
	if id := q.Get("trace"); id != "" {
		if f.trace, err = parseTrace(id); err != nil {
			return f, err
		}
		f.hasTrace = true
	}
	if f.text, err = parseText(q.Get("text")); err != nil {
		return f, err
	}
	if f.since, err = parseTime("since", q.Get("since"), now); err != nil {
		return f, err
	}
	f.until, err = parseTime("until", q.Get("until"), now)
	return f, err
}

// given returns the names but empty ones.
func given(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
}

func levelBit(name string) (uint16, error) {
	if name == "" {
		return 0, nil
	}
	level := event.LevelNamed(name)
	if level == event.NoLevel && name != noLevel {
		return 0, fmt.Errorf("level: there is no level %q; there are %s and %s", name,
			strings.Join(event.LevelNames(), ", "), noLevel)
	}
	return 1 << level, nil
}

// parseTrace reads a trace id, with or without dashes. One of 64 bits has zeroes before it.
func parseTrace(text string) (id [16]byte, err error) {
	digits := strings.ReplaceAll(text, "-", "")
	if len(digits) < 32 {
		digits = strings.Repeat("0", 32-len(digits)) + digits
	}
	p, err := hex.DecodeString(digits)
	if err != nil || len(p) != len(id) {
		return id, fmt.Errorf("trace: %q is no trace id; it has up to 32 hex digits", event.TruncateText(text, 64))
	}
	return [16]byte(p), nil
}

func parseText(text string) ([]byte, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("text: has more than %d bytes", maxText)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("text: is not UTF-8")
	}
	if text == "" {
		return nil, nil
	}
	quoted := event.AppendString(nil, strings.ToLower(text))
	return quoted[1 : len(quoted)-1], nil
}

func parseTime(name, text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if ago, err := pipeline.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(ago)).UnixNano(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 1678 || at.Year() > 2261 {
		return 0, fmt.Errorf("%s: %q is no time; write it like 2026-01-31T12:00:00Z, or 15m for that long ago", name,
			event.TruncateText(text, 64))
	}
	return at.UnixNano(), nil
}

// matches reports whether the filter takes a record.
func (f *Filter) matches(r *frame) bool {
	return (f.levels == 0 || f.levels&(1<<r.level) != 0) &&
		(f.since == 0 || r.time >= f.since) && (f.until == 0 || r.time <= f.until) &&
		(!f.hasTrace || r.flags&hasTrace != 0 && r.trace == f.trace) &&
		isOneOf(r.service, f.services) && isOneOf(r.from, f.containers) && isOneOf(r.name, f.sources) &&
		(len(f.text) == 0 || f.isIn(r.message.of(r.json)) || f.isIn(r.fields.of(r.json)) || f.isIn(r.raw.of(r.json)))
}

// between returns the times that the filter takes.
func (f *Filter) between() times {
	t := times{f.since, math.MaxInt64}
	if f.since == 0 {
		t.first = math.MinInt64
	}
	if f.until != 0 {
		t.last = f.until
	}
	return t
}

func isOneOf(name []byte, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return string(name) == n })
}

// isIn reports whether the text is in p, which is JSON.
func (f *Filter) isIn(p []byte) bool {
	if !isASCII(f.text) {
		return bytes.Contains(bytes.ToLower(p), f.text)
	}
	first, rest := f.text[0], f.text[1:]
	for at := 0; ; at++ {
		next := indexFold(p[at:], first)
		if next < 0 || len(p)-at-next-1 < len(rest) {
			return false
		}
		at += next
		if equalFold(p[at+1:at+1+len(rest)], rest) {
			return true
		}
	}
}

func isASCII(p []byte) bool {
	return bytes.IndexFunc(p, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// indexFold returns the first index of a byte that is c in either case; c is in lower case.
func indexFold(p []byte, c byte) int {
	low := bytes.IndexByte(p, c)
	if c < 'a' || c > 'z' {
		return low
	}
	if low >= 0 {
		p = p[:low]
	}
	if high := bytes.IndexByte(p, c-'a'+'A'); high >= 0 {
		return high
	}
	return low
}

// equalFold reports whether p is lower, which is ASCII in lower case, in any case.
func equalFold(p, lower []byte) bool {
	for i, c := range p {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
