package graph

import (
	"sync"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// parsing is how lines become records.
type parsing struct {
	chains      *chains
	newJoiner   pipeline.NewJoiner // nil: lines stay as they are
	limits      pipeline.JoinLimits
	lowestLevel event.Level // records below it are dropped
}

// newParsing returns what parsers do. The first that joins lines does so.
func newParsing(parsers []parserFactory) *parsing {
	p := &parsing{chains: &chains{parsers: parsers}}
	for _, f := range parsers {
		if p.newJoiner == nil {
			p.newJoiner, p.limits = f.newJoiner, f.limits
		}
	}
	return p
}

// chains are the parsers of one parsing, made for few sources each: for every source they would
// take too much memory. The sources of a chain must be of one worker.
type chains struct {
	parsers []parserFactory

	mu   sync.Mutex
	made map[uint64]chain
}

// chainsPerWorker is enough for sources that are read at the same time: parsers learn another
// format from the first line of a batch.
const chainsPerWorker = 16

// get returns a chain by its number. If it is new, it is made for src.
func (c *chains) get(number uint64, src *event.Source) chain {
	c.mu.Lock()
	defer c.mu.Unlock()
	made, known := c.made[number]
	if !known {
		if c.made == nil {
			c.made = map[uint64]chain{}
		}
		made = newChain(c.parsers, src)
		c.made[number] = made
	}
	return made
}

// chain is the parsers of a pipeline, in their order.
type chain []link

type link struct {
	parser  pipeline.Parser
	field   string      // to parse instead of the line
	onError event.Flags // of records that have it and cannot be parsed
}

// parserFactory is a parser of the config, before it is made for a source.
type parserFactory struct {
	settings  pipeline.ParserSettings
	newParser pipeline.NewParser
	newJoiner pipeline.NewJoiner // nil where it joins no lines
	limits    pipeline.JoinLimits
}

func newParserFactory(c config.Parser) (f parserFactory, err error) {
	f.settings = c.Common
	if f.newParser, err = c.Settings.Parser(); err != nil {
		return f, err
	}
	if j, ok := c.Settings.(pipeline.JoinerConfig); ok && c.Common.Field == "" {
		f.newJoiner, f.limits, err = j.Joiner()
	}
	return f, err
}

func newChain(parsers []parserFactory, src *event.Source) chain {
	var c chain
	for _, f := range parsers {
		l := link{parser: f.newParser(src), field: f.settings.Field}
		switch f.settings.OnError {
		case "drop":
			l.onError = event.Dropped
		case "dead_letter":
			l.onError = event.Rejected
		}
		c = append(c, l)
	}
	return c
}

// renew makes the parsers of a chain anew, in its place.
func (c chain) renew(parsers []parserFactory, src *event.Source) {
	for i, f := range parsers {
		c[i].parser = f.newParser(src)
	}
}

// parse calls each parser for record i, as pipeline.ParserSettings says.
func (c chain) parse(b *event.Batch, i int) {
	r := &b.Records[i]
	for k := range c {
		l := &c[k]
		tried, ok := false, false
		switch {
		case l.field != "":
			tried, ok = l.parseField(b, i)
		case r.Flags&event.Parsed == 0:
			tried, ok = true, l.parser.Parse(b, i)
		}
		if ok {
			r.Flags |= event.Parsed
		}
		if tried && !ok && l.onError != 0 {
			r.Flags |= l.onError
			return
		}
	}
}

// parseField parses a field as if it were the line. What is found replaces the field.
func (l *link) parseField(b *event.Batch, i int) (tried, ok bool) {
	r := &b.Records[i]
	k, value := fieldNamed(b, i, l.field)
	if value.Kind == event.None {
		return false, false
	}
	before := *r
	r.Line = textOf(b, value)
	r.Message = event.Value{}
	ok = l.parser.Parse(b, i)
	r.Line = before.Line
	if !ok || r.Message.Kind == event.None {
		r.Message = before.Message
	}
	if ok {
		r.RedundantText = event.Span{} // what was not found in the field is only in the line now
	}
	if ok && k >= 0 {
		b.RemoveField(i, k)
	}
	return true, ok
}

// messageField is the name of the message.
const messageField = "message"

// fieldNamed returns a field. The message has the index -1.
func fieldNamed(b *event.Batch, i int, name string) (int, event.Value) {
	if name == messageField {
		return -1, b.MessageOf(i)
	}
	for k, f := range b.Fields(i) {
		if string(b.Bytes(f.Key.Span)) == name {
			return k, f.Value
		}
	}
	return -1, event.Value{}
}

// textOf returns the span of a value's text.
func textOf(b *event.Batch, v event.Value) event.Span {
	if v.Kind != event.Escaped {
		return v.Span
	}
	start := len(b.Arena)
	b.Arena = event.AppendUnescaped(b.Arena, b.Bytes(v.Span))
	return event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}
}
