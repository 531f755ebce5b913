package docker

import (
	"bytes"
	"encoding/json"
	"time"
)

// An entry is one message as json-file keeps it.
type entry struct {
	from    stream
	ts      int64
	text    []byte // without the newline; valid until the next entry
	newline bool   // the text ended its line
}

// entries decodes blocks of a json-file, each of whole lines. What the engine writes, one line a message
// (moby, daemon/logger/jsonfilelog/jsonlog),
//
//	{"log":"text\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-03-01T12:00:00.000000037Z"}
//
// is taken apart from both ends; any other JSON by encoding/json, with the same result.
type entries struct {
	to      receiver
	corrupt func()          // is told of what is no entry
	text    []byte          // the last entry's, if it had escapes
	stamp   int             // length of the last time
	second  [secondLen]byte // the last one, up to its second, and that second's time
	began   int64
}

func (e *entries) feed(p []byte) error {
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

func (e *entries) close() error { return nil }
func (e *entries) abort()       {}

func (e *entries) line(line []byte) error {
	m, ok := e.decode(line)
	if !ok {
		e.corrupt()
		if m, ok = e.rescue(line); !ok {
			return nil
		}
	}
	if m.newline {
		return e.to.whole(m.from, m.ts, m.text)
	}
	if err := e.to.begin(m.from, m.ts, true); err != nil {
		return err
	}
	e.to.more(m.text)
	return e.to.end(false)
}

const (
	entryHead  = `{"log":"`
	streamHead = `","stream":"std`
	streamTail = streamHead + `out"`
	attrsHead  = `,"attrs":{`
	timeHead   = `,"time":"`
	timeTail   = `"}`
)

// rescue finds the entry that was written behind one that the engine did not get to finish,
// because the power went: in a text, no quote stands bare.
func (e *entries) rescue(line []byte) (entry, bool) {
	if at := bytes.LastIndex(line, []byte(entryHead)); at > 0 {
		return e.decode(line[at:])
	}
	return entry{}, false
}

func (e *entries) decode(line []byte) (entry, bool) {
	if m, ok := e.quick(line); ok {
		return m, true
	}
	return anyEntry(line)
}

// quick decodes a line that is as the engine writes it.
func (e *entries) quick(line []byte) (m entry, ok bool) {
	if len(line) < len(entryHead) || string(line[:len(entryHead)]) != entryHead {
		return m, false
	}
	head, ok := e.time(line[len(entryHead):], &m)
	if !ok {
		return m, false
	}
	end := len(head) - len(streamTail)
	if end < 0 || string(head[end:end+len(streamHead)]) != streamHead {
		end = bytes.Index(head, []byte(streamHead))
		if end < 0 || !isAttrs(head[min(len(head), end+len(streamTail)):]) {
			return m, false
		}
	}
	switch string(head[end+len(streamHead) : end+len(streamTail)]) {
	case `out"`:
		m.from = stdout
	case `err"`:
		m.from = stderr
	default:
		return m, false
	}
	return m, e.unescape(head[:end], &m)
}

// time takes the time off the end of a line and gives what is before.
func (e *entries) time(line []byte, m *entry) (head []byte, ok bool) {
	end := len(line) - len(timeTail)
	if end < len(timeHead)+maxStamp || string(line[end:]) != timeTail {
		return nil, false
	}
	at := end - e.stamp
	if string(line[at-len(timeHead):at]) != timeHead {
		at = bytes.LastIndexByte(line[:end], '"') + 1
		if at < len(timeHead) || string(line[at-len(timeHead):at]) != timeHead {
			return nil, false
		}
		e.stamp = min(end-at, maxStamp)
	}
	m.ts, ok = e.parse(line[at:end])
	return line[:at-len(timeHead)], ok
}

// secondLen is the length of a time without what follows its second.
const secondLen = len("2006-01-02T15:04:05")

// parse is parseStamp, quick for times of one second.
func (e *entries) parse(stamp []byte) (ts int64, ok bool) {
	if len(stamp) > secondLen && string(e.second[:]) == string(stamp[:secondLen]) {
		if ns, rest := fraction(stamp[secondLen:]); ns >= 0 && string(rest) == "Z" {
			return e.began + ns, true
		}
	}
	ts, ok = parseStamp(stamp)
	if ok && stamp[len(stamp)-1] == 'Z' {
		ns, _ := fraction(stamp[secondLen:])
		e.began = ts - ns
		copy(e.second[:], stamp)
	}
	return ts, ok
}

// isAttrs tells whether p is the member that holds what the driver's options add to
// each entry.
func isAttrs(p []byte) bool {
	return len(p) > len(attrsHead) && string(p[:len(attrsHead)]) == attrsHead && json.Valid(p[len(attrsHead)-1:])
}

// unescape takes the text out of a string.
func (e *entries) unescape(p []byte, m *entry) bool {
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

// cutNewline cuts the escaped newline off the end of a string, if there is one.
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

// keepText is how large the text's memory may stay while there is nothing to decode.
const keepText = 4 << 10

// rest gives memory back while there is nothing to decode.
func (e *entries) rest() {
	if cap(e.text) > keepText {
		e.text = nil
	}
}

// anyEntry decodes an entry that was written in another way.
func anyEntry(line []byte) (m entry, ok bool) {
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
		m.from = stdout
	case "stderr":
		m.from = stderr
	default:
		return m, false
	}
	m.ts = raw.Time.UnixNano()
	m.text, m.newline = bytes.CutSuffix([]byte(raw.Log), []byte{'\n'})
	return m, true
}
