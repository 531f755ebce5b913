package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A decoder puts nodes into config structs and reports all that does not fit.
type decoder struct {
	problems *problemList
}

// report reports a problem, and makes it the only one of its node.
func (d *decoder) report(n *node, path, format string, args ...any) {
	if !n.broken {
		d.problems.add(n.at, path, format, args...)
	}
	n.broken = true
}

// structs fills the structs whose settings stand side by side in a mapping: a component's own and
// those common to its kind. A nil node leaves the defaults.
func (d *decoder) structs(n *node, path string, targets ...reflect.Value) {
	d.settings(n, path, settingsOfAll(targets))
}

// componentSettings fills the settings of a component.
func (d *decoder) componentSettings(n *node, path string, c *component) {
	settings := settingsOfAll(c.targets())
	for i := range settings {
		settings[i].setting = settings[i].withDefault(c.spec)
	}
	d.settings(n, path, settings)
}

func (d *decoder) settings(n *node, path string, settings []bound) {
	for _, s := range settings {
		setDefaults(s)
	}
	if n == nil || !d.isKind(n, path, mappingKind, "settings (name: value)") {
		return
	}
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.name
		d.renamed(n, path, s.setting)
	}
	misspelt := d.unknown(n, path, names)
	for _, s := range settings {
		d.setting(n, path, s, misspelt[s.name])
	}
}

// setting reads one setting. One that is there under a misspelt name is not missing.
func (d *decoder) setting(parent *node, path string, s bound, misspelt bool) {
	e, given := parent.entry(s.name)
	path = child(path, s.name)
	switch {
	case given:
		d.value(s.field, e.value, &s.setting, path)
		if s.required && empty(s.field) {
			d.report(e.value, path, "must not be empty: %s", lowerFirst(s.doc))
		}
	case s.required && s.field.IsZero() && !misspelt:
		d.problems.add(parent.name, path, "is missing: %s", lowerFirst(s.doc))
	}
}

// renamed makes an entry under a setting's former name one of its name.
func (d *decoder) renamed(n *node, path string, s setting) {
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.name == s.formerly })
	if s.formerly == "" || i < 0 {
		return
	}
	old := n.entries[i]
	if _, both := n.entry(s.name); both {
		d.problems.add(old.key, child(path, old.name),
			"is the old name of %q, which is set as well; remove one of them", s.name)
		n.entries = slices.Delete(n.entries, i, i+1)
		return
	}
	d.problems.deprecated(old.key, child(path, old.name), old.name, s.name)
	n.entries[i].name = s.name
}

// unknown reports settings that are not there, and returns the names that were
// probably meant. At the top, names that start with x- are free, for anchors.
func (d *decoder) unknown(n *node, path string, known []string) map[string]bool {
	meantToBe := map[string]bool{}
	for _, e := range n.entries {
		if slices.Contains(known, e.name) || path == "" && strings.HasPrefix(e.name, "x-") {
			continue
		}
		d.problems.add(e.key, child(path, e.name), "there is no such setting%s", meant(e.name, known))
		meantToBe[nearest(e.name, known)] = true
		e.value.broken = true
	}
	return meantToBe
}

// switches are the words that switch something on or off.
var switches = map[string]bool{"on": true, "true": true, "off": false, "false": false}

// isSwitch reports whether the settings of a type may be a single word instead, on or off.
func isSwitch(t reflect.Type) bool {
	return t == reflect.TypeFor[Recent]() || t == reflect.TypeFor[Watch]()
}

// sampleOf is the first setting of a type as it could be written.
func sampleOf(t reflect.Type) string {
	first := settingsOf(t)[0]
	return first.name + ": " + first.defaultText
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return false
}

// value puts a node into v.
func (d *decoder) value(v reflect.Value, n *node, s *setting, path string) {
	if n.broken {
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[skipField]():
	case isSwitch(v.Type()) && n.kind == scalarKind:
		if _, known := switches[strings.ToLower(n.text)]; !known {
			d.report(n, path, "%s is neither on nor off, nor a map such as {%s}", d.quote(n, s), sampleOf(v.Type()))
		}
	case v.Kind() == reflect.Struct:
		d.structs(n, path, v)
	case v.Kind() == reflect.Slice:
		d.slice(v, n, s, path)
	case v.Kind() == reflect.Map:
		d.stringMap(v, n, s, path)
	default:
		d.scalar(v, n, s, path)
	}
}

