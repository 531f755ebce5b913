package multiline

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
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

// dockerLine takes a line of json-file, by what the program wrote.
func (a *Auto) dockerLine(line []byte) pipeline.JoinDecision {
	d := readDocker(line)
	if d.stream == 0 || !a.docker || a.part && d.time-a.before >= nearParts {
		a.forget()
	}
	if d.stream == 0 {
		return pipeline.Complete
	}
	joint := a.cri(d.stream, !d.whole, a.written(line, d))
	a.docker, a.before = joint&pipeline.Complete == 0, d.time
	return joint
}

// mostKept bounds what a source keeps for the text of its lines.
const mostKept = 4 << 10

// written returns what the program wrote, without the end of its line.
func (a *Auto) written(line []byte, d dockerLine) []byte {
	text := d.written(line)
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	if cap(a.text) > mostKept {
		a.text = nil
	}
	a.text = event.AppendUnescaped(a.text[:0], text)
	return a.text
}

// written returns the text of a line without the end of what the program wrote, escaped as it is.
func (d dockerLine) written(line []byte) []byte {
	text := line[len(dockerHead):d.text]
	if !d.whole {
		return text
	}
	return bytes.TrimSuffix(text[:len(text)-len(`\n`)], []byte(`\r`))
}

// AppendDockerLine appends a record of json-file's lines as one of them: the first, with the text
// of all. It is false, and appends nothing, if the record is another.
func AppendDockerLine(dst, record []byte) ([]byte, bool) {
	first, rest := cutLine(record)
	d := readDocker(first)
	if d.stream == 0 {
		return dst, false
	}
	size := len(dst)
	dst = append(dst, first[:len(dockerHead)]...)
	dst = append(dst, d.written(first)...)
	for part := d; len(rest) > 0; {
		if part.whole {
			dst = append(dst, `\n`...)
		}
		var line []byte
		line, rest = cutLine(rest)
		if part = readDocker(line); part.stream == 0 {
			return dst[:size], false
		}
		dst = append(dst, part.written(line)...)
	}
	return append(dst, bytes.TrimSuffix(first[d.text:], []byte("\n"))...), true
}
