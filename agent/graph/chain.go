package graph

import (
	"sync"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// chains are the parsers of one way to take lines. Each source would have its own if
// that did not take so much memory where there are thousands: so those that fall on the same
// one share them; these must be of one worker.
type chains struct {
	parsers []parserOf

	mu   sync.Mutex
	made map[uint64]chain
}

// chainsPerWorker is enough for sources that are read at the same time; for parsers learn the
// looks of other lines from the first one of a batch.
const chainsPerWorker = 16

// of gives a chain by its number, which is made for src if it is new.
func (c *chains) of(number uint64, src *event.Source) chain {
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

// chain is the parsers of a pipeline, as a source goes through them.
type chain []link

type link struct {
	parser  pipeline.Parser
	field   string      // to understand instead of the line
	failing event.Flags // of records that have it and are not understood
}

// parserOf is a parser of the config, before it is made for a source.
type parserOf struct {
	settings  pipeline.ParserSettings
	make      pipeline.NewParser
	newJoiner pipeline.NewJoiner // nil where it joins no lines
	limits    pipeline.JoinLimits
}

func newParserOf(c config.Parser) (p parserOf, err error) {
	p.settings = c.Common
	if p.make, err = c.Settings.Parser(); err != nil {
		return p, err
	}
	if j, ok := c.Settings.(pipeline.JoinerConfig); ok && c.Common.Field == "" {
		p.newJoiner, p.limits, err = j.Joiner()
	}
	return p, err
}

func newChain(parsers []parserOf, src *event.Source) chain {
	var c chain
	for _, p := range parsers {
		l := link{parser: p.make(src), field: p.settings.Field}
		switch p.settings.OnError {
		case "drop":
			l.failing = event.Dropped
		case "dead_letter":
			l.failing = event.Rejected
		}
		c = append(c, l)
	}
	return c
}

// parse has each parser look at record i, as pipeline.ParserSettings says.
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
		if tried && !ok && l.failing != 0 {
			r.Flags |= l.failing
			return
		}
	}
}

// parseField has the parser look at a field as if it were the line. What it finds
// takes the place of the field.
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

// messageField is the name by which the message is asked for.
const messageField = "message"

// fieldNamed finds a field; the message has the index -1.
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

// textOf gives the span of a value's text.
func textOf(b *event.Batch, v event.Value) event.Span {
	if v.Kind != event.Escaped {
		return v.Span
	}
	start := len(b.Arena)
	b.Arena = event.AppendUnescaped(b.Arena, b.Bytes(v.Span))
	return event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}
}
