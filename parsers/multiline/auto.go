package multiline

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
)

// Auto joins lines without being told how: stack traces and crash reports of the common languages,
// objects and statements spread over several lines, and lines that are indented below another. It
// would rather leave apart what belongs together than glue together what does not: a line that
// looks as log lines begin always begins a record. What it says of a line depends on nothing but
// the lines of the open record.
type Auto struct {
	record record
	stream byte // of the lines' CRI heads, 0 where they have none
	part   bool // the last line goes on in the next one of its stream
	done   bool // of the record whose line goes on: nothing can follow it
	docker bool // the lines are Docker's json-file's
	// prefix is the length of what docker compose wrote before the lines.
	prefix uint8

	before int64  // the time of the last of these
	text   []byte // what is in it, where that is escaped
	prefixText
}

// NewAuto makes the joiner of one source.
func NewAuto() *Auto { return new(Auto) }

// End implements pipeline.Joiner.
func (a *Auto) End() { *a = Auto{text: a.text} }

// Line implements pipeline.Joiner.
func (a *Auto) Line(line []byte) pipeline.JoinDecision {
	if isObject(line) {
		if isDockerLine(line) {
			return a.dockerLine(line)
		}
		a.forget()
		return pipeline.Complete
	}
	if len(line) > 0 && isLower(line[0]) && bytes.IndexByte(line[:min(len(line), recognize.LongestPrefix)], '|') > 0 {
		if n := recognize.ComposePrefix(line); n > 0 {
			return a.prefixed(line[:n], line[n:])
		}
	}
	if len(line) > 28 && line[10] == 'T' {
		if stream, part, inner := criHead(line); stream != 0 {
			if a.docker {
				a.forget()
			}
			return a.cri(stream, part, inner)
		}
	}
	if a.stream != 0 || a.docker || a.prefix > 0 {
		a.forget()
	}
	return a.close(a.record.line(line))
}

// forget is End for the hot path: what is not open is not looked at.
func (a *Auto) forget() {
	a.record.open = false
	a.stream, a.part, a.done, a.docker, a.prefix = 0, false, false, false, 0
}

func (a *Auto) close(joint pipeline.JoinDecision) pipeline.JoinDecision {
	if joint&pipeline.Complete != 0 {
		a.forget()
	}
	return joint
}

// cri takes a line that a container runtime has written, by what the program had written. Long
// lines come in parts.
func (a *Auto) cri(stream byte, part bool, inner []byte) pipeline.JoinDecision {
	if a.part && stream == a.stream {
		a.part = part
		return a.close(a.criPart(inner))
	}
	if stream != a.stream {
		a.forget()
	}
	var joint pipeline.JoinDecision
	if !part && isObject(inner) {
		a.record.open = false
		joint = pipeline.Complete
	} else {
		joint = a.record.line(inner)
	}
	if part {
		a.done = joint&pipeline.Complete != 0
		joint &^= pipeline.Complete
	}
	a.stream, a.part = stream, part
	return a.close(joint)
}

// criPart takes a further part of a line.
func (a *Auto) criPart(inner []byte) pipeline.JoinDecision {
	if a.record.start[0] == '{' {
		a.done = len(inner) > 0 && inner[len(inner)-1] == '}'
	}
	if a.done && !a.part {
		return pipeline.Continues | pipeline.Complete
	}
	return pipeline.Continues
}

// isObject reports whether a line is a JSON object as loggers write it, by its ends.
func isObject(p []byte) bool {
	n := len(p)
	return n >= 2 && p[0] == '{' && p[n-1] == '}' && (p[1] == '"' || n == 2)
}

// criHead reads the head of a line as container runtimes write it to files
// (KEP 4.2 "CRI logging format"): time, stream, and P for a part of a line or F
// for its end. stream is the first letter that differs, 0 if there is no head.
//
//	2016-10-06T00:17:09.669794202Z stdout F text
func criHead(p []byte) (stream byte, part bool, inner []byte) {
	if len(p) < 29 || p[10] != 'T' || p[4] != '-' || p[13] != ':' {
		return 0, false, nil
	}
	blank := bytes.IndexByte(p[19:min(len(p), 40)], ' ')
	if blank < 0 || len(p) < 19+blank+9 {
		return 0, false, nil
	}
	rest := p[19+blank+1:]
	if string(rest[:3]) != "std" || string(rest[3:7]) != "out " && string(rest[3:7]) != "err " {
		return 0, false, nil
	}
	if rest[7] != 'F' && rest[7] != 'P' {
		return 0, false, nil
	}
	if len(rest) > 8 && rest[8] != ' ' {
		return 0, false, nil
	}
	return rest[3], rest[7] == 'P', rest[min(len(rest), 9):]
}
