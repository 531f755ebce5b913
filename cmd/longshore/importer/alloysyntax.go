package importer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseAlloy reads Alloy's configuration language into a tree: blocks and objects are maps. What an
// expression refers to is not looked up here, and nothing is evaluated but texts that are joined.
func parseAlloy(file, text string) (root *node, err error) {
	p := &alloyParser{file: file, rest: text, line: 1}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *syntaxError:
			root, err = nil, e
		default:
			panic(e)
		}
	}()
	p.next()
	root = &node{kind: mapKind, file: file, line: 1}
	p.body(root, "")
	return root, nil
}

// An alloyToken is a word, text, number or sign.
type alloyToken struct {
	kind byte // 'w' word, 's' text, 'n' number, 'x' end; otherwise the sign itself
	text string
	line int
}

type alloyParser struct {
	file, rest string
	line       int
	at         alloyToken
	nodes      int
	depth      int
}

func (p *alloyParser) fail(why string) {
	panic(&syntaxError{p.file, p.at.line, "not Alloy's language: " + why})
}

// next reads the next token.
func (p *alloyParser) next() {
	p.blanks()
	p.at = alloyToken{line: p.line}
	switch {
	case p.rest == "":
		p.at.kind = 'x'
	case p.rest[0] == '"':
		p.quoted()
	case p.rest[0] == '`':
		end := strings.IndexByte(p.rest[1:], '`')
		if end < 0 {
			p.fail("a text is never closed")
		}
		p.at.kind, p.at.text = 's', p.rest[1:1+end]
		p.line += strings.Count(p.at.text, "\n")
		p.rest = p.rest[end+2:]
	case isWord(p.rest[0]):
		n := 1
		for n < len(p.rest) && (isWord(p.rest[n]) || p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '.') {
			n++
		}
		p.at.kind, p.at.text, p.rest = 'w', p.rest[:n], p.rest[n:]
	case p.rest[0] >= '0' && p.rest[0] <= '9':
		n := 1
		for n < len(p.rest) && (p.rest[n] >= '0' && p.rest[n] <= '9' || strings.IndexByte(".eExX", p.rest[n]) >= 0) {
			n++
		}
		p.at.kind, p.at.text, p.rest = 'n', p.rest[:n], p.rest[n:]
	default:
		_, n := utf8.DecodeRuneInString(p.rest)
		p.at.kind, p.at.text, p.rest = p.rest[0], p.rest[:n], p.rest[n:]
	}
}

