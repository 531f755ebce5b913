package logformat

import (
	"bytes"
	"encoding/json"
	"time"
)

const (
	// EntryPrefix begins every entry that the engine writes. It cannot stand inside of one, as
	// quotes in strings are escaped.
	EntryPrefix = `{"log":"`

	streamPrefix = `","stream":"std`
	stdoutMember = streamPrefix + `out"`
	attrsPrefix  = `,"attrs":{`
	timePrefix   = `,"time":"`
	timeSuffix   = `"}`
)

// An entry is one message as json-file keeps it.
type entry struct {
	from    Stream
	ts      int64
	text    []byte // without the newline; valid until the next entry
	newline bool   // the text ended its line
}

// Entries decodes blocks of a json-file, each of whole lines. What the engine writes, one line a
// message (moby, daemon/logger/jsonfilelog/jsonlog),
//
//	{"log":"text\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-03-01T12:00:00.000000037Z"}
//
// has its stream and time in known places at the end, so only the text between is searched. Any
// other JSON goes to encoding/json, with the same result.
type Entries struct {
	to        Receiver
	onCorrupt func()
	text      []byte          // of the last entry, if it had escapes
	timeLen   int             // of the last time
	second    [secondLen]byte // the last time without its fraction
	secondTS  int64           // the Unix nanoseconds of that
}

// NewEntries returns a decoder that calls onCorrupt for each line that is no entry.
func NewEntries(to Receiver, onCorrupt func()) Entries {
	return Entries{to: to, onCorrupt: onCorrupt}
}

func (e *Entries) Decode(p []byte) error {
	for len(p) > 0 {
		line := p
		if n := bytes.IndexByte(p, '\n'); n >= 0 {
			line, p = p[:n], p[n+1:]
		} else {
			p = nil
		}
		if err := e.line(line); err != nil {
			return err
		}
	}
	return nil
}

func (e *Entries) Close() error { return nil }
func (e *Entries) Abort()       {}

// keepText bounds the text's memory while there is nothing to decode.
const keepText = 4 << 10

// Release frees memory while there is nothing to decode.
func (e *Entries) Release() {
	if cap(e.text) > keepText {
		e.text = nil
	}
}

func (e *Entries) line(line []byte) error {
	m, ok := e.decode(line)
	if !ok {
		e.onCorrupt()
		if m, ok = e.rescue(line); !ok {
			return nil
		}
	}
	if m.newline {
		return e.to.Message(m.from, m.ts, m.text)
	}
	if err := e.to.Begin(m.from, m.ts, true); err != nil {
		return err
	}
	e.to.Append(m.text)
	return e.to.End(false)
}

// rescue decodes an entry behind one that a power failure left incomplete.
func (e *Entries) rescue(line []byte) (entry, bool) {
	if at := bytes.LastIndex(line, []byte(EntryPrefix)); at > 0 {
		return e.decode(line[at:])
	}
	return entry{}, false
}

func (e *Entries) decode(line []byte) (entry, bool) {
	if m, ok := e.decodeFast(line); ok {
		return m, true
	}
	return decodeJSON(line)
}

// decodeFast decodes a line in the form that the engine writes.
func (e *Entries) decodeFast(line []byte) (m entry, ok bool) {
	if len(line) < len(EntryPrefix) || string(line[:len(EntryPrefix)]) != EntryPrefix {
		return m, false
	}
	head, ok := e.cutTime(line[len(EntryPrefix):], &m)
	if !ok {
		return m, false
	}
	end := len(head) - len(stdoutMember)
	if end < 0 || string(head[end:end+len(streamPrefix)]) != streamPrefix {
		end = bytes.Index(head, []byte(streamPrefix))
		if end < 0 || !isAttrs(head[min(len(head), end+len(stdoutMember)):]) {
			return m, false
		}
	}
	switch string(head[end+len(streamPrefix) : end+len(stdoutMember)]) {
	case `out"`:
		m.from = Stdout
	case `err"`:
		m.from = Stderr
	default:
		return m, false
	}
	return m, e.unescape(head[:end], &m)
}

// cutTime takes the time off the end of a line.
func (e *Entries) cutTime(line []byte, m *entry) (head []byte, ok bool) {
	end := len(line) - len(timeSuffix)
	if end < len(timePrefix)+maxTimestamp || string(line[end:]) != timeSuffix {
		return nil, false
	}
	at := end - e.timeLen
	if string(line[at-len(timePrefix):at]) != timePrefix {
		at = bytes.LastIndexByte(line[:end], '"') + 1
		if at < len(timePrefix) || string(line[at-len(timePrefix):at]) != timePrefix {
			return nil, false
		}
		e.timeLen = min(end-at, maxTimestamp)
	}
	m.ts, ok = e.parseTime(line[at:end])
	return line[:at-len(timePrefix)], ok
}

// secondLen is the length of a time without its fraction and zone.
const secondLen = len("2006-01-02T15:04:05")

// parseTime is parseTimestamp, faster for times within one second.
func (e *Entries) parseTime(p []byte) (ts int64, ok bool) {
	if len(p) > secondLen && string(e.second[:]) == string(p[:secondLen]) {
		if ns, rest := parseFraction(p[secondLen:]); ns >= 0 && string(rest) == "Z" {
			return e.secondTS + ns, true
		}
	}
	ts, ok = parseTimestamp(p)
	if ok && p[len(p)-1] == 'Z' {
		ns, _ := parseFraction(p[secondLen:])
		e.secondTS = ts - ns
		copy(e.second[:], p)
	}
	return ts, ok
}

// isAttrs reports whether p is the member that the driver's options add to each entry.
func isAttrs(p []byte) bool {
	return len(p) > len(attrsPrefix) && string(p[:len(attrsPrefix)]) == attrsPrefix &&
		json.Valid(p[len(attrsPrefix)-1:])
}

// unescape takes the text out of a string.
func (e *Entries) unescape(p []byte, m *entry) bool {
	m.text, m.newline = cutNewline(p)
	if bytes.IndexByte(m.text, '\\') < 0 {
		return bytes.IndexByte(m.text, '"') < 0
	}
	if need := len(m.text) + unescapeRoom; cap(e.text) < need {
		e.text = make([]byte, need+need/2)
	}
	n, ok := unescape(e.text[:cap(e.text)], m.text)
	m.text = e.text[:n]
	return ok
}

// cutNewline takes an escaped newline off the end of a string.
func cutNewline(p []byte) (text []byte, newline bool) {
	n := len(p)
	if n < 2 || p[n-1] != 'n' || p[n-2] != '\\' {
		return p, false
	}
	even := true
	for i := n - 3; i >= 0 && p[i] == '\\'; i-- {
		even = !even
	}
	if !even {
		return p, false
	}
	return p[:n-2], true
}

// decodeJSON decodes an entry in any other form.
func decodeJSON(line []byte) (m entry, ok bool) {
	var raw struct {
		Log    string    `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}
	if json.Unmarshal(line, &raw) != nil {
		return m, false
	}
	if year := raw.Time.Year(); year < firstYear || year > lastYear {
		return m, false
	}
	switch raw.Stream {
	case "stdout":
		m.from = Stdout
	case "stderr":
		m.from = Stderr
	default:
		return m, false
	}
	m.ts = raw.Time.UnixNano()
	m.text, m.newline = bytes.CutSuffix([]byte(raw.Log), []byte{'\n'})
	return m, true
}
