package multiline

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline"
)

// A prefixText is the prefix of docker compose that the open record's lines have.
type prefixText [recognize.LongestPrefix]byte

// prefixed takes a line behind what docker compose wrote before it.
func (a *Auto) prefixed(head, inner []byte) pipeline.JoinDecision {
	if !bytes.Equal(a.prefixText[:a.prefix], head) {
		a.forget()
		a.prefix = uint8(copy(a.prefixText[:], head))
	}
	if isObject(inner) {
		a.forget()
		return pipeline.Complete
	}
	return a.close(a.record.line(inner))
}

// appendWithoutPrefix appends a record whose lines have a prefix of docker compose with only the
// first of them.
func appendWithoutPrefix(dst, record []byte) ([]byte, bool) {
	line, rest := cutLine(record)
	head := line[:recognize.ComposePrefix(line)]
	if len(head) == 0 {
		return dst, false
	}
	dst = append(dst, line...)
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		dst = append(dst, '\n')
		dst = append(dst, bytes.TrimPrefix(line, head)...)
	}
	return dst, true
}
