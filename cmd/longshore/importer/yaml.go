package importer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/longshore/longshore/pipeline/config"
)

// A syntaxError says where a foreign config cannot be read.
type syntaxError struct {
	file string
	line int
	why  string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.why) }

const maxYAMLTokens = 100_000 // the YAML parser takes time by the square of some of them

// parseYAML reads the first document of a text.
func parseYAML(file, text string) (root *node, err error) {
	tokens := lexer.Tokenize(text)
	const why = "too large or nested too deeply for a config"
	if t := config.TooDeep(tokens); t != nil {
		return nil, &syntaxError{file, t.Position.Line, why}
	}
	if len(tokens) > maxYAMLTokens {
		return nil, &syntaxError{file, 1, why}
	}
	defer func() {
		if recover() != nil { // the parser panics on some texts
			root, err = nil, &syntaxError{file, 1, "this cannot be read as YAML"}
		}
	}()
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, yamlError(file, err)
	}
	b := yamlBuilder{file: file, anchors: map[string]*node{}}
	for _, doc := range parsed.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		made := b.node(doc.Body, 0)
		if root == nil {
			root = made
		} else if made.kind == mapKind && root.kind == mapKind {
			root.entries = append(root.entries, made.entries...) // told as what nobody has taken
		}
	}
	if b.nodes > maxNodes {
		return nil, &syntaxError{file, 1, "too large for a config, or its aliases repeat too much"}
	}
	if root == nil {
		root = &node{kind: mapKind, file: file, line: 1}
	}
	return root, nil
}

func yamlError(file string, err error) error {
	var found interface {
		error
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &found) && found.GetToken() != nil && found.GetToken().Position != nil {
		return &syntaxError{file, found.GetToken().Position.Line, "not YAML: " + found.GetMessage()}
	}
	return &syntaxError{file, 1, "this cannot be read as YAML"}
}

type yamlBuilder struct {
	file    string
	anchors map[string]*node // what an alias stands for is one value, wherever it is used
	nodes   int
}

func (b *yamlBuilder) node(n ast.Node, depth int) *node {
	out := &node{file: b.file}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.line = t.Position.Line
	}
	if b.nodes++; b.nodes > maxNodes || depth > maxDepth {
		b.nodes = maxNodes + 1
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
			out.items = append(out.items, b.node(item, depth+1))
		}
	case *ast.AnchorNode:
		out = b.node(n.Value, depth+1)
		if n.Name != nil {
			b.anchors[n.Name.String()] = out
		}
	case *ast.AliasNode:
		if n.Value != nil && b.anchors[n.Value.String()] != nil {
			out = b.anchors[n.Value.String()]
			b.nodes += out.size()
		}
	case *ast.TagNode:
		if n.Value != nil {
			return b.node(n.Value, depth+1)
		}
	case *ast.NullNode:
	case *ast.StringNode:
		out.text = n.Value
	case *ast.LiteralNode:
		out.text = n.Value.Value
	default:
		out.text = n.GetToken().Value
	}
	return out
}

func (b *yamlBuilder) mapping(out *node, values []*ast.MappingValueNode, depth int) {
	out.kind = mapKind
	for _, v := range values {
		value := b.node(v.Value, depth+1)
		if v.Key.IsMergeKey() {
			b.merge(out, value)
			continue
		}
		// Where a setting stands is where its name does.
		if t := v.Key.GetToken(); t != nil && t.Position != nil && v.Value.Type() != ast.AliasType {
			value.line = t.Position.Line
			if len(out.entries) == 0 {
				out.line = value.line
			}
		}
		out.entries = append(out.entries, entry{keyText(v.Key), value})
	}
}

// merge adds what a merge key brings in and the map has not.
func (b *yamlBuilder) merge(out, value *node) {
	for _, m := range value.list() {
		for _, e := range m.maps() {
			if !out.has(e.name) {
				out.entries = append(out.entries, e)
			}
		}
	}
}

func keyText(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return strings.TrimSpace(key.String())
}
