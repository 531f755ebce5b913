package condition

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"time"
)

// kind is what an operand is.
type kind uint8

const (
	isNil kind = iota
	isText
	isInt
	isFloat
	isBool
	isTime
	isJSON // a list or an object, in text
)

// An operand is one side of a comparison.
type operand struct {
	kind  kind
	yes   bool
	int   int
	float float64
	text  []byte
	time  time.Time
}

// operandOf takes what the virtual machine has.
func operandOf(v any) operand {
	switch v := v.(type) {
	case nil:
		return operand{}
	case string:
		return operand{kind: isText, text: []byte(v)}
	case bool:
		return operand{kind: isBool, yes: v}
	case int:
		return operand{kind: isInt, int: v}
	case float64:
		return operand{kind: isFloat, float: v}
	case time.Time:
		return operand{kind: isTime, time: v}
	}
	if n := reflect.ValueOf(v); n.CanInt() {
		return operand{kind: isInt, int: int(n.Int())}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return operand{}
	}
	return operand{kind: isJSON, text: text}
}

// number returns an operand as a number: a text that is one counts.
func (o *operand) number() (operand, bool) {
	switch o.kind {
	case isInt, isFloat:
		return *o, true
	case isText:
		return numberIn(o.text)
	}
	return operand{}, false
}

// numberIn reads a number as JSON writes them: no infinities, no hex digits.
func numberIn(p []byte) (operand, bool) {
	if len(p) == 0 || len(p) > 40 || p[0] != '-' && (p[0] < '0' || p[0] > '9') {
		return operand{}, false
	}
	whole := true
	for _, c := range p[1:] {
		if c >= '0' && c <= '9' {
			continue
		}
		if c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
			return operand{}, false
		}
		whole = false
	}
	if whole {
		if n, err := strconv.Atoi(string(p)); err == nil {
			return operand{kind: isInt, int: n}, true
		}
	}
	n, err := strconv.ParseFloat(string(p), 64)
	return operand{kind: isFloat, float: n}, err == nil
}

func (o *operand) asFloat() float64 {
	if o.kind == isInt {
		return float64(o.int)
	}
	return o.float
}

// order compares two operands; ok is false where they cannot be.
func order(a, b *operand) (by int, ok bool) {
	switch {
	case a.kind == isText && b.kind == isText:
		return bytes.Compare(a.text, b.text), true
	case a.kind == isTime || b.kind == isTime:
		return orderTimes(a, b)
	}
	m, ok := a.number()
	if !ok {
		return 0, false
	}
	n, ok := b.number()
	if !ok {
		return 0, false
	}
	if m.kind == isInt && n.kind == isInt {
		return sign(m.int > n.int, m.int < n.int), true
	}
	x, y := m.asFloat(), n.asFloat()
	return sign(x > y, x < y), x == x && y == y
}

func sign(more, less bool) int {
	switch {
	case more:
		return 1
	case less:
		return -1
	}
	return 0
}

func orderTimes(a, b *operand) (int, bool) {
	s, ok := a.asTime()
	if !ok {
		return 0, false
	}
	t, ok := b.asTime()
	return s.Compare(t), ok
}

func (o *operand) asTime() (time.Time, bool) {
	switch o.kind {
	case isTime:
		return o.time, true
	case isText:
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
			if t, err := time.Parse(layout, string(o.text)); err == nil {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

func equal(a, b *operand) bool {
	switch {
	case a.kind == isNil || b.kind == isNil:
		return a.kind == b.kind
	case a.kind == isBool || b.kind == isBool:
		x, ok := a.asBool()
		y, ok2 := b.asBool()
		return ok && ok2 && x == y
	case a.kind == isJSON || b.kind == isJSON:
		return a.kind == b.kind && reflect.DeepEqual(a.decoded(), b.decoded())
	}
	by, ok := order(a, b)
	return ok && by == 0
}

// asBool returns an operand as true or false: the texts true and false count.
func (o *operand) asBool() (value, ok bool) {
	switch {
	case o.kind == isBool:
		return o.yes, true
	case o.kind == isText && string(o.text) == "true":
		return true, true
	case o.kind == isText && string(o.text) == "false":
		return false, true
	}
	return false, false
}

// truth is what an operand says where a condition stands.
func truth(o operand) bool {
	yes, ok := o.asBool()
	return yes && ok
}

// asText returns an operand as text, in room if it is not text itself.
func (o *operand) asText(room []byte) ([]byte, bool) {
	switch o.kind {
	case isText:
		return o.text, true
	case isInt:
		return strconv.AppendInt(room, int64(o.int), 10), true
	case isFloat:
		return strconv.AppendFloat(room, o.float, 'g', -1, 64), true
	case isBool:
		return strconv.AppendBool(room, o.yes), true
	}
	return nil, false
}

// in reports whether b has a in it: as an element of a list, as a part of a text, as
// a name of an object.
func in(a, b *operand) bool {
	if b.kind == isText {
		return overTexts(contains, b, a)
	}
	switch list := b.decoded().(type) {
	case []any:
		for _, v := range list {
			if element := operandOf(v); equal(a, &element) {
				return true
			}
		}
	case map[string]any:
		if name, ok := a.asText(nil); ok {
			_, has := list[string(name)]
			return has
		}
	}
	return false
}

// decoded returns what a list or an object holds; nil for all else.
func (o *operand) decoded() any {
	if o.kind != isJSON {
		return nil
	}
	var v any
	if json.Unmarshal(bytes.Clone(o.text), &v) != nil { // a clone: o.text may be on the stack
		return nil
	}
	return v
}

// An operator compares two operands.
type operator uint8

const (
	equals operator = 1 + iota
	differs
	less
	atMost
	more
	atLeast
	isIn
	contains
	startsWith
	endsWith
)

// operators are those of the language that this package does itself.
var operators = map[string]operator{
	"==": equals, "!=": differs, "<": less, "<=": atMost, ">": more, ">=": atLeast,
	"in": isIn, "contains": contains, "startsWith": startsWith, "endsWith": endsWith,
}

// holds does not keep its operands: they may be on the stack.
func (op operator) holds(a, b *operand) bool {
	switch op {
	case equals:
		return equal(a, b)
	case differs:
		return !equal(a, b)
	case isIn:
		return in(a, b)
	case contains, startsWith, endsWith:
		return overTexts(op, a, b)
	}
	by, ok := order(a, b)
	return ok && op.ordered(by)
}

// ordered reports whether an operator up to atLeast holds for two operands of that order.
func (op operator) ordered(by int) bool {
	switch op {
	case equals:
		return by == 0
	case differs:
		return by != 0
	case less:
		return by < 0
	case atMost:
		return by <= 0
	case more:
		return by > 0
	}
	return by >= 0
}

// overTexts returns false for what has no text.
func overTexts(op operator, a, b *operand) bool {
	var room [2][32]byte
	s, ok := a.asText(room[0][:0])
	if !ok {
		return false
	}
	t, ok := b.asText(room[1][:0])
	if !ok {
		return false
	}
	return op.within(s, t)
}

// within reports whether an operator from contains on holds for two texts.
func (op operator) within(s, t []byte) bool {
	switch op {
	case startsWith:
		return bytes.HasPrefix(s, t)
	case endsWith:
		return bytes.HasSuffix(s, t)
	}
	return bytes.Contains(s, t)
}
