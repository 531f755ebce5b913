package multiline

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
)

// A dockerLine is what Docker's json-file says around a line, or a part of one: the engine cuts
// lines after 16 KiB, and what ends a line has its end in it.
//
//	{"log":"text\n","stream":"stdout","time":"2006-01-02T15:04:05.000000000Z"}
type dockerLine struct {
	stream byte // the first letter in which stdout and stderr differ; 0: it is something else
	whole  bool // the line ends in it
	time   int64
	text   int // where the text ends, which is JSON's
}

const dockerHead = `{"log":"`

func isDockerLine(p []byte) bool {
	return len(p) > len(dockerHead) && string(p[:len(dockerHead)]) == dockerHead
}

// readDocker takes a line of json-file apart.
func readDocker(p []byte) (d dockerLine) {
	const stream, moment = `","stream":"std`, `,"time":"`
	if !isDockerLine(p) {
		return d
	}
	end := bytes.Index(p[len(dockerHead):], []byte(stream))
	if end < 0 {
		return d
	}
	end += len(dockerHead)
	rest := p[end+len(stream):]
	at := bytes.LastIndex(rest, []byte(moment))
	if len(rest) < 4 || at < 0 || string(rest[:4]) != `out"` && string(rest[:4]) != `err"` {
		return d
	}
	ns, _, ok := recognize.ISO(rest[at+len(moment):], nil)
	if !ok {
		return d
	}
	text, whole := bytes.CutSuffix(p[len(dockerHead):end], []byte("n"))
	slashes := len(text) - len(bytes.TrimRight(text, `\`))
	whole = whole && slashes%2 == 1
	return dockerLine{stream: rest[0], whole: whole, time: ns, text: end}
}

// nearParts bounds the time between two parts of a line: what a program leaves without an end when
// it stops looks like a part, too, and then another one starts.
const nearParts = int64(1e9)

// dockerLine takes a line of json-file.
func (a *Auto) dockerLine(line []byte) pipeline.JoinDecision {
	open, d := a.docker, readDocker(line)
	a.forget()
	var joint pipeline.JoinDecision
	if open && a.before.stream == d.stream && d.time-a.before.time < nearParts {
		joint = pipeline.Continues
	}
	if d.stream == 0 || d.whole {
		return joint | pipeline.Complete
	}
	a.docker, a.before = true, d
	return joint
}

// AppendDockerLine appends the line whose parts a record of json-file's lines has: the first
// of them, with the text of all. It is false, and appends nothing, if the record is another.
func AppendDockerLine(dst, record []byte) ([]byte, bool) {
	first, rest := cutLine(record)
	d := readDocker(first)
	if d.stream == 0 {
		return dst, false
	}
	size := len(dst)
	dst = append(dst, first[:d.text]...)
	for len(rest) > 0 {
		var line []byte
		line, rest = cutLine(rest)
		part := readDocker(line)
		if part.stream == 0 {
			return dst[:size], false
		}
		dst = append(dst, line[len(dockerHead):part.text]...)
	}
	return append(dst, bytes.TrimSuffix(first[d.text:], []byte("\n"))...), true
}