func (d *decoder) slice(v reflect.Value, n *node, s *setting, path string) {
	if n.kind == scalarKind {
		d.report(n, path, "must be a list; put [ ] around it")
		return
	}
	if !d.isKind(n, path, listKind, "a list") {
		return
	}
	if len(n.items) == 0 {
		d.report(n, path, "is an empty list; put something into it or remove it")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		d.value(v.Index(i), item, s, path+"["+strconv.Itoa(i)+"]")
	}
}

func (d *decoder) stringMap(v reflect.Value, n *node, s *setting, path string) {
	if !d.isKind(n, path, mappingKind, "a map (name: value)") {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range n.entries {
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e.value, s, child(path, e.name))
		v.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), value)
	}
}

func (d *decoder) scalar(v reflect.Value, n *node, s *setting, path string) {
	if s.secret {
		d.hide(n)
		d.hideNames(n)
	}
	if !d.isKind(n, path, scalarKind, "a single value") {
		return
	}
	err := setScalar(v, n.text)
	if err == nil {
		err = s.within(v)
	}
	if err != nil {
		d.report(n, path, "%s %v", d.quote(n, s), err)
	}
}

// quote returns a value as an error may show it: what is written, not what a variable stands for.
func (d *decoder) quote(n *node, s *setting) string {
	switch {
	case s.secret, n.asWritten == "" && n.text != "":
		return "the value"
	case len(n.asWritten) > 60:
		return "this value"
	}
	return strconv.Quote(n.asWritten)
}

// isKind reports a node that is of another kind than what is asked for.
func (d *decoder) isKind(n *node, path string, want kind, name string) bool {
	switch {
	case n.kind == want:
		return true
	case n.kind == nullKind && want == mappingKind:
		d.report(n, path, "has no value; indent what belongs to it further than its name, or remove it")
	case n.kind == nullKind:
		d.report(n, path, "has no value; give it one or remove it")
	case want == scalarKind && n.kind == mappingKind && len(n.entries) == 1 && n.entries[0].value.kind == scalarKind:
		d.report(n, path, "is read as a map, for the colon in it; put quotes around it, and http:// before it if it "+
			"is a URL")
	default:
		d.report(n, path, "must be %s, not %s", name, n.kind)
	}
	return false
}

// String names a kind for people.
func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a map (name: value)"}[k]
}

// hide keeps all scalars of a node out of errors.
func (d *decoder) hide(n *node) {
	switch n.kind {
	case scalarKind:
		d.problems.hidden = append(d.problems.hidden, n.text)
		if !onlyReferences(n.asWritten) {
			d.problems.source.mask(n.at)
			n.asWritten = ""
		}
	case listKind:
		for _, item := range n.items {
			d.hide(item)
		}
	case mappingKind:
		for _, e := range n.entries {
			d.hide(e.value)
		}
	}
}

// hideNames is for a secret with braces around it: what YAML takes for names is then a part of it.
func (d *decoder) hideNames(n *node) {
	for _, e := range n.entries {
		d.problems.hidden = append(d.problems.hidden, e.name)
		d.problems.source.mask(e.key)
	}
}

// onlyReferences reports whether a text as written shows nothing secret: it is
// one ${VAR}, ${VAR:?why} or ${file:path}.
func onlyReferences(s string) bool {
	return strings.HasPrefix(s, "${") && closing(s) == len(s)-1 && !strings.Contains(s, ":-")
}

// setDefaults returns a setting its default, and those of the settings in it.
func setDefaults(s bound) {
	if s.field.Kind() == reflect.Struct {
		for _, inner := range settingsOfAll([]reflect.Value{s.field}) {
			setDefaults(inner)
		}
	}
	if s.hasDefault {
		setDefault(s.field, &s.setting)
	}
}

// setDefault reads a default. What is wrong with it is for CheckSpec to say.
func setDefault(v reflect.Value, s *setting) []problem {
	r := &problemList{source: newSource("", s.defaultText)}
	n := &node{kind: scalarKind, text: s.defaultText, asWritten: s.defaultText}
	if k := v.Kind(); k == reflect.Slice || k == reflect.Map || k == reflect.Struct {
		none := &variables{lookup: func(string) (string, bool) { return "", false }, read: readSecretFile}
		n = readTree(s.defaultText, r, none)
	} else if unquoted, err := strconv.Unquote(s.defaultText); err == nil {
		n.text = unquoted
	}
	if n != nil {
		d := &decoder{problems: r}
		d.value(v, n, s, "")
	}
	return r.found
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		s = strings.ToLower(s[:1]) + s[1:]
	}
	return strings.TrimSuffix(s, ".")
}
