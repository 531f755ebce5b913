package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/longshore/longshore/pipeline"
)

// Schema returns a JSON Schema of the configs that a table of components makes possible, for
// editors: it knows what the settings' tags say. What needs more than one place of a config, or a
// component's own check, only Load finds.
//
// It uses what draft-07 and draft 2020-12 have in common (beside the name of $defs), as editors
// know one or the other.
func Schema(specs []pipeline.Spec) ([]byte, error) {
	b := schemaBuilder{specs: specs, defs: scalarSchemas()}
	root := b.root()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return out.Bytes(), nil
}

// A schema is one schema of JSON Schema, with the keywords that are used here. Its zero value takes
// anything.
type schema struct {
	Dialect     string `json:"$schema,omitempty"`
	Ref         string `json:"$ref,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Deprecated  bool   `json:"deprecated,omitempty"`

	Type    any   `json:"type,omitempty"`
	Const   any   `json:"const,omitempty"`
	Enum    []any `json:"enum,omitempty"`
	Default any   `json:"default,omitempty"`

	Pattern   string       `json:"pattern,omitempty"`
	MinLength int          `json:"minLength,omitempty"`
	Minimum   *json.Number `json:"minimum,omitempty"`
	Maximum   *json.Number `json:"maximum,omitempty"`

	Items    *schema `json:"items,omitempty"`
	MinItems int     `json:"minItems,omitempty"`

	Properties        members  `json:"properties,omitempty"`
	PatternProperties members  `json:"patternProperties,omitempty"`
	PropertyNames     *schema  `json:"propertyNames,omitempty"`
	Additional        any      `json:"additionalProperties,omitempty"` // false or a *schema
	MinProperties     int      `json:"minProperties,omitempty"`
	Required          []string `json:"required,omitempty"`

	AnyOf    []*schema `json:"anyOf,omitempty"`
	AllOf    []*schema `json:"allOf,omitempty"`
	Not      *schema   `json:"not,omitempty"`
	If       *schema   `json:"if,omitempty"`
	Then     *schema   `json:"then,omitempty"`
	Examples []any     `json:"examples,omitempty"`
	Defs     members   `json:"$defs,omitempty"`
}

// members are named schemas, in the order of the config rather than of the alphabet.
type members []member

type member struct {
	name   string
	schema *schema
}

// MarshalJSON implements json.Marshaler.
func (m members) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, member := range m {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(member.name)
		if err != nil {
			return nil, err
		}
		value, err := marshalPlainly(member.schema)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// marshalPlainly is json.Marshal without the escapes for HTML.
func marshalPlainly(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

func ref(name string) *schema { return &schema{Ref: "#/$defs/" + name} }

// Names of what all scalars have in common.
const (
	variableSchema = "variable"
	durationSchema = "duration"
	sizeSchema     = "size"
)

// scalarSchemas are the schemas of scalars that need no more than their type to be known. Numbers
// and durations may stand in quotes.
func scalarSchemas() members {
	number := `[0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*`
	return members{
		{variableSchema, &schema{
			Description: "A value with ${VAR}, ${VAR:-default}, ${VAR:?why} or ${file:/path} in it.",
			Type:        "string", Pattern: `\$\{`,
		}},
		{durationSchema, &schema{AnyOf: []*schema{
			{Const: 0},
			{Type: "string", Pattern: `^\s*\+?(0|((` + number + `)(ns|us|µs|μs|ms|s|m|h))+|(` + number + `)d)\s*$`},
		}}},
		{sizeSchema, &schema{
			Type: "string", Pattern: `^\s*(` + number + `)\s*([KkMmGgTt][Ii]?)?[Bb]?\s*$`,
		}},
	}
}

// A schemaBuilder makes the schema of configs.
type schemaBuilder struct {
	specs []pipeline.Spec
	defs  members
}

func (b *schemaBuilder) root() *schema {
	root := b.object(reflect.TypeFor[general]())
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Config of Longshore"
	root.PatternProperties = members{{"^x-", &schema{Description: "Anything, for anchors."}}}
	root.Required = []string{"inputs"}
	for i := range root.Properties {
		m := &root.Properties[i]
		doc := m.schema.Description
		switch m.name {
		case "version":
			m.schema = orVariable(&schema{Description: doc, Default: m.schema.Default},
				&schema{Enum: []any{1, "1"}})
		case "recent", "watch":
			m.schema.Description = ""
			m.schema = &schema{Description: doc, AnyOf: []*schema{
				{Enum: []any{"on", "off", true, false}}, inAnyCase(keys(switches)...), ref(variableSchema), m.schema,
			}}
		case "pipelines":
			m.schema = byName(doc, b.pipeline())
		}
		for _, s := range sections {
			if s.name == m.name {
				m.schema = byName(doc, b.component(s.kind))
			}
		}
	}
	root.If = &schema{Required: []string{"outputs"}}
	root.Then = &schema{Properties: members{{"pipelines", &schema{
		Additional: &schema{Required: []string{"outputs"}},
	}}}}
	root.Defs = b.defs
	return root
}

// byName is a map from names of the user's choice.
func byName(doc string, value *schema) *schema {
	return &schema{
		Description: doc, Type: "object", Additional: value, MinProperties: 1,
		PropertyNames: &schema{Pattern: namePattern.String()},
	}
}

func (b *schemaBuilder) pipeline() *schema {
	s := b.object(reflect.TypeFor[Pipeline]())
	for _, m := range s.Properties {
		if m.name == "inputs" {
			m.schema.MinItems = 0 // see hasSourceOptions
		}
	}
	return s
}

// component is what stands behind a component's name: its type says what else may be there.
func (b *schemaBuilder) component(kind pipeline.Kind) *schema {
	s := &schema{Type: "object", Required: []string{"type"}}
	var types []*schema
	for _, spec := range b.specs {
		if spec.Kind != kind {
			continue
		}
		name := string(kind) + "." + spec.Type
		b.defs = append(b.defs, member{name, b.ofType(spec)})
		is := &schema{Const: spec.Type}
		types = append(types, &schema{Const: spec.Type, Description: spec.Summary})
		s.AllOf = append(s.AllOf, &schema{
			If:   &schema{Properties: members{{"type", is}}, Required: []string{"type"}},
			Then: ref(name),
		})
	}
	typ := &schema{Description: "The type of the " + string(kind) + "."}
	s.Properties = members{{"type", orVariable(typ, types...)}}
	return s
}

// ofType is a component of one type.
func (b *schemaBuilder) ofType(spec pipeline.Spec) *schema {
	c := newComponent("", spec)
	s := &schema{Description: spec.Summary, Type: "object", Additional: false}
	s.Properties = members{{"type", &schema{}}}
	for _, target := range c.targets() {
		b.addSettings(s, target.Type(), spec)
	}
	if spec.Traits.NeedsCondition {
		s.Required = append(s.Required, "if")
	}
	return s
}

// object is a struct's settings.
func (b *schemaBuilder) object(t reflect.Type) *schema {
	s := &schema{Type: "object", Additional: false}
	b.addSettings(s, t, pipeline.Spec{})
	return s
}

func (b *schemaBuilder) addSettings(to *schema, t reflect.Type, of pipeline.Spec) {
	for _, s := range settingsOf(t) {
		s = s.withDefault(of)
		if s.name == "type" && s.typ == reflect.TypeFor[skipField]() {
			continue // stands there already
		}
		to.Properties = append(to.Properties, member{s.name, b.setting(s)})
		must := s.required && !s.hasDefault
		if s.formerly == "" {
			if must {
				to.Required = append(to.Required, s.name)
			}
			continue
		}
		old := b.setting(s)
		old.Deprecated = true
		old.Description = "Now " + s.name + ". " + old.Description
		old.Default = nil
		to.Properties = append(to.Properties, member{s.formerly, old})
		to.AllOf = append(to.AllOf, &schema{Not: &schema{Required: []string{s.name, s.formerly}}})
		if must {
			to.AllOf = append(to.AllOf, &schema{AnyOf: []*schema{
				{Required: []string{s.name}}, {Required: []string{s.formerly}},
			}})
		}
	}
}

// setting is the schema of a setting with all that its tags say.
func (b *schemaBuilder) setting(s setting) *schema {
	made := b.value(s.typ, &s)
	made.Description = describeLimits(s)
	if s.hasDefault {
		made.Default = defaultValue(s)
	}
	if s.example != "" {
		if example := exampleValue(s.typ, s.example); example != nil {
			made.Examples = []any{example}
		}
	}
	if s.required {
		switch s.typ.Kind() {
		case reflect.String:
			made.MinLength = 1
		case reflect.Map:
			made.MinProperties = 1
		}
	}
	return made
}

// describeLimits is the setting's text, and the limits that JSON Schema has no keyword for.
func describeLimits(s setting) string {
	doc := s.doc
	if t := leaf(s.typ); t != durationType && t != sizeType {
		return doc
	}
	switch {
	case s.min != "" && s.max != "":
		doc += " From " + s.min + " to " + s.max + "."
	case s.min != "":
		doc += " At least " + s.min + "."
	case s.max != "":
		doc += " At most " + s.max + "."
	}
	return doc
}

func (b *schemaBuilder) value(t reflect.Type, s *setting) *schema {
	switch t.Kind() {
	case reflect.Struct:
		return b.object(t)
	case reflect.Slice:
		return &schema{Type: "array", MinItems: 1, Items: b.value(t.Elem(), s)}
	case reflect.Map:
		return &schema{Type: "object", Additional: b.value(t.Elem(), s)}
	}
	return scalarSchema(t, s)
}

// scalarSchema is the schema of a single value. A string may look like a number or a bool: every
// scalar is text.
func scalarSchema(t reflect.Type, s *setting) *schema {
	minimum, maximum := limit(t, s.min), limit(t, s.max)
	switch {
	case t == durationType:
		return orVariable(&schema{}, ref(durationSchema))
	case t == sizeType:
		if minimum == nil {
			minimum = limit(t, "0")
		}
		return orVariable(&schema{}, &schema{Type: "integer", Minimum: minimum, Maximum: maximum}, ref(sizeSchema))
	case t.Kind() == reflect.String && len(s.enum) > 0:
		known := &schema{}
		for _, v := range s.enum {
			known.Enum = append(known.Enum, v)
		}
		return orVariable(&schema{}, known)
	case t.Kind() == reflect.String:
		return &schema{Type: []string{"string", "number", "boolean"}}
	case t.Kind() == reflect.Bool:
		return orVariable(&schema{}, &schema{Type: "boolean"}, inAnyCase("true", "false"))
	case t.Kind() == reflect.Float64:
		return orVariable(&schema{}, &schema{Type: "number", Minimum: minimum, Maximum: maximum},
			&schema{Type: "string", Pattern: `^\s*[+-]?[0-9._]+([eE][+-]?[0-9]+)?\s*$`})
	}
	if minimum == nil && reflect.New(t).Elem().CanUint() {
		minimum = limit(t, "0")
	}
	return orVariable(&schema{}, &schema{Type: "integer", Minimum: minimum, Maximum: maximum},
		&schema{Type: "string", Pattern: `^\s*[+-]?[0-9_]+\s*$`})
}

// inAnyCase takes words in capital or small letters.
func inAnyCase(words ...string) *schema {
	var pattern strings.Builder
	for i, word := range words {
		if i > 0 {
			pattern.WriteByte('|')
		}
		for _, letter := range word {
			fmt.Fprintf(&pattern, "[%c%c]", unicode.ToUpper(letter), letter)
		}
	}
	return &schema{Type: "string", Pattern: "^(" + pattern.String() + ")$"}
}

// orVariable makes s one of those ways to write a value, or of a text with a ${…}.
func orVariable(s *schema, ways ...*schema) *schema {
	s.AnyOf = append(ways, ref(variableSchema))
	return s
}

// limit is a limit as a number: of a size the bytes.
func limit(t reflect.Type, text string) *json.Number {
	v := reflect.New(t).Elem()
	if text == "" || t.Kind() == reflect.String || setScalar(v, text) != nil {
		return nil
	}
	n := json.Number(fmt.Sprint(v.Interface()))
	if t == sizeType {
		n = json.Number(fmt.Sprint(v.Int()))
	}
	return &n
}

// exampleValue is a default or an example as JSON, or nil where it is of no use there.
func exampleValue(t reflect.Type, text string) any {
	r := &problemList{source: newSource("", text)}
	none := &variables{lookup: func(string) (string, bool) { return "", false }, read: readSecretFile}
	n := readTree(text, r, none)
	switch {
	case n != nil && len(r.found) == 0:
		return nodeValue(n, leaf(t))
	case leaf(t) == t:
		return text // a ${VAR}
	}
	return nil
}

// defaultValue is a setting's default as JSON; that of a single value is not YAML, see setDefault.
func defaultValue(s setting) any {
	if leaf(s.typ) != s.typ {
		return exampleValue(s.typ, s.defaultText)
	}
	if unquoted, err := strconv.Unquote(s.defaultText); err == nil {
		return scalarValue(s.typ, unquoted)
	}
	return scalarValue(s.typ, s.defaultText)
}

func nodeValue(n *node, leaf reflect.Type) any {
	switch n.kind {
	case listKind:
		list := []any{}
		for _, item := range n.items {
			list = append(list, nodeValue(item, leaf))
		}
		return list
	case mappingKind:
		object := map[string]any{}
		for _, e := range n.entries {
			object[e.name] = nodeValue(e.value, leaf)
		}
		return object
	}
	return scalarValue(leaf, n.text)
}

func scalarValue(t reflect.Type, text string) any {
	plain := []reflect.Kind{reflect.Bool, reflect.Float64, reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64}
	if t == durationType || t == sizeType || !slices.Contains(plain, t.Kind()) {
		return text
	}
	v := reflect.New(t).Elem()
	if setScalar(v, text) != nil {
		return nil
	}
	return v.Interface()
}
