package config

import (
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// check reports what a component finds wrong with its own settings. When
// there were problems before (clean is false), only what concerns settings that
// are there and right is worth telling: the rest may be a consequence.
func (d *decoder) check(settings any, n *node, path string, clean bool) {
	if checker, ok := settings.(pipeline.Checker); ok {
		for _, p := range checker.Check() {
			found, exact := n.find(p.Path)
			if !clean && (!exact || found.anyBroken()) {
				continue
			}
			d.problems.add(d.placeOf(p, found, exact), pathOf(path, p), "%s", p.Message)
			found.broken = found.broken || exact
		}
	}
	if warner, ok := settings.(pipeline.Warner); ok && clean {
		for _, p := range warner.Warnings() {
			found, exact := n.find(p.Path)
			d.problems.warn(d.placeOf(p, found, exact), pathOf(path, p), "%s", p.Message)
		}
	}
}

func pathOf(component string, p pipeline.Problem) string {
	if p.Path == "" {
		return component
	}
	return child(component, p.Path)
}

// placeOf returns where in the file a problem is, which is about a node or, if that is not exact,
// something missing in it.
func (d *decoder) placeOf(p pipeline.Problem, found *node, exact bool) span {
	at := found.at
	if found.name.line > 0 && (!exact || found.kind == mappingKind) {
		at = found.name
	}
	return within(d.problems.source, at, found, p.Column)
}

// within returns the place of a column of a node's text, where the text stands in
// the file as it is.
func within(s *source, at span, n *node, column int) span {
	if column < 1 || n.kind != scalarKind || n.at != at || at.line < 1 || at.line > len(s.lines) {
		return at
	}
	line := []rune(s.lines[at.line-1])
	for _, start := range []int{at.col, at.col + 1} { // behind a quote
		if from := min(start-1, len(line)); strings.HasPrefix(string(line[from:]), n.text) {
			at.col = start + column - 1
			at.endLine, at.endCol = at.line, at.col+1
			return at
		}
	}
	return at
}

// find returns the node at a path such as tls.ca_file or urls[1], or the last one
// on the way there. Names may themselves have dots in them.
func (n *node) find(path string) (found *node, exact bool) {
	if path == "" {
		return n, true
	}
	if strings.HasPrefix(path, "[") {
		return n.findItem(path)
	}
	found = n
	for _, e := range n.entries {
		rest, ok := strings.CutPrefix(path, e.name)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
			continue
		}
		deeper, exact := e.value.find(strings.TrimPrefix(rest, "."))
		if exact {
			return deeper, true
		}
		if found == n {
			found = deeper
		}
	}
	return found, false
}

func (n *node) findItem(path string) (*node, bool) {
	number, rest, _ := strings.Cut(path[1:], "]")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(n.items) {
		return n, false
	}
	return n.items[i].find(strings.TrimPrefix(rest, "."))
}
