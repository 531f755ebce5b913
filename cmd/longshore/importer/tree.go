package importer

import (
	"slices"
	"strconv"
	"strings"
)

// Bounds on what is read; nobody's real config comes near.
const (
	MaxConfig = 4 << 20
	maxDepth  = 64
	maxNodes  = 100_000
)

type kind uint8

const (
	scalarKind kind = iota
	listKind
	mapKind
)

// fate is what became of a setting.
type fate uint8

const (
	untouched fate = iota
	converted
	unneeded
	left
)

// A node is one value of a foreign config.
type node struct {
	kind  kind
	file  string
	line  int
	path  string // as in scrape_configs[0].job_name
	label string // the name of a block, as in loki.write "default"
	text  string
	// expression is set for text that has references as Longshore writes them, of Alloy's env().
	expression bool
	ref        string  // what an expression of Alloy's refers to
	entries    []entry // of a map; a name may be there more than once in Fluent Bit's and Alloy's
	items      []*node
	fate       fate
	near       *section // what in the output notes about it stand beside
}

type entry struct {
	name  string
	value *node
}

// get returns the first value of this name, or nil.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.name == name {
			return e.value
		}
	}
	return nil
}

// at returns the value at a path of names, or nil. Filebeat also takes names with dots in them as
// paths, so both forms are found.
func (n *node) at(path string) *node {
	if n == nil || path == "" {
		return n
	}
	for _, e := range n.entries {
		if e.name == path {
			return e.value
		}
		if rest, ok := strings.CutPrefix(path, e.name+"."); ok {
			if found := e.value.at(rest); found != nil {
				return found
			}
		}
	}
	return nil
}

// all returns all values of this name.
func (n *node) all(name string) (found []*node) {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.name == name {
			found = append(found, e.value)
		}
	}
	return found
}

// list returns the items of a list; a single value is a list of one.
func (n *node) list() []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == listKind:
		return n.items
	case n.kind == scalarKind && n.text == "" && n.ref == "":
		return nil
	}
	return []*node{n}
}

// size returns the number of nodes of a tree.
func (n *node) size() int {
	total := 1
	for _, item := range n.items {
		total += item.size()
	}
	for _, e := range n.entries {
		total += e.value.size()
	}
	return total
}

// maps returns the entries of a map, or none.
func (n *node) maps() []entry {
	if n == nil {
		return nil
	}
	return n.entries
}

// has reports whether a map has a name.
func (n *node) has(name string) bool { return n.get(name) != nil }

// leaves calls do for every setting below a node: its values, and empty lists and maps.
func (n *node) leaves(do func(*node)) {
	if n == nil {
		return
	}
	if len(n.items)+len(n.entries) == 0 {
		do(n)
		return
	}
	for _, item := range n.items {
		item.leaves(do)
	}
	for _, e := range n.entries {
		e.value.leaves(do)
	}
}

// anyUntouched reports whether there is a setting below a node that nothing was done about.
func (n *node) anyUntouched() (any bool) {
	n.leaves(func(leaf *node) { any = any || leaf.fate == untouched })
	return any
}

// mark gives all untouched settings below a node a fate.
func (n *node) mark(f fate) {
	n.leaves(func(leaf *node) {
		if leaf.fate == untouched {
			leaf.fate = f
		}
	})
}

// remark gives all settings below a node a fate, whatever they had.
func (n *node) remark(f fate) { n.leaves(func(leaf *node) { leaf.fate = f }) }

// raw returns a scalar's text as it stands in the config.
func (n *node) raw() string {
	if n == nil {
		return ""
	}
	return n.text
}

// isTrue reports whether a scalar says yes.
func (n *node) isTrue() bool {
	return n != nil && slices.Contains([]string{"true", "on", "yes", "1"}, strings.ToLower(n.text))
}

// isFalse reports whether a scalar says no.
func (n *node) isFalse() bool {
	return n != nil && slices.Contains([]string{"false", "off", "no", "0"}, strings.ToLower(n.text))
}

// number returns a scalar as a whole number.
func (n *node) number() (int64, bool) {
	v, err := strconv.ParseInt(strings.ReplaceAll(n.raw(), "_", ""), 10, 64)
	return v, err == nil
}

// setPaths writes the paths of all nodes below n.
func (n *node) setPaths(path string) {
	n.path = path
	for i, item := range n.items {
		item.setPaths(path + "[" + strconv.Itoa(i) + "]")
	}
	for _, e := range n.entries {
		name := e.name
		if path != "" {
			name = path + "." + name
		}
		if e.value.label != "" {
			name += ` "` + e.value.label + `"`
		}
		e.value.setPaths(name)
	}
}

// undot writes names with dots in them, such as output.elasticsearch.hosts, as maps within maps,
// for the settings that Filebeat reads so. Below fields and the like names are the user's own.
func (n *node) undot(depth int) {
	if depth > maxDepth {
		return
	}
	old := n.entries
	n.entries = nil
	for _, e := range old {
		head, rest, dotted := strings.Cut(e.name, ".")
		if !dotted || depth > 3 || slices.Contains([]string{"var", "docker", "container", "log", "host"}, head) {
			n.entries = append(n.entries, e)
			continue
		}
		below := n.get(head)
		if below == nil || below.kind != mapKind {
			below = &node{kind: mapKind, file: e.value.file, line: e.value.line}
			n.entries = append(n.entries, entry{head, below})
		}
		below.entries = append(below.entries, entry{rest, e.value})
	}
	for _, e := range n.entries {
		if !slices.Contains([]string{"fields", "when", "condition", "headers", "labels"}, e.name) {
			e.value.undot(depth + 1)
		}
	}
	for _, item := range n.items {
		item.undot(depth + 1)
	}
}
