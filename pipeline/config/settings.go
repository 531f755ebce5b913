package config

import (
	"reflect"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

var (
	durationType = reflect.TypeFor[pipeline.Duration]()
	sizeType     = reflect.TypeFor[pipeline.Size]()
	secretType   = reflect.TypeFor[pipeline.Secret]()
)

// A setting is one field of a config struct, as its tags describe it; see
// pipeline.Spec for the tags.
type setting struct {
	name        string
	formerly    string // the name it had, which is still read
	index       []int
	typ         reflect.Type
	doc         string
	defaultText string
	hasDefault  bool
	required    bool
	secret      bool
	isFile      bool // read when the component is made
	enum        []string
	min, max    string
	example     string
}

// settingsOf lists the settings of a struct, in its order; those of an
// embedded struct without a name of its own stand among them.
func settingsOf(t reflect.Type) []setting {
	var found []setting
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			for _, s := range settingsOf(f.Type) {
				s.index = append([]int{i}, s.index...)
				found = append(found, s)
			}
		case name != "" && f.IsExported():
			found = append(found, settingOf(name, f))
		}
	}
	return found
}

func settingOf(name string, f reflect.StructField) setting {
	s := setting{
		name:     name,
		index:    f.Index,
		typ:      f.Type,
		formerly: f.Tag.Get("formerly"),
		doc:      f.Tag.Get("doc"),
		required: f.Tag.Get("required") == "true",
		secret:   f.Tag.Get("secret") == "true" || leaf(f.Type) == secretType,
		isFile:   f.Tag.Get("reads") == "file",
		min:      f.Tag.Get("min"),
		max:      f.Tag.Get("max"),
		example:  f.Tag.Get("example"),
	}
	s.defaultText, s.hasDefault = f.Tag.Lookup("default")
	if enum := f.Tag.Get("enum"); enum != "" {
		s.enum = strings.Split(enum, "|")
	}
	return s
}

// withDefault returns the setting with the default that a type of component has for it, where that
// is another one.
func (s setting) withDefault(spec pipeline.Spec) setting {
	if text, ok := spec.Defaults[s.name]; ok {
		s.defaultText, s.hasDefault = text, true
	}
	return s
}

// leaf is what slices and maps of a type are made of in the end.
func leaf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// settingsOfAll lists the settings of several structs that are written side by side.
func settingsOfAll(targets []reflect.Value) []bound {
	var all []bound
	for _, v := range targets {
		for _, s := range settingsOf(v.Type()) {
			all = append(all, bound{s, v.FieldByIndex(s.index)})
		}
	}
	return all
}

// A bound setting has the field that takes its value.
type bound struct {
	setting
	field reflect.Value
}

// child is the path of a setting within another.
func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
