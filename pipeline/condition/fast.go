package condition

import (
	"cmp"
	"regexp"

	"github.com/expr-lang/expr/ast"

	"github.com/longshore/longshore/pipeline/event"
)

// A test is an expression of a common shape, which needs no virtual machine: a
// name compared with a constant, and these joined by and, or and not.
type test interface {
	holds(b *event.Batch, i int) bool
}

type (
	constant bool
	not      struct{ test }
	both     struct{ left, right test }
	either   struct{ left, right test }
	// compare holds a name against a constant; turned says that the name is on the right.
	compare struct {
		is     operator
		name   reference
		with   operand
		turned bool
	}
	// compareInt is compare for a field and a whole number.
	compareInt struct {
		compare
		with int
	}
	// inMessage is compare for the message and a text that is in it.
	inMessage struct{ compare }
	// levelIs compares a record's level by order.
	levelIs struct {
		is   operator
		with event.Level
	}
	oneOf struct {
		name reference
		list []operand
	}
	matching struct {
		name    reference
		pattern *regexp.Regexp
	}
	truthOf struct{ name reference }
)

// roomSize is for values that must be copied to be compared; longer ones are put on the heap.
const roomSize = 128

func (c constant) holds(*event.Batch, int) bool { return bool(c) }

func (n not) holds(b *event.Batch, i int) bool { return !n.test.holds(b, i) }

func (t both) holds(b *event.Batch, i int) bool { return t.left.holds(b, i) && t.right.holds(b, i) }

func (t either) holds(b *event.Batch, i int) bool { return t.left.holds(b, i) || t.right.holds(b, i) }

func (c *compare) holds(b *event.Batch, i int) bool {
	var room [roomSize]byte
	value := c.name.load(b, i, room[:0])
	if c.turned {
		return c.is.holds(&c.with, &value)
	}
	return c.is.holds(&value, &c.with)
}

func (c *compareInt) holds(b *event.Batch, i int) bool {
	v := b.Lookup(i, c.name.name)
	if v.Kind == event.Number || v.Kind == event.Plain {
		if n, ok := digits(b.Bytes(v.Span)); ok {
			if c.turned {
				return c.is.ordered(cmp.Compare(c.with, n))
			}
			return c.is.ordered(cmp.Compare(n, c.with))
		}
	}
	return c.compare.holds(b, i)
}

func (c *inMessage) holds(b *event.Batch, i int) bool {
	if v := b.MessageOf(i); v.Kind != event.Escaped {
		return c.is.within(b.Bytes(v.Span), c.with.text)
	}
	return c.compare.holds(b, i)
}

// digits reads a number that has digits only, few enough for any int.
func digits(p []byte) (n int, ok bool) {
	if len(p) == 0 || len(p) > 9 {
		return 0, false
	}
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

func (t levelIs) holds(b *event.Batch, i int) bool {
	level := orInfo(b.Records[i].Level)
	switch t.is {
	case less:
		return level < t.with
	case atMost:
		return level <= t.with
	case more:
		return level > t.with
	}
	return level >= t.with
}

func (t *oneOf) holds(b *event.Batch, i int) bool {
	var room [roomSize]byte
	value := t.name.load(b, i, room[:0])
	for k := range t.list {
		if equal(&value, &t.list[k]) {
			return true
		}
	}
	return false
}

func (t *matching) holds(b *event.Batch, i int) bool {
	value := t.name.load(b, i, nil)
	text, ok := value.asText(nil)
	return ok && t.pattern.Match(text)
}

func (t *truthOf) holds(b *event.Batch, i int) bool {
	var room [roomSize]byte
	return truth(t.name.load(b, i, room[:0]))
}

// fastTest returns the test that an expression amounts to, or nil.
func fastTest(n ast.Node) test {
	switch n := n.(type) {
	case *ast.BoolNode:
		return constant(n.Value)
	case *ast.IdentifierNode:
		return &truthOf{referenceTo(n.Value)}
	case *ast.UnaryNode:
		if inner := fastTest(n.Node); inner != nil && (n.Operator == "not" || n.Operator == "!") {
			return not{inner}
		}
	case *ast.BinaryNode:
		return fastBinary(n)
	case *ast.CallNode:
		return fastCall(n)
	}
	return nil
}

func fastBinary(n *ast.BinaryNode) test {
	left, right := fastTest(n.Left), fastTest(n.Right)
	if left == nil || right == nil {
		return nil
	}
	switch n.Operator {
	case "and", "&&":
		return both{left, right}
	case "or", "||":
		return either{left, right}
	}
	return nil
}

func fastCall(n *ast.CallNode) test {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return nil
	}
	switch {
	case callee.Value == truthful:
		return fastTest(n.Arguments[0])
	case callee.Value == matches:
		if name, ok := n.Arguments[0].(*ast.IdentifierNode); ok {
			return &matching{referenceTo(name.Value), n.Arguments[1].(*ast.ConstantNode).Value.(*regexp.Regexp)}
		}
	case operators[callee.Value] != 0:
		return fastCompare(callee.Value, n.Arguments[0], n.Arguments[1])
	}
	return nil
}

func fastCompare(operator string, left, right ast.Node) test {
	if name, ok := left.(*ast.IdentifierNode); ok {
		if list, ok := right.(*ast.ArrayNode); ok && operator == "in" {
			return fastOneOf(name, list)
		}
		if with, ok := constantOf(right); ok {
			if name.Value == levelOrder {
				return levelIs{operators[operator], event.Level(with.int)}
			}
			return newCompare(compare{is: operators[operator], name: referenceTo(name.Value), with: with})
		}
	}
	if name, ok := right.(*ast.IdentifierNode); ok {
		if with, ok := constantOf(left); ok {
			return newCompare(compare{is: operators[operator], name: referenceTo(name.Value), with: with, turned: true})
		}
	}
	return nil
}

func newCompare(c compare) test {
	switch {
	case c.name.part == field && c.with.kind == isInt && c.is <= atLeast:
		return &compareInt{c, c.with.int}
	case c.name.part == message && c.with.kind == isText && c.is >= contains && !c.turned:
		return &inMessage{c}
	}
	return &c
}

func fastOneOf(name *ast.IdentifierNode, list *ast.ArrayNode) test {
	t := &oneOf{name: referenceTo(name.Value)}
	for _, n := range list.Nodes {
		o, ok := constantOf(n)
		if !ok {
			return nil
		}
		t.list = append(t.list, o)
	}
	return t
}

func constantOf(n ast.Node) (operand, bool) {
	switch n := n.(type) {
	case *ast.NilNode:
		return operand{}, true
	case *ast.StringNode:
		return operandOf(n.Value), true
	case *ast.IntegerNode:
		return operandOf(n.Value), true
	case *ast.FloatNode:
		return operandOf(n.Value), true
	case *ast.BoolNode:
		return operandOf(n.Value), true
	case *ast.UnaryNode:
		if inner, ok := n.Node.(*ast.IntegerNode); ok && n.Operator == "-" {
			return operandOf(-inner.Value), true
		}
	}
	return operand{}, false
}
