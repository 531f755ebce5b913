package config

import (
	"reflect"
	"regexp"
	"slices"

	"github.com/longshore/longshore/pipeline"
)

// names are those of all settings of all components.
type names struct {
	secret []string
	plain  map[string]bool
}

// secretNames gathers which settings are secret in any component, so that a value is
// hidden even where a problem keeps us from telling what it belongs to.
func secretNames(specs []pipeline.Spec) names {
	n := names{plain: map[string]bool{}}
	for _, s := range specs {
		n.gather(reflect.TypeOf(s.New()).Elem())
	}
	return n
}

func (n *names) gather(t reflect.Type) {
	for _, s := range settingsOf(t) {
		switch inner := leaf(s.typ); {
		case s.secret:
			n.secret = append(n.secret, s.name)
			if s.formerly != "" {
				n.secret = append(n.secret, s.formerly)
			}
		case inner.Kind() == reflect.Struct:
			n.gather(inner)
		default:
			n.plain[s.name] = true
			n.plain[s.formerly] = true
		}
	}
}

var secretName = regexp.MustCompile(`(?i)` + secretWords)

// hides reports whether what is set under a name is kept out of errors.
func (n *names) hides(name string) bool {
	if slices.Contains(n.secret, name) {
		return true
	}
	if n.plain[name] {
		return false
	}
	return secretName.MatchString(name) || nearest(name, n.secret) != ""
}

// hideSecrets hides all values in a tree that are secret by their name.
func (d *decoder) hideSecrets(n *node, by names) {
	for _, item := range n.items {
		d.hideSecrets(item, by)
	}
	for _, e := range n.entries {
		if by.hides(e.name) {
			d.hide(e.value)
		} else {
			d.hideSecrets(e.value, by)
		}
	}
}
