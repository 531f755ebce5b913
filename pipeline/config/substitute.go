package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/secrets"
)

// Bounds on what ${…} may bring in.
const (
	maxSecretFile = 64 << 10
	maxFilled     = 8 << 20 // of all values together
	maxNested     = 8       // ${A:-${B:-…}}
)

// variables puts values in for ${…}: ${VAR}, ${VAR:-default}, ${VAR:?why}, ${file:path},
// ${vault:path#field}, ${aws:id#field}. $${ stands for ${ itself. It works on values that are
// already read as YAML, so nothing it brings in can become YAML.
type variables struct {
	lookup func(string) (string, bool)
	read   func(path string) ([]byte, error)
	dir    string // relative paths start here
	// hidden are texts that must not be shown: contents of files.
	hidden []string
	filled int

	// secret reads what is kept elsewhere, once it is known where; nil where that stays unread.
	secret func(secrets.Ref) (string, error)
	// later are the values that are filled then, and refs what they name.
	later []*node
	refs  []secrets.Ref
}

// isRemote reports whether a text may name what is kept elsewhere.
func isRemote(text string) bool {
	return strings.Contains(text, "${"+secrets.FromVault+":") || strings.Contains(text, "${"+secrets.FromAWS+":")
}

// fillLater fills the values that had to wait for the settings that say where secrets are kept.
func (v *variables) fillLater(root *node, r *problemList) {
	for _, n := range v.later {
		if root.get("secrets").has(n) {
			r.add(n.at, "", "the settings of secrets say where secrets are, and cannot be such themselves; use an "+
				"environment variable or ${file:…}")
			n.broken = true
			continue
		}
		v.fill(n, r)
	}
}

// fill puts values into the text of a scalar.
func (v *variables) fill(n *node, r *problemList) {
	text, problems := v.expand(n.text, 0)
	for _, p := range problems {
		if p == (unfilled{}) {
			continue // it stays unread
		}
		r.add(p.within(n.at, r.source), "", "%s", p.message)
	}
	if v.filled += len(text); v.filled > maxFilled {
		r.add(n.at, "", "the values of all ${…} together are too large")
		text = ""
		problems = append(problems, unfilled{message: "too large"})
	}
	n.text, n.broken = text, len(problems) > 0
}

// An unfilled is a ${…} that has no value.
type unfilled struct {
	expr    string // as written, or ""
	message string
}

// within is where the expression stands, if that can be said, or else the place of the whole value.
func (u unfilled) within(p span, s *source) span {
	if p.line < 1 || p.line > len(s.lines) || u.expr == "" {
		return p
	}
	line := []rune(s.lines[p.line-1])
	from, _ := s.onLine(p, p.line, len(line))
	at := strings.Index(string(line[from:]), u.expr)
	if at < 0 {
		return p
	}
	col := from + len([]rune(string(line[from:])[:at])) + 1
	return span{p.line, col, p.line, col + len([]rune(u.expr))}
}

// expand returns the text with values put in, and what has none.
func (v *variables) expand(text string, depth int) (string, []unfilled) {
	var b strings.Builder
	var missing []unfilled
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			b.WriteString(text)
			return b.String(), missing
		}
		if at > 0 && text[at-1] == '$' {
			b.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		b.WriteString(text[:at])
		end := closing(text[at:])
		if end < 0 || depth > maxNested {
			return b.String(), append(missing, unfilled{text[at:],
				`"${" is never closed by "}"; for a plain "${" write "$${"`})
		}
		expr := text[at : at+end+1]
		value, problems := v.value(expr, depth)
		missing = append(missing, problems...)
		b.WriteString(value)
		text = text[at+end+1:]
	}
}

// closing returns the index of the brace that closes the one at the start.
func closing(s string) int {
	open := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			open++
		case s[i] == '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// value returns what one ${…} stands for.
func (v *variables) value(expr string, depth int) (string, []unfilled) {
	inner := expr[2 : len(expr)-1]
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		return v.file(expr, path)
	}
	if ref, ok, err := secrets.ParseRef(inner); ok {
		return v.remote(expr, ref, err)
	}
	name, rest := splitName(inner)
	word, hasDefault := strings.CutPrefix(rest, ":-")
	why, mustBe := strings.CutPrefix(rest, ":?")
	if name == "" || rest != "" && !hasDefault && !mustBe {
		return "", []unfilled{{expr, expr + " is not understood; write ${VAR}, ${VAR:-default}, ${VAR:?why} or " +
			"${file:/path}, ${vault:path#field} or ${aws:id#field}, and $${ for a plain ${"}}
	}
	value, set := v.lookup(name)
	switch {
	case hasDefault && value == "":
		return v.expand(word, depth+1)
	case mustBe && value == "":
		return "", []unfilled{{expr, "the environment variable " + name + " is not set" + because(why)}}
	case !set:
		return "", []unfilled{{expr, "the environment variable " + name +
			" is not set; set it, or give a default: ${" + name + ":-default}"}}
	}
	return value, nil
}

func because(why string) string {
	if why = strings.TrimSpace(why); why == "" {
		return ""
	}
	return ": " + why
}

// splitName takes the name of a variable off the front.
func splitName(s string) (name, rest string) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// file returns the content of a file without the line end at its end.
func (v *variables) file(expr, path string) (string, []unfilled) {
	if path == "" {
		return "", []unfilled{{expr, "${file:} needs a path, such as ${file:/run/secrets/password}"}}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(v.dir, path)
	}
	data, err := v.read(path)
	if err != nil {
		return "", []unfilled{{expr, err.Error()}}
	}
	text := strings.TrimRight(string(data), "\r\n")
	v.hidden = append(v.hidden, text)
	return text, nil
}

// remote returns a secret that is kept elsewhere.
func (v *variables) remote(expr string, ref secrets.Ref, invalid error) (string, []unfilled) {
	if invalid != nil {
		return "", []unfilled{{expr, expr + " " + invalid.Error()}}
	}
	v.refs = append(v.refs, ref)
	if v.secret == nil {
		return "", []unfilled{{}}
	}
	text, err := v.secret(ref)
	if err != nil {
		return "", []unfilled{{expr, expr + " cannot be read: " + err.Error()}}
	}
	v.hidden = append(v.hidden, text)
	return text, nil
}

// readSecretFile reads a small regular file.
func readSecretFile(path string) ([]byte, error) {
	data, err := pipeline.ReadFile(path, maxSecretFile)
	if err != nil {
		return nil, fmt.Errorf("reading a value: %w", err)
	}
	return data, nil
}
