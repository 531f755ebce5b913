// Package script says what the lines of end-to-end tests are, so that those who
// write them and those who look for them agree.
package script

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

var levels = []string{"trace", "debug", "info", "warn", "error", "fatal"}

// Level gives the level of line i, of the six.
func Level(i int) string { return levels[i%len(levels)] }

// Message gives the text by which line i of a writer is known.
func Message(name string, i int) string { return fmt.Sprintf("%s line %06d", name, i) }

// Trace gives the trace id that every ten lines share.
func Trace(name string, i int) string {
	h := fnv.New128a()
	fmt.Fprintf(h, "%s/%d", name, i/10)
	return fmt.Sprintf("%032x", h.Sum(nil))
}

// Span gives the span id of line i.
func Span(i int) string { return fmt.Sprintf("%016x", i+1) }

// longBytes makes Docker take a line apart: it does so every 16 KiB.
const longBytes = 40 << 10

// Line gives line i. Plain and long lines have neither level nor trace.
func Line(format, name string, i int, at time.Time) string {
	message := Message(name, i)
	switch format {
	case "json":
		return fmt.Sprintf(`{"time":%q,"level":%q,"msg":%q,"trace_id":%q,"span_id":%q,"n":%d,"even":%v,`+
			`"nested":{"a":[1,2,null],"b":2.50}}`,
			at.UTC().Format(time.RFC3339Nano), Level(i), message, Trace(name, i), Span(i), i, i%2 == 0)
	case "logfmt":
		return fmt.Sprintf(`ts=%s level=%s msg=%q trace_id=%s n=%d even=%v`,
			at.UTC().Format(time.RFC3339Nano), Level(i), message, Trace(name, i), i, i%2 == 0)
	case "long":
		return message + " " + strings.Repeat("x", longBytes-len(message)-1)
	}
	return message
}