func isWord(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// blanks skips blanks, line ends and comments.
func (p *alloyParser) blanks() {
	for p.rest != "" {
		switch {
		case p.rest[0] == '\n':
			p.line++
			p.rest = p.rest[1:]
		case p.rest[0] == ' ' || p.rest[0] == '\t' || p.rest[0] == '\r':
			p.rest = p.rest[1:]
		case strings.HasPrefix(p.rest, "//"), p.rest[0] == '#':
			if end := strings.IndexByte(p.rest, '\n'); end >= 0 {
				p.rest = p.rest[end:]
			} else {
				p.rest = ""
			}
		case strings.HasPrefix(p.rest, "/*"):
			end := strings.Index(p.rest, "*/")
			if end < 0 {
				p.rest = ""
				return
			}
			p.line += strings.Count(p.rest[:end], "\n")
			p.rest = p.rest[end+2:]
		default:
			return
		}
	}
}

func (p *alloyParser) quoted() {
	prefix, err := strconv.QuotedPrefix(p.rest)
	if err != nil {
		p.fail("a text is never closed, or has an escape that is unknown")
	}
	p.at.kind = 's'
	if p.at.text, err = strconv.Unquote(prefix); err != nil {
		p.fail("a text has an escape that is unknown")
	}
	p.rest = p.rest[len(prefix):]
}

func (p *alloyParser) expect(kind byte, what string) alloyToken {
	if p.at.kind != kind {
		p.fail(what + " is missing")
	}
	t := p.at
	p.next()
	return t
}

func (p *alloyParser) node(k kind, line int) *node {
	if p.nodes++; p.nodes > maxNodes || p.depth > maxDepth {
		p.fail("too large or nested too deeply for a config")
	}
	return &node{kind: k, file: p.file, line: line}
}

// body reads attributes and blocks up to the end, or to a brace.
func (p *alloyParser) body(into *node, inside string) {
	p.depth++
	defer func() { p.depth-- }()
	for p.at.kind != 'x' && p.at.kind != '}' {
		name := p.expect('w', "a name")
		if p.at.kind == '=' {
			p.next()
			value := p.expression()
			value.line = name.line
			into.entries = append(into.entries, entry{name.text, value})
			continue
		}
		block := p.node(mapKind, name.line)
		if p.at.kind == 's' {
			block.label = p.at.text
			p.next()
		}
		p.expect('{', "a { or =")
		p.body(block, name.text)
		p.expect('}', "the } of "+name.text)
		into.entries = append(into.entries, entry{name.text, block})
	}
	if p.at.kind == '}' && inside == "" {
		p.fail("a } without its {")
	}
}

// expression reads a value.
func (p *alloyParser) expression() *node {
	p.depth++
	defer func() { p.depth-- }()
	left := p.operand()
	for strings.IndexByte("+-*/%^<>!=&|?", p.at.kind) >= 0 {
		sign := p.at.kind
		p.next()
		for strings.IndexByte("=&|", p.at.kind) >= 0 {
			p.next()
		}
		right := p.operand()
		if sign == '+' && left.kind == scalarKind && right.kind == scalarKind && left.ref == "" && right.ref == "" {
			left = p.joined(left, right)
			continue
		}
		left = &node{file: p.file, line: left.line, ref: "an expression"}
	}
	return left
}

// joined joins two texts, which may be values of the environment.
func (p *alloyParser) joined(a, b *node) *node {
	out := p.node(scalarKind, a.line)
	out.expression = a.expression || b.expression
	for _, part := range []*node{a, b} {
		if out.expression && !part.expression {
			out.text += strings.ReplaceAll(part.text, "${", "$${")
		} else {
			out.text += part.text
		}
	}
	return out
}

func (p *alloyParser) operand() *node {
	line := p.at.line
	switch p.at.kind {
	case 's', 'n':
		out := p.node(scalarKind, line)
		out.text = p.at.text
		p.next()
		return out
	case '-', '!':
		sign := p.at.text
		p.next()
		out := p.expression()
		out.text = sign + out.text
		return out
	case '(':
		p.next()
		out := p.expression()
		p.expect(')', "a )")
		return out
	case '[':
		return p.list(line)
	case '{':
		return p.object(line)
	case 'w':
		return p.word(line)
	}
	p.fail("a value is missing")
	return nil
}

func (p *alloyParser) list(line int) *node {
	out := p.node(listKind, line)
	p.next()
	for p.at.kind != ']' {
		out.items = append(out.items, p.expression())
		if p.at.kind != ',' {
			break
		}
		p.next()
	}
	p.expect(']', "a ]")
	return out
}

func (p *alloyParser) object(line int) *node {
	out := p.node(mapKind, line)
	p.next()
	for p.at.kind == 'w' || p.at.kind == 's' {
		name := p.at
		p.next()
		p.expect('=', "an =")
		value := p.expression()
		value.line = name.line
		out.entries = append(out.entries, entry{name.text, value})
		if p.at.kind != ',' {
			break
		}
		p.next()
	}
	p.expect('}', "a }")
	return out
}

// word reads a constant, a reference, or a call.
func (p *alloyParser) word(line int) *node {
	out := p.node(scalarKind, line)
	name := p.at.text
	p.next()
	switch name {
	case "true", "false":
		out.text = name
	case "null":
	default:
		out.ref = name
	}
	for p.at.kind == '[' || p.at.kind == '.' {
		sign := p.at.kind
		p.next()
		if sign == '[' {
			index := p.expression()
			p.expect(']', "a ]")
			out.ref += "." + index.text
			continue
		}
		out.ref += "." + p.expect('w', "a name").text
	}
	if p.at.kind != '(' {
		return out
	}
	p.next()
	var args []*node
	for p.at.kind != ')' {
		args = append(args, p.expression())
		if p.at.kind != ',' {
			break
		}
		p.next()
	}
	p.expect(')', "a )")
	return p.call(out, name, args)
}

// call returns what a call stands for.
func (p *alloyParser) call(out *node, function string, args []*node) *node {
	switch function {
	case "env", "sys.env":
		if len(args) == 1 && varName.FindString(args[0].text) == args[0].text && args[0].text != "" {
			out.text, out.ref, out.expression = "${"+args[0].text+"}", "", true
			return out
		}
	case "concat", "array.concat":
		out.kind, out.ref = listKind, ""
		for _, arg := range args {
			out.items = append(out.items, arg.list()...)
		}
		return out
	case "convert.nonsensitive", "nonsensitive":
		if len(args) == 1 {
			return args[0]
		}
	}
	out.ref = "a call of " + function
	return out
}
