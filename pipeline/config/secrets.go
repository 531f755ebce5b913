package config

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
	n.gather(reflect.TypeFor[general]())
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
			n.plain[s.name] = true
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

// shortestMasked is how long a secret is at least that is masked wherever it stands: words of a few
// letters are everywhere.
const shortestMasked = 4

// secretForms returns the texts that are secret in a config, as they may stand in what a
// destination says: by themselves, and as URLs, headers and JSON have them.
func secretForms(root *node, hidden []string, by names) []string {
	all := map[string]bool{}
	for _, text := range hidden {
		addForms(all, text)
	}
	root.each(func(n *node) {
		for _, m := range userinfo.FindAllStringSubmatch(n.text, -1) {
			_, password, _ := strings.Cut(m[1], ":")
			addForms(all, password)
			if plain, err := url.PathUnescape(password); err == nil {
				addForms(all, plain)
			}
			if who, err := url.PathUnescape(m[1]); err == nil {
				all[base64.StdEncoding.EncodeToString([]byte(who))] = true
			}
		}
		for _, value := range secretQuery(n.text) {
			addForms(all, value)
		}
		for _, e := range n.entries {
			if e.value.kind == scalarKind && secretName.MatchString(e.name) && !by.plain[e.name] {
				addForms(all, e.value.text)
			}
		}
		user, password := n.get("username"), n.get("password")
		if user != nil && password != nil {
			all[base64.StdEncoding.EncodeToString([]byte(user.text+":"+password.text))] = true
		}
	})
	// The longest first: one may be a part of another.
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
}

// secretQuery returns the values of a URL's query that are secret by their names, as they are and
// as they are written.
func secretQuery(text string) (values []string) {
	_, query, found := strings.Cut(text, "?")
	if !found || !strings.Contains(text, "://") {
		return nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if !secretParameter.MatchString(name) {
			continue
		}
		values = append(values, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			values = append(values, plain)
		}
	}
	return values
}

var secretParameter = regexp.MustCompile(`(?i)` + looseWords + `|sig`)

func addForms(all map[string]bool, text string) {
	text = strings.TrimSpace(text)
	if len(text) < shortestMasked {
		return
	}
	quoted := strconv.Quote(text)
	for _, form := range []string{text, url.QueryEscape(text), url.PathEscape(text), quoted[1 : len(quoted)-1],
		base64.StdEncoding.EncodeToString([]byte(text))} {
		all[form] = true
	}
}

// each calls a function for a node and all below it.
func (n *node) each(do func(*node)) {
	if n == nil {
		return
	}
	do(n)
	for _, item := range n.items {
		item.each(do)
	}
	for _, e := range n.entries {
		e.value.each(do)
	}
}

// masker returns what takes the config's own secrets out of texts.
func (cfg *Config) masker() *strings.Replacer {
	var pairs []string
	for _, form := range cfg.masked {
		pairs = append(pairs, form, "***")
	}
	return strings.NewReplacer(pairs...)
}
