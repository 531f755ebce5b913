package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/longshore/longshore/pipeline"
)

// CheckSpecs says what is wrong with a table of components: what a test of the table
// asks. A table without problems never fails in Load for reasons of its own.
func CheckSpecs(specs []pipeline.Spec) error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range specs {
		name := string(s.Kind) + " " + s.Type
		if seen[name] {
			errs = append(errs, fmt.Errorf("%s is in the table twice", name))
		}
		seen[name] = true
		for _, err := range checkSpec(s) {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func checkSpec(spec pipeline.Spec) []error {
	var errs []error
	if !namePattern.MatchString(spec.Type) {
		errs = append(errs, fmt.Errorf("%q is not a name", spec.Type))
	}
	if spec.Summary == "" {
		errs = append(errs, errors.New("has no summary"))
	}
	if err := spec.Traits.CheckKind(spec.Kind); err != nil {
		errs = append(errs, err)
	}
	settings := spec.New()
	if v := reflect.ValueOf(settings); v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return append(errs, fmt.Errorf("its New gives a %T instead of a pointer to a struct", settings))
	}
	c := newComponent("x", spec)
	if err := new(Config).add(c); err != nil {
		errs = append(errs, err)
	}
	names := map[string]bool{}
	for _, s := range settingsOfAll(c.targets()) {
		s.setting = s.withDefault(spec)
		for _, name := range []string{s.name, s.formerly} {
			if names[name] {
				errs = append(errs, fmt.Errorf("%s: is there twice", name))
			}
			names[name] = name != ""
		}
		errs = append(errs, checkSetting(s.name, s.setting)...)
	}
	for name := range spec.Defaults {
		if !names[name] {
			errs = append(errs, fmt.Errorf("has a default for %s, which is no setting", name))
		}
	}
	return errs
}

// checkSetting looks at the tags of one setting and of those in it.
func checkSetting(path string, s setting) []error {
	if s.typ == reflect.TypeFor[skipField]() {
		return nil
	}
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(path+": "+format, args...))
	}
	if s.doc == "" {
		add("has no doc")
	}
	inner := leaf(s.typ)
	if inner.Kind() == reflect.Struct {
		for _, deeper := range settingsOf(inner) {
			errs = append(errs, checkSetting(child(path, deeper.name), deeper)...)
		}
		return errs
	}
	if !slices.Contains(leafKinds, inner.Kind()) {
		add("%s is not a type of setting", s.typ)
		return errs
	}
	for _, limit := range []string{s.min, s.max} {
		if limit != "" && (inner.Kind() == reflect.String || setScalar(reflect.New(inner).Elem(), limit) != nil) {
			add("%q is not a limit of %s", limit, s.typ)
		}
	}
	if s.hasDefault {
		for _, m := range setDefault(reflect.New(s.typ).Elem(), &s) {
			add("default: %s", m.message)
		}
	}
	return errs
}

var leafKinds = []reflect.Kind{
	reflect.Bool, reflect.String, reflect.Float64,
	reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64,
}
