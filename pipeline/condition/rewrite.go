package condition

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"

	"github.com/longshore/longshore/pipeline/event"
)

// matches and truthful are functions of this package's own, beside operators,
// by names that nobody can write.
const (
	matches  = "matches "
	truthful = "truth "
)

// functions returns the functions that rewritten expressions call, and notes their names.
func functions(names map[string]bool) []expr.Option {
	var all []expr.Option
	add := func(name string, f func(args ...any) (any, error), types ...any) {
		names[name] = true
		all = append(all, expr.Function(name, f, types...))
	}
	for name, op := range operators {
		add(name, func(args ...any) (any, error) {
			a, b := operandOf(args[0]), operandOf(args[1])
			return op.holds(&a, &b), nil
		}, new(func(any, any) bool))
	}
	add(matches, func(args ...any) (any, error) {
		a := operandOf(args[0])
		text, ok := a.asText(nil)
		return ok && args[1].(*regexp.Regexp).Match(text), nil
	}, new(func(any, any) bool))
	add(truthful, func(args ...any) (any, error) { return truth(operandOf(args[0])), nil }, new(func(any) bool))
	return all
}

// problem is an Error whose place is an offset in characters.
type problem struct {
	message string
	from    int
}

func (m *problem) locate(text string) *Error {
	e := &Error{Message: m.message, Line: 1, Column: 1}
	for n, r := range []rune(text) {
		if n == m.from {
			break
		}
		if e.Column++; r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}

// A rewriter puts this package's operators into an expression, and makes one
// name of each path. It sees a node after those in it.
type rewriter struct {
	calls   map[string]bool // functions of our own
	names   map[string]ast.Node
	root    ast.Node
	problem *problem
}

// Visit implements ast.Visitor.
func (r *rewriter) Visit(node *ast.Node) {
	if r.names == nil {
		r.names = map[string]ast.Node{}
	}
	switch n := (*node).(type) {
	case *ast.VariableDeclaratorNode:
		r.report(n, "let is not possible here")
	case *ast.SequenceNode:
		r.report(n, "a condition is one expression, without ;")
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			r.report(n, "there is no $env here")
		}
	case *ast.MemberNode:
		r.member(node, n)
	case *ast.CallNode:
		r.call(n)
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			r.asTruth(&n.Node)
		}
	case *ast.ConditionalNode:
		r.asTruth(&n.Cond)
	case *ast.BinaryNode:
		r.binary(node, n)
	}
	r.root = *node
}

func (r *rewriter) report(at ast.Node, format string, args ...any) {
	if r.problem == nil {
		r.problem = &problem{fmt.Sprintf(format, args...), at.Location().From}
	}
}

// member makes one name of a path: a.b, fields["a.b"].
func (r *rewriter) member(node *ast.Node, n *ast.MemberNode) {
	base, ok := bare(n.Node).(*ast.IdentifierNode)
	property, known := n.Property.(*ast.StringNode)
	if !ok || base.Value == "timestamp" || n.Method {
		return
	}
	if !known {
		if base.Value == "labels" || base.Value == "fields" {
			r.report(n.Property, "between [ and ] stands a name in quotes")
		}
		return
	}
	ast.Patch(node, &ast.IdentifierNode{Value: base.Value + "." + property.Value})
}

// bare takes off what an optional path is wrapped in.
func bare(n ast.Node) ast.Node {
	if c, ok := n.(*ast.ChainNode); ok {
		return c.Node
	}
	return n
}

func (r *rewriter) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if ok && !r.calls[callee.Value] {
		r.report(n, "there is no function %s%s", callee.Value, meant(callee.Value, functionNames()))
	}
}

// wordOperators are operators that people take for functions or spell differently.
var wordOperators = []string{"contains", "startsWith", "endsWith", "matches"}

func functionNames() []string {
	names := append([]string(nil), wordOperators...)
	for _, f := range builtin.Builtins {
		names = append(names, f.Name)
	}
	return names
}

