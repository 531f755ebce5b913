package redact

import (
	"bytes"
	"cmp"
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
	views         viewPool
}

func newDetector(c *Config) *detector {
	d := &detector{secrets: slices.Contains(c.Detect, "secrets"), index: secretIndex, views: newViewPool()}
	d.names = names{secrets: d.secrets, except: c.Except}
	for k, name := range kindNames {
		d.personal[k] = slices.Contains(c.Detect, name)
		d.beyondSecrets = d.beyondSecrets || d.personal[k]
	}
	for _, key := range c.Keys {
		d.names.custom = append(d.names.custom, strings.ToLower(key))
	}
	if len(c.Keys) > 0 {
		d.names.always = mayBeSecret | mayBePair
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
	before, none := d.index.none(p)
	if none && !d.beyondSecrets && !hasLongToken(p) {
		return found
	}
	n := len(found)
	found = d.scanViews(p, d.scanText(p, before, found))
	if len(found) > n && isLikeJSON(p) {
		withinStrings(p, found[n:])
	}
	return found
}

// isLikeJSON reports whether a text begins as a JSON object, or a list of objects, lists or
// strings.
func isLikeJSON(p []byte) bool {
	p = bytes.TrimLeft(p, " \t")
	return len(p) > 1 && (p[0] == '{' || p[0] == '[' && (p[1] == '{' || p[1] == '[' || p[1] == '"'))
}

// withinStrings ends findings that begin in a JSON string where that ends: a quote within may have
// made them longer. They are sorted on the way.
func withinStrings(p []byte, found []finding) {
	slices.SortFunc(found, func(a, b finding) int { return cmp.Compare(a.from, b.from) })
	s, end := scanner{p: p}, 0
	for i := range found {
		f := &found[i]
		if f.kind == pattern || !s.insideString(f.from, 0) {
			continue // the user's patterns match what they match
		}
		if f.from >= end {
			end = quotes{char: '"'}.end(p, f.from)
		}
		f.to = min(f.to, end)
	}
}

// scanText appends the findings in a text as it stands. Before an index it has no group.
func (d *detector) scanText(p []byte, before int, found []finding) []finding {
	if d.secrets {
		found = longTokens(p, found)
		found = passwordsBeforeAt(p, found)
		found = d.index.scan(p, before, &d.names, found)
		found = d.shortKeys(p, found)
	}
	if d.beyondSecrets {
		found = d.scanBeyondSecrets(p, found)
	}
	return found
}

// shortKeys finds the values of short keys before an equals sign: pwd=…, DB_PASS=….
func (d *detector) shortKeys(p []byte, found []finding) []finding {
	s := scanner{p: p, names: &d.names}
	for at := 0; ; {
		next := bytes.IndexByte(p[at:], '=')
		if next < 0 {
			return found
		}
		at += next + 1
		stem := shortStemBefore(p, at-1)
		if stem == nil {
			continue
		}
		end := len(withoutEnd(p[:at-1]))
		if f, ok := s.keyed(end-len(stem.text), end, stem.class); ok {
			found, at = append(found, f), max(at, f.to)
		}
	}
}

// shortStemBefore returns the short stem that ends before an index, digits aside, or nil.
func shortStemBefore(p []byte, at int) *stem {
	if at < 2 {
		return nil
	}
	switch fold(p[at-1]) { // the last letters of all
	case 'd', 's', 'w', 't', 'k', 'h', 'n', 'p':
	default:
		if !isDigit(p[at-1]) && p[at-1] != ']' {
			return nil
		}
	}
	end := len(withoutEnd(p[:at]))
	if end < 2 || endings[endingOf(p[end-2], p[end-1])]&mayBeShort == 0 {
		return nil
	}
	for _, s := range shortStemsByLast[p[end-1]&31] {
		if endsIn(p[:end], s.text) && s.beginsAt(p, end-len(s.text)) {
			return s
		}
	}
	return nil
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
