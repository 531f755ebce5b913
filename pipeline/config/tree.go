package config

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on what is read; nobody's real config comes near.
const (
	maxFile   = 1 << 20
	maxTokens = 50_000 // the YAML parser takes time by the square of some of them
	maxDepth  = 64
	maxNodes  = 50_000 // after aliases are written out
)

type kind uint8

const (
	nullKind kind = iota
	scalarKind
	listKind
	mappingKind
)

// A node is one value of the config: what YAML says, with anchors, aliases and merge
// keys written out and ${…} put in.
type node struct {
	kind kind
	at   span
	// name is the place of the name it is set under, where a problem of the whole is shown.
	name span
	// text is a scalar's value; asWritten is how an error may quote it, and is empty
	// for what must not be quoted.
	text, asWritten string
	// filled is set for a scalar with ${…} in it; its text is not for showing.
	filled bool
	items  []*node // of a list
	// entries are a mapping's, in order, without repeated keys.
	entries []entry
	// broken is set once a problem was reported here, so that there is no second
	// one for the same reason.
	broken bool
}

type entry struct {
	name  string
	key   span
	value *node
}

// entry returns a mapping's entry by name.
func (n *node) entry(name string) (entry, bool) {
	if n == nil {
		return entry{}, false
	}
	for _, e := range n.entries {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// get returns the value of a mapping's entry, or nil.
func (n *node) get(name string) *node {
	e, _ := n.entry(name)
	return e.value
}

// has reports whether a node is n, or anywhere below it.
func (n *node) has(other *node) bool {
	if n == nil || n == other {
		return n != nil
	}
	return slices.ContainsFunc(n.items, func(item *node) bool { return item.has(other) }) ||
		slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.has(other) })
}

// copy returns a node that shares nothing with n.
func (n *node) copy() *node {
	if n == nil {
		return nil
	}
	c := *n
	c.items, c.entries = nil, nil
	for _, item := range n.items {
		c.items = append(c.items, item.copy())
	}
	for _, e := range n.entries {
		e.value = e.value.copy()
		c.entries = append(c.entries, e)
	}
	return &c
}

// anyBroken reports whether a problem was found in a node or anywhere below it.
func (n *node) anyBroken() bool {
	if n == nil || n.broken {
		return n != nil
	}
	for _, item := range n.items {
		if item.anyBroken() {
			return true
		}
	}
	for _, e := range n.entries {
		if e.value.anyBroken() {
			return true
		}
	}
	return false
}

// A builder makes nodes of YAML.
type builder struct {
	problems *problemList
	vars     *variables
	anchors  map[string]ast.Node
	nodes    int
	full     bool
}

// readTree reads a text as one YAML document. It returns nil when there is
// nothing in it, or nothing that could be understood; then that is reported.
func readTree(text string, r *problemList, vars *variables) *node {
	tokens := lexer.Tokenize(text)
	if at, why := tooMuch(tokens); why != "" {
		r.add(at, "", "%s", why)
		return nil
	}
	body, ok := parseYAML(tokens, r)
	if !ok || body == nil {
		return nil
	}
	b := &builder{problems: r, vars: vars, anchors: map[string]ast.Node{}}
	root := b.node(body, 0)
	if b.full {
		return nil
	}
	return root
}

// tooMuch says why tokens should not be parsed.
func tooMuch(tokens token.Tokens) (span, string) {
	if len(tokens) > maxTokens {
		return span{}, "the config is too large: it has over 50,000 words and signs"
	}
	if t := TooDeep(tokens); t != nil {
		return spanOf(t), "the config is nested too deeply"
	}
	return span{}, ""
}

// TooDeep returns the first of the tokens of a YAML text that is nested more than 64 levels deep;
// nil for none. The parser calls itself for every level, and a stack that overflows cannot be
// caught.
func TooDeep(tokens token.Tokens) *token.Token {
	open, chain, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			chain, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			chain++
		}
		if open > maxDepth || chain > maxDepth || t.Position.IndentLevel > maxDepth {
			return t
		}
	}
	return nil
}