func (r *rewriter) binary(node *ast.Node, n *ast.BinaryNode) {
	switch n.Operator {
	case "and", "or", "&&", "||":
		r.asTruth(&n.Left)
		r.asTruth(&n.Right)
	case "matches":
		r.matches(node, n)
	default:
		if operators[n.Operator] == 0 {
			return
		}
		r.levels(n)
		ast.Patch(node, call(n.Operator, n.Left, n.Right))
	}
}

func call(name string, args ...ast.Node) ast.Node {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

func (r *rewriter) matches(node *ast.Node, n *ast.BinaryNode) {
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		r.report(n.Right, "matches needs a regular expression in quotes")
		return
	}
	compiled, err := regexp.Compile(pattern.Value)
	if err != nil {
		r.report(n.Right, "is no regular expression: %v", err)
		return
	}
	ast.Patch(node, call(matches, n.Left, &ast.ConstantNode{Value: compiled}))
}

// asTruth makes a node that may be anything one that is true or false.
func (r *rewriter) asTruth(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BoolNode:
		return
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "or", "&&", "||":
			return
		}
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && r.calls[callee.Value] {
			return
		}
	}
	at := (*node).Location()
	wrapped := call(truthful, *node)
	wrapped.SetLocation(at)
	*node = wrapped
}

// levels checks what a level is compared with, and makes numbers of levels that are
// compared by order.
func (r *rewriter) levels(n *ast.BinaryNode) {
	left, right := isLevel(n.Left), isLevel(n.Right)
	if left == right {
		return
	}
	level, other := &n.Left, &n.Right
	if right {
		level, other = other, level
	}
	switch n.Operator {
	case "<", "<=", ">", ">=":
		name, ok := (*other).(*ast.StringNode)
		if !ok {
			r.report(*other, "a level is compared with the name of one, such as \"warn\"")
			return
		}
		r.levelName(name)
		ast.Patch(level, &ast.IdentifierNode{Value: levelOrder})
		ast.Patch(other, &ast.IntegerNode{Value: int(event.LevelNamed(name.Value))})
	case "==", "!=", "in":
		r.levelNames(*other)
	}
}

func isLevel(n ast.Node) bool {
	name, ok := n.(*ast.IdentifierNode)
	return ok && name.Value == "level"
}

func (r *rewriter) levelNames(n ast.Node) {
	switch n := n.(type) {
	case *ast.StringNode:
		r.levelName(n)
	case *ast.IdentifierNode:
		if event.LevelNamed(n.Value) != event.NoLevel {
			r.report(n, "is the field %s here; the level is written in quotes: %q", n.Value, n.Value)
		}
	case *ast.ArrayNode:
		for _, element := range n.Nodes {
			r.levelNames(element)
		}
	}
}

func (r *rewriter) levelName(n *ast.StringNode) {
	if event.LevelNamed(n.Value) == event.NoLevel {
		r.report(n, "there is no level %q%s", n.Value, meant(n.Value, event.LevelNames()))
	}
}

// finish collects the names and checks them.
func (r *rewriter) finish() *problem {
	ast.Walk(&r.root, collector{r})
	return r.problem
}

type collector struct{ *rewriter }

// Visit implements ast.Visitor.
func (c collector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if !c.calls[n.Value] {
			c.names[n.Value] = n
			c.known(n)
		}
	}
}

var coreNames = []string{"message", "level", "service", "trace_id", "span_id", "timestamp", "labels", "fields"}

// known reports a name that is very near to one of the core's: a field that
// is really named so can be had as fields["…"].
func (c collector) known(n *ast.IdentifierNode) {
	name, rest, dotted := strings.Cut(n.Value, ".")
	if name == "labels" || name == "fields" {
		if !dotted {
			c.report(n, `is incomplete: write %s["name"]`, name)
		}
		return
	}
	if dotted && rest != "" || utf8.RuneCountInString(name) < 4 {
		return
	}
	for _, core := range coreNames {
		if name != core && near(name, core) {
			c.report(n, `there is no %s; did you mean %s? A field of this name is written fields[%q]`, name, core, name)
			return
		}
	}
}
