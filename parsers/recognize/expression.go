package recognize

import (
	"regexp"

	"github.com/longshore/longshore/pipeline/event"
)

// An Expression parses lines by a regular expression. The time it takes is linear
// in the line's length, but far more than that of other parsers, and matching
// allocates. It belongs to one source.
type Expression struct {
	re      *regexp.Regexp
	columns *Columns
}

// NewExpression makes the parser of one source. names are those of the expression's
// groups, as SubexpNames gives them.
func NewExpression(re *regexp.Regexp, names []string, zone Zone) *Expression {
	return &Expression{re: re, columns: NewColumns(names, zone)}
}

// Parse implements pipeline.Parser.
func (e *Expression) Parse(b *event.Batch, i int) bool {
	groups := e.re.FindSubmatchIndex(b.Line(i))
	if groups == nil {
		return false
	}
	line := b.Records[i].Line
	e.columns.Start()
	for g := 1; 2*g < len(groups); g++ {
		if start, end := groups[2*g], groups[2*g+1]; start >= 0 {
			e.columns.Add(b, g, event.Span{Off: line.Off + uint32(start), Len: uint32(end - start)})
		}
	}
	e.columns.Fill(b, i)
	return true
}