// parseYAML returns the body of the only document.
func parseYAML(tokens token.Tokens, r *problemList) (body ast.Node, ok bool) {
	defer func() {
		if recover() != nil {
			r.add(span{}, "", "this cannot be read as YAML")
			body, ok = nil, false
		}
	}()
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil, false
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			r.add(start(doc.Body), "", "a second document starts here; a config is one document, without a second ---")
			return nil, false
		}
		body = doc.Body
	}
	return body, true
}

// syntax reports what the YAML parser found, in words for people.
func (r *problemList) syntax(err error) {
	r.source.hideAll = true
	var found interface {
		error
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &found) || found.GetToken() == nil {
		r.add(span{}, "", "this cannot be read as YAML: %v", err)
		return
	}
	at := spanOf(found.GetToken())
	at.endLine, at.endCol = at.line, at.col+1
	r.add(at, "", "%s", inPlainWords(found.GetMessage(), r.source, at))
}

func inPlainWords(message string, s *source, at span) string {
	before, line := "", ""
	if at.line >= 1 && at.line <= len(s.lines) {
		line = s.lines[at.line-1]
		before = string([]rune(line)[:min(max(at.col-1, 0), utf8.RuneCountInString(line))])
	}
	switch {
	case strings.Contains(message, "must be specified") && strings.HasSuffix(before, "$"),
		strings.Contains(message, "must be specified") && strings.Contains(before, "${"):
		return `inside [ ] and { }, put quotes around "${…}"`
	case strings.Contains(message, "must be specified"):
		return "not YAML: a " + strings.Replace(message, " must be specified", " is missing before this", 1)
	case strings.Contains(message, "cannot start any token") && strings.Contains(line, "\t"):
		return "not YAML: a tab; indent with spaces"
	case strings.Contains(message, "mapping value is not allowed"):
		return `not YAML: a second ": " in one line; put quotes around the value`
	case strings.Contains(message, "could not find end character"):
		return "not YAML: this quote is never closed"
	case strings.Contains(message, "is a reserved character"):
		return "not YAML: " + message + "; put quotes around the value"
	case strings.Contains(message, "value is not allowed in this context"):
		return "not YAML: this line is indented neither like the one before nor like a line further up"
	}
	return "not YAML: " + strings.TrimSpace(message)
}

// spanOf is from a token up to the next.
func spanOf(t *token.Token) span {
	if t == nil || t.Position == nil {
		return span{}
	}
	p := span{line: t.Position.Line, col: max(t.Position.Column, 1)}
	p.endLine, p.endCol = 1<<30, 1
	if t.Next != nil && t.Next.Position != nil {
		p.endLine, p.endCol = t.Next.Position.Line, max(t.Next.Position.Column, 1)
	}
	return p
}

// start is the place of a node's first token.
func start(n ast.Node) span {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return start(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(n.Key)
	case *ast.LiteralNode:
		p := spanOf(n.Start)
		end := spanOf(n.Value.GetToken())
		p.endLine, p.endCol = end.endLine, end.endCol
		return p
	case *ast.SequenceNode:
		p := spanOf(n.GetToken())
		p.endLine, p.endCol = p.line, p.col+1
		return p
	}
	return spanOf(n.GetToken())
}

// node makes a node of what the parser found, from depth levels down.
func (b *builder) node(n ast.Node, depth int) *node {
	out := &node{at: start(n)}
	b.nodes++
	if b.full || b.nodes > maxNodes || depth > maxDepth {
		b.overflow(out)
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		b.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		b.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = listKind
		for _, item := range n.Values {
			value := b.node(item, depth+1)
			value.name = value.at
			out.items = append(out.items, value)
		}
	case *ast.AnchorNode:
		return b.anchor(n, depth)
	case *ast.AliasNode:
		return b.alias(n, depth)
	case *ast.TagNode:
		return b.tagged(n, depth)
	default:
		b.scalar(out, n)
	}
	return out
}

