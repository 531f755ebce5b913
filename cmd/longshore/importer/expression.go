package importer

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An expression reads the conditions of VRL (Vector), OTTL and the Collector's operators, as far as
// Longshore's conditions say the same: names compared with constants, joined by and, or and not.
type expression struct {
	words []string
	depth int
	// name returns the record's name of a path.
	name func(path string) (string, error)
	c    *conversion
}

var expressionWord = regexp.MustCompile(`^(?:r'(?:[^'\\]|\\.)*'|s'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|` +
	`'(?:[^'\\]|\\.)*'|` + "`[^`]*`" +
	`|==|!=|<=|>=|=~|&&|\|\||\?\?|[<>!()\[\],=]|-?\d+(?:\.\d+)?|` +
	`\.?[A-Za-z_@][\w@]*(?:\.(?:[\w@]+|"[^"]*"))*(?:\[(?:"[^"]*"|'[^']*')\])*!?|\."[^"]*"|\.)`)

var errExpression = errors.New("only names compared with constants, joined by and, or and not, are converted; " +
	"write a " +
	"condition by hand")

// condition translates a condition, or says why it cannot.
func (c *conversion) condition(source string, name func(string) (string, error)) (string, error) {
	e := &expression{name: name, c: c}
	for rest := strings.TrimSpace(source); rest != ""; rest = strings.TrimSpace(rest) {
		word := expressionWord.FindString(rest)
		if word == "" || len(e.words) > 2000 {
			return "", errExpression
		}
		e.words = append(e.words, word)
		rest = rest[len(word):]
	}
	cond, err := e.or()
	if err == nil && len(e.words) > 0 {
		err = errExpression
	}
	return cond, err
}

func (e *expression) next() string {
	if len(e.words) == 0 {
		return ""
	}
	return e.words[0]
}

func (e *expression) take() string {
	word := e.next()
	if word != "" {
		e.words = e.words[1:]
	}
	return word
}

func (e *expression) or() (string, error) { return e.joined(e.and, "or", "||", "or") }

func (e *expression) and() (string, error) { return e.joined(e.not, "and", "&&", "and") }

func (e *expression) joined(inner func() (string, error), as string, signs ...string) (string, error) {
	left, err := inner()
	for err == nil && (e.next() == signs[0] || e.next() == signs[1]) {
		e.take()
		var right string
		right, err = inner()
		left = group(left, as) + " " + as + " " + group(right, as)
	}
	return left, err
}

// group puts parentheses around a part that is joined by or within and.
func group(cond, as string) string {
	if as == "and" && strings.Contains(cond, " or ") && !strings.HasPrefix(cond, "(") {
		return "(" + cond + ")"
	}
	return cond
}

func (e *expression) not() (string, error) {
	if e.next() == "!" || e.next() == "not" {
		e.take()
		if e.depth++; e.depth > maxDepth {
			return "", errExpression
		}
		inner, err := e.not()
		return "not (" + inner + ")", err
	}
	return e.comparison()
}

// A value is one side of a comparison.
type value struct {
	name, text string
	constant   bool // text is one
	list       []string
	cond       string
}

func (e *expression) comparison() (string, error) {
	left, err := e.value()
	if err != nil {
		return "", err
	}
	op := e.next()
	switch op {
	case "==", "!=", "<", "<=", ">", ">=", "=~", "matches", "contains", "startsWith", "endsWith", "in":
		e.take()
	default:
		if left.cond != "" {
			return left.cond, nil
		}
		if left.name != "" {
			return operand(left.name) + " == true", nil
		}
		return "", errExpression
	}
	right, err := e.value()
	if err != nil {
		return "", err
	}
	return e.compare(left, op, right)
}

func (e *expression) compare(left value, op string, right value) (string, error) {
	if left.constant && right.name != "" {
		flipped := map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
		if flipped[op] == "" {
			return "", errExpression
		}
		left, right, op = right, left, flipped[op]
	}
	switch {
	case left.name == "" || right.name != "" || right.cond != "":
		return "", errExpression
	case op == "in":
		return e.oneOf(left.name, right.list)
	case !right.constant:
		return "", errExpression
	case op == "matches" || op == "=~":
		return e.match(left.name, right.text)
	case op == "contains" || op == "startsWith" || op == "endsWith":
		return operand(left.name) + " " + op + " " + text(e.c.escape(right.text)), nil
	case right.list != nil: // a number, true, false or nil
		return operand(left.name) + " " + op + " " + right.text, nil
	}
	return compare(left.name, op, e.c.escape(right.text)), nil
}

