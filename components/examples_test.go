package components

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// notAlone is what may be wrong with an example where it stands alone: a file is not
// there, another setting is needed.
var notAlone = regexp.MustCompile(`no such file or directory|does nothing without`)

// TestExamplesAreRight sets every setting to the example that `longshore list` shows
// of it, beside those that are required, and has the config checked.
func TestExamplesAreRight(t *testing.T) {
	bySchema := pipetest.Schema(t, All())
	for _, spec := range All() {
		settings := config.Describe(spec)
		for _, s := range settings {
			if s.Example == "" {
				if s.Required && s.Type != "section" && s.Type != "list of section" {
					t.Errorf("%s %s: %s is required and has no example", spec.Kind, spec.Type, s.Path)
				}
				continue
			}
			text := configWith(spec, settings, s.Path)
			if err := bySchema(text); err != nil {
				t.Errorf("%s %s: the example of %s: the schema says %v\n%s", spec.Kind, spec.Type, s.Path, err, text)
			}
			for _, m := range mistakesAt(t, text, fmt.Sprintf("%ss.x.%s", spec.Kind, s.Path)) {
				t.Errorf("%s %s: the example of %s: %s\n%s", spec.Kind, spec.Type, s.Path, m, text)
			}
		}
	}
}

// configWith is a config of a component x that has one setting beside those that are required.
func configWith(spec pipeline.Spec, settings []config.Setting, chosen string) string {
	sections := map[pipeline.Kind]string{
		pipeline.KindInput:  "  in: {type: stdin}\n",
		pipeline.KindOutput: "  loki: {type: stdout}\n  elastic: {type: stdout}\n",
	}
	sections[spec.Kind] += "  x:\n    type: " + spec.Type + "\n" + membersWith(settings, "", chosen, "    ")
	var b strings.Builder
	for _, kind := range []pipeline.Kind{pipeline.KindInput, pipeline.KindParser, pipeline.KindTransform,
		pipeline.KindOutput} {
		if sections[kind] != "" {
			fmt.Fprintf(&b, "%ss:\n%s", kind, sections[kind])
		}
	}
	return b.String()
}

// membersWith writes what is under a path.
func membersWith(settings []config.Setting, under, chosen, indent string) string {
	var b strings.Builder
	for _, s := range settings {
		name, ok := strings.CutPrefix(s.Path, under)
		if !ok || strings.ContainsAny(name, ".[") {
			continue
		}
		inner := strings.HasPrefix(chosen, s.Path+".") || strings.HasPrefix(chosen, s.Path+"[].") ||
			strings.HasPrefix(chosen, s.Path+".*.")
		switch {
		case s.Path != chosen && !s.Required && !inner:
		case s.Type == "section":
			fmt.Fprintf(&b, "%s%s:\n%s", indent, name, membersWith(settings, s.Path+".", chosen, indent+"  "))
		case s.Type == "map of section" && s.Path != chosen:
			fmt.Fprintf(&b, "%s%s:\n%s  some:\n%s", indent, name, indent,
				membersWith(settings, s.Path+".*.", chosen, indent+"    "))
		case s.Type == "list of section" && s.Path != chosen:
			fmt.Fprintf(&b, "%s%s:\n%s-\n%s", indent, name, indent,
				membersWith(settings, s.Path+"[].", chosen, indent+"  "))
		default:
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, s.Example)
		}
	}
	return b.String()
}

// mistakesAt gives the mistakes in a config at a setting or in it.
func mistakesAt(t *testing.T, text, path string) []string {
	t.Helper()
	path = strings.NewReplacer("[]", "[0]", "*", "some").Replace(path)
	loader := config.Loader{Components: All(), LookupEnv: func(string) (string, bool) { return "set", true }}
	_, err := loader.Load("example", []byte(text))
	var all config.Errors
	if err != nil && !errors.As(err, &all) {
		t.Fatalf("%v\n%s", err, text)
	}
	var at []string
	for _, e := range all {
		if e.Path == "" || strings.HasPrefix(e.Path, path) && !notAlone.MatchString(e.Message) {
			at = append(at, e.What())
		}
	}
	return at
}