func (b *builder) overflow(n *node) {
	n.broken = true
	if !b.full {
		b.full = true
		b.problems.add(n.at, "", "the config is too large: it is nested too deeply, or its aliases repeat too much")
	}
}

func (b *builder) anchor(n *ast.AnchorNode, depth int) *node {
	value := b.node(n.Value, depth+1)
	if n.Name != nil {
		// Only now: an alias inside of what it stands for would have no end.
		b.anchors[n.Name.String()] = n.Value
	}
	return value
}

func (b *builder) alias(n *ast.AliasNode, depth int) *node {
	name := ""
	if n.Value != nil {
		name = n.Value.String()
	}
	target, ok := b.anchors[name]
	if !ok {
		at := start(n)
		if n.Value != nil {
			end := start(n.Value)
			at.endLine, at.endCol = end.endLine, end.endCol
		}
		b.problems.add(at, "", "there is no anchor &%s above this%s", name, meant(name, keys(b.anchors)))
		return &node{at: at, broken: true}
	}
	return b.node(target, depth+1)
}

// tagged reads past the tags that say what is plain to see; others have no meaning here.
func (b *builder) tagged(n *ast.TagNode, depth int) *node {
	name := n.Start.Value
	switch name {
	case "!!str", "!!int", "!!float", "!!bool", "!!map", "!!seq", "!":
		if n.Value != nil {
			return b.node(n.Value, depth+1)
		}
		return &node{at: start(n)}
	}
	at := spanOf(n.Start)
	b.problems.add(at, "", "tags such as %s have no meaning here; remove it", name)
	return &node{at: at, broken: true}
}

func (b *builder) mapping(out *node, values []*ast.MappingValueNode, depth int) {
	out.kind = mappingKind
	var merged []*node
	for _, v := range values {
		key := start(v.Key)
		if v.Key.IsMergeKey() {
			merged = append(merged, b.merge(v.Value, depth)...)
			continue
		}
		name, ok := b.key(v.Key)
		if !ok {
			b.problems.add(key, "", "a name must be plain text")
			continue
		}
		value := b.node(v.Value, depth+1)
		value.name = key
		if value.kind == nullKind {
			value.at = key
		}
		if first, twice := out.entry(name); twice {
			b.problems.add(key, "", "%q is set twice; the first time is in line %d", name, first.key.line)
			continue
		}
		out.entries = append(out.entries, entry{name, key, value})
	}
	for _, m := range merged {
		out.mergeFrom(m)
	}
}

// mergeFrom takes over the entries that a mapping does not have itself.
func (n *node) mergeFrom(from *node) {
	for _, e := range from.entries {
		if _, own := n.entry(e.name); !own {
			n.entries = append(n.entries, e)
		}
	}
}

// merge returns the mappings that stand at a merge key.
func (b *builder) merge(n ast.Node, depth int) []*node {
	value := b.node(n, depth+1)
	from := []*node{value}
	if value.kind == listKind {
		from = value.items
	}
	var mappings []*node
	for _, m := range from {
		if m.kind == mappingKind {
			mappings = append(mappings, m)
		} else if !m.broken {
			b.problems.add(m.at, "", "only settings can be merged by <<: an alias of them, such as *name, or a "+
				"list of such")
		}
	}
	return mappings
}

func (b *builder) key(n ast.MapKeyNode) (string, bool) {
	if k, ok := n.(*ast.MappingKeyNode); ok {
		return scalarText(k.Value)
	}
	return scalarText(n)
}

func (b *builder) scalar(out *node, n ast.Node) {
	text, ok := scalarText(n)
	if !ok {
		return
	}
	out.kind, out.text = scalarKind, text
	out.asWritten = text
	if strings.Contains(text, "${") {
		out.filled = true
		if isRemote(text) {
			b.vars.later = append(b.vars.later, out)
			return
		}
		b.vars.fill(out, b.problems)
	}
}

// scalarText returns the value of a scalar as text; null has none.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
