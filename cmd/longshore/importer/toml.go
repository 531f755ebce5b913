package importer

import (
	"errors"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseTOML reads a text as TOML. The library's own decoder checks it; its parser then says where
// everything stands.
func parseTOML(file, text string) (*node, error) {
	var checked map[string]any
	if err := toml.Unmarshal([]byte(text), &checked); err != nil {
		return nil, tomlError(file, err)
	}
	b := tomlBuilder{file: file}
	root := &node{kind: mapKind, file: file, line: 1}
	b.parser.Reset([]byte(text))
	table := root
	for b.parser.NextExpression() {
		e := b.parser.Expression()
		switch e.Kind {
		case unstable.Table:
			table = b.open(root, e.Key(), false)
		case unstable.ArrayTable:
			table = b.open(root, e.Key(), true)
		case unstable.KeyValue:
			b.keyValue(table, e, 0)
		}
	}
	if err := b.parser.Error(); err != nil {
		return nil, tomlError(file, err)
	}
	if b.nodes > maxNodes {
		return nil, &syntaxError{file, 1, "too large or nested too deeply for a config"}
	}
	return root, nil
}

func tomlError(file string, err error) error {
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ := at.Position()
		return &syntaxError{file, line, "not TOML: " + at.Error()}
	}
	return &syntaxError{file, 1, "not TOML: " + err.Error()}
}

type tomlBuilder struct {
	file   string
	parser unstable.Parser
	nodes  int
	line   int
}

// open returns the table of a header; of an array of tables a new one.
func (b *tomlBuilder) open(root *node, key unstable.Iterator, array bool) *node {
	at := root
	for key.Next() {
		b.seen(key.Node())
		next := at.get(string(key.Node().Data))
		last := key.IsLast()
		switch {
		case last && array:
			if next == nil {
				next = b.add(at, string(key.Node().Data), listKind)
			}
			b.nodes++
			item := &node{kind: mapKind, file: b.file, line: b.line}
			next.items = append(next.items, item)
			return item
		case next == nil:
			next = b.add(at, string(key.Node().Data), mapKind)
		case next.kind == listKind && len(next.items) > 0:
			next = next.items[len(next.items)-1]
		}
		at = next
	}
	return at
}

func (b *tomlBuilder) add(at *node, name string, k kind) *node {
	b.nodes++
	made := &node{kind: k, file: b.file, line: b.line}
	at.entries = append(at.entries, entry{name, made})
	return made
}

func (b *tomlBuilder) seen(n *unstable.Node) {
	if n.Raw.Length > 0 {
		b.line = b.parser.Shape(n.Raw).Start.Line
	}
}

func (b *tomlBuilder) keyValue(table *node, e *unstable.Node, depth int) {
	at, key := table, e.Key()
	for key.Next() {
		b.seen(key.Node())
		name := string(key.Node().Data)
		if key.IsLast() {
			value := b.value(e.Value(), depth)
			at.entries = append(at.entries, entry{name, value})
			return
		}
		next := at.get(name)
		if next == nil {
			next = b.add(at, name, mapKind)
		}
		at = next
	}
}

func (b *tomlBuilder) value(v *unstable.Node, depth int) *node {
	out := &node{file: b.file, line: b.line}
	if b.nodes++; b.nodes > maxNodes || depth > maxDepth {
		b.nodes = maxNodes + 1
		return out
	}
	switch v.Kind {
	case unstable.Array:
		out.kind = listKind
		for children := v.Children(); children.Next(); {
			if child := children.Node(); child.Kind != unstable.Comment {
				b.seen(child)
				out.items = append(out.items, b.value(child, depth+1))
			}
		}
	case unstable.InlineTable:
		out.kind = mapKind
		for children := v.Children(); children.Next(); {
			if child := children.Node(); child.Kind == unstable.KeyValue {
				b.keyValue(out, child, depth+1)
			}
		}
	default:
		out.text = string(v.Data)
	}
	return out
}
