package config

import (
	"reflect"

	"github.com/longshore/longshore/pipeline"
)

// A Setting is one line of a component's description, for people.
type Setting struct {
	// Path is the name, from the component down: "tls.ca_file". What is in each
	// element of a list is at "rules[].field".
	Path string
	// Type is string, secret, integer, number, boolean, duration, size,
	// section, or a list or map of these.
	Type     string
	Default  string // as it would stand in YAML; "" for none
	Doc      string
	Example  string
	Enum     []string
	Min, Max string
	Required bool
	Secret   bool
	// Common settings are those of every component of the kind.
	Common bool
}

// DescribeTopLevel lists the settings at the top of a config. Components stand in "inputs" and so
// on by their names; Describe lists what each takes.
func DescribeTopLevel() []Setting { return describe(reflect.TypeFor[general](), "", false) }

// Describe lists the settings of a type of component: its own, and after them
// those that all of its kind have. A section comes before what is in it.
func Describe(spec pipeline.Spec) []Setting {
	all := describe(reflect.TypeOf(spec.New()).Elem(), "", false)
	switch spec.Kind {
	case pipeline.KindInput:
		all = append(all, describe(reflect.TypeFor[pipeline.InputSettings](), "", true)...)
	case pipeline.KindParser:
		all = append(all, describe(reflect.TypeFor[pipeline.ParserSettings](), "", true)...)
	case pipeline.KindTransform:
		all = append(all, describe(reflect.TypeFor[pipeline.TransformSettings](), "", true)...)
	case pipeline.KindOutput:
		all = append(all, describe(reflect.TypeFor[pipeline.OutputSettings](), "", true)...)
	}
	for i := range all {
		if text, ok := spec.Defaults[all[i].Path]; ok {
			all[i].Default = text
		}
	}
	return all
}

func describe(t reflect.Type, path string, common bool) []Setting {
	var all []Setting
	for _, s := range settingsOf(t) {
		line := Setting{
			Path: child(path, s.name), Type: typeName(s.typ), Default: s.defaultText, Doc: s.doc, Example: s.example,
			Enum: s.enum, Min: s.min, Max: s.max, Required: s.required, Secret: s.secret, Common: common,
		}
		all = append(all, line)
		if line.Path == "pipelines" {
			all = append(all, describe(reflect.TypeFor[Pipeline](), "pipelines.*", false)...)
		} else if inner := leaf(s.typ); inner.Kind() == reflect.Struct {
			all = append(all, describe(inner, line.Path+brackets(s.typ), common)...)
		}
	}
	return all
}

// brackets stand for the element of a list or map in a path.
func brackets(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]" + brackets(t.Elem())
	case reflect.Map:
		return ".*" + brackets(t.Elem())
	}
	return ""
}

func typeName(t reflect.Type) string {
	switch t {
	case durationType:
		return "duration"
	case sizeType:
		return "size"
	case secretType:
		return "secret"
	case reflect.TypeFor[skipField]():
		return "map of section"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map of " + typeName(t.Elem())
	case reflect.Struct:
		return "section"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	}
	return "integer"
}
