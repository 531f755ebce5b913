package redact

import (
	"regexp"
	"slices"
	"strings"
)

// A finding is a part of a text that is to be replaced.
type finding struct {
	from, to int
	kind     kind
	// quotes are put around the replacement, to make a string of what was none.
	quotes quotes
}

// quotes are a quote with backslashes before it, as in JSON within a JSON string; char 0 is none.
type quotes struct {
	slashes int
	char    byte
}

func (q quotes) append(dst []byte) []byte {
	if q.char == 0 {
		return dst
	}
	for range q.slashes {
		dst = append(dst, '\\')
	}
	return append(dst, q.char)
}

// A detector finds what is to be replaced in a text. It is read-only.
type detector struct {
	secrets       bool
	index         *index
	names         names
	customKeys    *regexp.Regexp // the user's own keys
	patterns      []*regexp.Regexp
	personal      [kinds]bool
	beyondSecrets bool // personal data, own keys or patterns
}

func newDetector(c *Config) *detector {
	d := &detector{secrets: slices.Contains(c.Detect, "secrets"), index: secretIndex}
	d.names = names{secrets: d.secrets, except: c.Except}
	for k, name := range kindNames {
		d.personal[k] = slices.Contains(c.Detect, name)
		d.beyondSecrets = d.beyondSecrets || d.personal[k]
	}
	for _, key := range c.Keys {
		d.names.custom = append(d.names.custom, strings.ToLower(key))
	}
	if len(c.Keys) > 0 {
		var any []string
		for _, key := range c.Keys {
			any = append(any, regexp.QuoteMeta(key))
		}
		d.customKeys = regexp.MustCompile("(?i)(?:" + strings.Join(any, "|") + ")")
	}
	for _, p := range c.Patterns {
		d.patterns = append(d.patterns, regexp.MustCompile(p))
	}
	d.beyondSecrets = d.beyondSecrets || d.customKeys != nil || len(d.patterns) > 0
	return d
}

// scan appends the findings in a text, in no certain order.
func (d *detector) scan(p []byte, found []finding) []finding {
	if d.secrets {
		if at, quiet := d.index.none(p); !quiet {
			found = d.urlPasswords(p, found)
			found = d.index.scan(p, at, &d.names, found)
		}
	}
	if d.beyondSecrets {
		found = d.scanBeyondSecrets(p, found)
	}
	return found
}

// scanBeyondSecrets finds what is not looked for by default.
func (d *detector) scanBeyondSecrets(p []byte, found []finding) []finding {
	if d.customKeys != nil {
		found = d.matchCustomKeys(p, found)
	}
	for _, re := range d.patterns {
		before := len(found)
		for _, m := range re.FindAllSubmatchIndex(p, -1) {
			from, to := m[0], m[1]
			if len(m) > 2 && m[2] >= 0 {
				from, to = m[2], m[3]
			}
			if from < to {
				found = append(found, finding{from: from, to: to, kind: pattern})
			}
		}
		quoteNumbers(p, found[before:])
	}
	return d.personalData(p, found)
}

func (d *detector) matchCustomKeys(p []byte, found []finding) []finding {
	s := scanner{p: p, names: &d.names}
	for _, m := range d.customKeys.FindAllIndex(p, -1) {
		if f, ok := s.keyed(m[0], m[1], ordinary); ok {
			found = append(found, f)
		}
	}
	return found
}
