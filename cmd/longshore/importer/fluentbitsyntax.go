package importer

import (
	"path"
	"strings"
)

// parseFluentBit reads Fluent Bit's classic format into the tree that its YAML has.
func parseFluentBit(file, text string) *node {
	b := &fluentBuilder{root: &node{kind: mapKind, file: file, line: 1}, set: map[string]string{}}
	b.read(file, text)
	return b.root
}

type fluentBuilder struct {
	root  *node
	set   map[string]string // by @SET
	nodes int
}

// fluentLists are where sections of a kind stand in the tree.
var fluentLists = map[string][]string{
	"input": {"pipeline", "inputs"}, "filter": {"pipeline", "filters"}, "output": {"pipeline", "outputs"},
	"parser": {"parsers"}, "multiline_parser": {"multiline_parsers"}, "custom": {"customs"},
}

func (b *fluentBuilder) read(file, text string) {
	var section *node
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || b.nodes > maxNodes {
			continue
		}
		at := &node{file: file, line: i + 1}
		b.nodes++
		name, isHead := strings.CutPrefix(line, "[")
		if isHead && strings.HasSuffix(name, "]") {
			section = b.section(strings.ToLower(strings.TrimSuffix(name, "]")), at)
			continue
		}
		key, value := line, ""
		if cut := strings.IndexAny(line, " \t"); cut > 0 {
			key, value = line[:cut], strings.TrimSpace(line[cut:])
		}
		switch {
		case strings.EqualFold(key, "@set"):
			name, value, _ := strings.Cut(value, "=")
			b.set[strings.TrimSpace(name)] = strings.TrimSpace(value)
		case strings.EqualFold(key, "@include"):
			at.text = value
			b.root.entries = append(b.root.entries, entry{"@include", at})
		default:
			for name, text := range b.set {
				value = strings.ReplaceAll(value, "${"+name+"}", text)
			}
			at.text = value
			if section == nil {
				section = b.root
			}
			section.entries = append(section.entries, entry{strings.ToLower(key), at})
		}
	}
}

// section opens a section.
func (b *fluentBuilder) section(kind string, at *node) *node {
	at.kind = mapKind
	where := fluentLists[kind]
	if where == nil {
		b.root.entries = append(b.root.entries, entry{kind, at})
		return at
	}
	list := b.root
	for i, name := range where {
		next := list.get(name)
		if next == nil {
			next = &node{kind: mapKind, file: at.file, line: at.line}
			if i == len(where)-1 {
				next.kind = listKind
			}
			list.entries = append(list.entries, entry{name, next})
		}
		list = next
	}
	list.items = append(list.items, at)
	return at
}

// lowerKeys writes the names of all settings in lower case, as Fluent Bit does not mind.
func (n *node) lowerKeys() {
	for i := range n.entries {
		n.entries[i].name = strings.ToLower(n.entries[i].name)
		if n.entries[i].name != "env" { // variables' names are as they are
			n.entries[i].value.lowerKeys()
		}
	}
	for _, item := range n.items {
		item.lowerKeys()
	}
}

// maxIncludes bounds the files that one config includes.
const maxIncludes = 50

// fluentIncludes reads the files that a config names: others of the same kind, and parsers. What is
// not below the config's folder is not read, and told.
func (c *conversion) fluentIncludes() {
	for i := 0; i < maxIncludes; i++ {
		name := c.nextInclude()
		if name == nil {
			return
		}
		text, err := []byte(nil), error(nil)
		if strings.Contains(name.text, "*") || c.source.Include == nil {
			c.left(name, "is not read; convert each file by itself, or put its content here")
			continue
		}
		if text, err = c.source.Include(name.text); err != nil {
			if fluentOwnFiles[path.Base(name.text)] {
				c.skip(name, "the parsers that come with Fluent Bit are known")
				continue
			}
			c.left(name, "is not read, as only files below the config's folder are: %v", reason(err))
			continue
		}
		c.done(name)
		var more *node
		if fluentSection.Match(text) {
			more = parseFluentBit(name.text, string(text))
		} else if more, err = parseYAML(name.text, string(text)); err != nil {
			c.left(name, "is not read: %v", err)
			continue
		}
		more.lowerKeys()
		more.setPaths("")
		c.more = append(c.more, more)
	}
}

var fluentOwnFiles = map[string]bool{"parsers.conf": true, "plugins.conf": true, "parsers_multiline.conf": true}

// reason returns what an error says without the folder's path.
func reason(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, ": "); at >= 0 {
		return text[at+2:]
	}
	return text
}

// nextInclude returns an untouched name of a file to include.
func (c *conversion) nextInclude() *node {
	for _, root := range append([]*node{c.root}, c.more...) {
		names := root.all("@include")
		names = append(names, root.get("includes").list()...)
		for _, service := range root.all("service") {
			names = append(names, service.all("parsers_file")...)
		}
		for _, n := range names {
			for _, one := range n.list() {
				if one.fate == untouched && one.text != "" {
					return one
				}
			}
		}
	}
	return nil
}

// fluentAll returns the items of a list in the config and what it includes.
func (c *conversion) fluentAll(names ...string) (all []*node) {
	for _, root := range append([]*node{c.root}, c.more...) {
		at := root
		for _, name := range names {
			at = at.get(name)
		}
		all = append(all, at.list()...)
	}
	return all
}