func (e *expression) match(name, pattern string) (string, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return "", fmt.Errorf("the regular expression is not in Go's (RE2) syntax: %w", err)
	}
	return matches(name, e.c.escape(pattern)), nil
}

func (e *expression) oneOf(name string, list []string) (string, error) {
	if len(list) == 0 {
		return "", errExpression
	}
	var quoted []string
	for _, item := range list {
		if name == "level" {
			item = levelOf(item)
		}
		quoted = append(quoted, text(e.c.escape(item)))
	}
	return operand(name) + " in [" + strings.Join(quoted, ", ") + "]", nil
}

var isNumber = []string{} // marks constants that need no quotes

func (e *expression) value() (value, error) {
	if e.depth++; e.depth > 500 {
		return value{}, errExpression
	}
	word := e.take()
	switch {
	case word == "":
		return value{}, errExpression
	case word == "(":
		inner, err := e.or()
		if err == nil && e.take() != ")" {
			err = errExpression
		}
		return value{cond: "(" + inner + ")"}, err
	case word == "[":
		return e.list()
	case word == "true" || word == "false":
		return value{text: word, constant: true, list: isNumber}, nil
	case word == "null" || word == "nil":
		return value{text: "nil", constant: true, list: isNumber}, nil
	case number.MatchString(strings.TrimPrefix(word, "-")):
		return value{text: word, constant: true, list: isNumber}, nil
	case strings.HasPrefix(word, "SEVERITY_NUMBER_"):
		return value{text: levelOf(strings.TrimRight(strings.TrimPrefix(word, "SEVERITY_NUMBER_"), "234")),
			constant: true}, nil
	}
	if s, ok := unquoted(word); ok {
		return value{text: s, constant: true}, nil
	}
	if e.next() == "(" {
		return e.call(strings.TrimSuffix(word, "!"))
	}
	name, err := e.name(word)
	return value{name: name}, err
}

func (e *expression) list() (value, error) {
	var v value
	for e.next() != "]" {
		s, ok := unquoted(e.take())
		if !ok {
			return v, errExpression
		}
		v.list = append(v.list, s)
		if e.next() == "," {
			e.take()
		}
	}
	e.take()
	return v, nil
}

// unquoted returns the text of a quoted word.
func unquoted(word string) (string, bool) {
	switch {
	case len(word) < 2:
		return "", false
	case strings.HasPrefix(word, "r'"), strings.HasPrefix(word, "s'"):
		return strings.ReplaceAll(word[2:len(word)-1], `\'`, "'"), true
	case word[0] == '\'', word[0] == '`':
		return word[1 : len(word)-1], true
	case word[0] == '"':
		if s, err := strconv.Unquote(word); err == nil {
			return s, true
		}
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(word[1 : len(word)-1]), true
	}
	return "", false
}

// call reads a function's arguments, and returns what it is about.
func (e *expression) call(function string) (value, error) {
	e.take() // the parenthesis
	var args []value
	for e.next() != ")" {
		arg, err := e.argument()
		if err != nil {
			return arg, err
		}
		args = append(args, arg)
		if e.next() == "," {
			e.take()
		}
	}
	e.take()
	if e.next() == "??" { // VRL: what it is when that fails
		e.take()
		if _, err := e.value(); err != nil {
			return value{}, err
		}
	}
	if len(args) == 0 {
		return value{}, errExpression
	}
	two := len(args) > 1 && args[0].name != "" && args[1].constant
	var cond string
	err := errExpression
	switch function {
	case "string", "to_string", "downcase", "upcase", "int", "to_int", "float", "to_float", "Int", "String",
		"ToLowerCase",
		"strip_whitespace", "Double":
		return args[0], nil
	case "exists":
		return value{cond: operand(args[0].name) + " != nil"}, nil
	case "is_null", "is_nullish":
		return value{cond: operand(args[0].name) + " == nil"}, nil
	case "match", "IsMatch":
		if two {
			cond, err = e.match(args[0].name, args[1].text)
		}
	case "contains", "starts_with", "ends_with", "HasPrefix", "HasSuffix":
		op := map[string]string{"contains": "contains", "starts_with": "startsWith", "ends_with": "endsWith",
			"HasPrefix": "startsWith", "HasSuffix": "endsWith"}[function]
		if two {
			cond, err = e.compare(args[0], op, args[1])
		}
	case "includes":
		if len(args) == 2 && args[1].name != "" {
			cond, err = e.oneOf(args[1].name, args[0].list)
		}
	}
	return value{cond: cond}, err
}

// argument reads one argument, which may be named in VRL.
func (e *expression) argument() (value, error) {
	if e.next() == "" {
		return value{}, errExpression
	}
	return e.value()
}
