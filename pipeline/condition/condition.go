// Package condition decides whether a rule is for a record, by an expression in
// the language of expr-lang.org over the record's names:
//
//	message, service, trace_id, span_id   texts
//	level                                 a name from trace to fatal; orders as levels do
//	timestamp                             a time; also compares with texts in RFC 3339
//	labels["container.name"]              a label of the record's source
//	fields["a.b"], a.b, name              a field, or what is at that path in one
//
// What a record does not have is nil. Comparing is forgiving: with nil, or with what is of another
// kind, it gives false (!= gives true), and a text that is a number compares as one with numbers.
// Where a level is compared by order, a record without one counts as info. An expression that fails
// on a record (lower(nil)) does not hold for it.
package condition

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/longshore/longshore/pipeline/event"
)

// A Condition is a compiled expression. It may be used concurrently.
type Condition struct {
	fast    test // nil where the expression is none of the common shapes
	program *vm.Program
	names   []reference
	runners sync.Pool
}

// An Error is what is wrong in an expression.
type Error struct {
	Message string
	// Line and Column count from 1, columns in characters; 0 is the whole.
	Line, Column int
}

func (e *Error) Error() string { return e.Message }

// maxNodes bounds an expression.
const maxNodes = 2000

// Compile reads an expression. The error is an *Error.
func Compile(text string) (*Condition, error) {
	r := &rewriter{calls: map[string]bool{}}
	options := append([]expr.Option{
		expr.Env(map[string]any{}), expr.AllowUndefinedVariables(), expr.MaxNodes(maxNodes),
		expr.Optimize(false), expr.AsBool(), expr.Timezone("UTC"), expr.Patch(r),
	}, functions(r.calls)...)
	program, err := expr.Compile(text, options...)
	if r.problem != nil {
		return nil, r.problem.locate(text)
	}
	if err == nil {
		if err := r.finish(); err != nil {
			return nil, err.locate(text)
		}
	}
	if err != nil {
		return nil, inOurWords(err)
	}
	c := &Condition{program: program, fast: fastTest(r.root)}
	for name := range r.names {
		c.names = append(c.names, referenceTo(name))
	}
	c.runners.New = func() any { return &runner{env: map[string]any{}} }
	return c, nil
}

func inOurWords(err error) *Error {
	if kind, ok := strings.CutPrefix(err.Error(), "expected bool, but got "); ok {
		return &Error{Message: "is never true or false, but of the kind " + kind + "; compare it with something"}
	}
	var found *file.Error
	if !errors.As(err, &found) {
		return &Error{Message: fmt.Sprintf("is no expression: %v", err)}
	}
	message := "is no expression: " + found.Message
	if strings.HasSuffix(found.Message, `Operator("=")`) {
		message = "is no expression: = sets nothing here; compare with =="
	}
	return &Error{Message: message, Line: found.Line, Column: found.Column + 1}
}

// Holds reports whether the expression is true for record i.
func (c *Condition) Holds(b *event.Batch, i int) bool {
	if c.fast != nil {
		return c.fast.holds(b, i)
	}
	return c.run(b, i)
}

// A runner has what one run of a program needs.
type runner struct {
	machine vm.VM
	env     map[string]any
}

func (c *Condition) run(b *event.Batch, i int) bool {
	r := c.runners.Get().(*runner)
	defer c.runners.Put(r)
	for _, name := range c.names {
		r.env[name.written] = name.value(b, i)
	}
	result, err := r.machine.Run(c.program, r.env)
	return err == nil && truth(operandOf(result))
}
