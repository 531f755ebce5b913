package grok

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/elastic/go-grok/patterns"
)

// dictionary is Logstash's patterns, in Go's syntax.
var dictionary = []map[string]string{
	patterns.Default, patterns.AWS, patterns.Bind9, patterns.Bro, patterns.Exim, patterns.Firewalls, patterns.HAProxy,
	patterns.Httpd, patterns.Java, patterns.Junos, patterns.MCollective, patterns.Maven, patterns.MongoDB,
	patterns.PostgreSQL, patterns.Rails, patterns.Redis, patterns.Ruby, patterns.Squid, patterns.Syslog,
}

const (
	maxDepth = 32      // of patterns within patterns
	maxText  = 1 << 18 // bytes of what a pattern may become
)

// reference is %{NAME}, %{NAME:field} or %{NAME:field:type}. Logstash writes nested
// fields as [http][method].
var reference = regexp.MustCompile(`%\{(\w+)(?::([\w.@\[\]-]+))?(?::\w+)?\}`)

// malformed is what was meant to be a reference.
var malformed = regexp.MustCompile(`%\{[A-Za-z][^}]{0,40}`)

// An expansion turns a pattern into a regular expression. Names of fields may
// have what names of groups may not, so groups are numbered.
type expansion struct {
	own    map[string]string
	fields map[string]string // by the group's name
	size   int
}

func (e *expansion) expand(pattern string, depth int) (string, error) {
	if e.size += len(pattern); e.size > maxText || depth > maxDepth {
		return "", fmt.Errorf("the pattern %.60s refers to itself, or is too large", pattern)
	}
	var b strings.Builder
	at := 0
	for _, m := range reference.FindAllStringSubmatchIndex(pattern, -1) {
		b.WriteString(pattern[at:m[0]])
		at = m[1]
		name, field := pattern[m[2]:m[3]], ""
		if m[4] >= 0 {
			field = fieldName(pattern[m[4]:m[5]])
		}
		inside, err := e.lookup(name)
		if err == nil {
			inside, err = e.expand(inside, depth+1)
		}
		if err != nil {
			return "", err
		}
		b.WriteString(e.group(field) + inside + ")")
	}
	b.WriteString(pattern[at:])
	return b.String(), nil
}

// checkReferences finds what is almost one, and would be taken as it stands.
func checkReferences(pattern string) error {
	if rest := malformed.FindString(reference.ReplaceAllString(pattern, " ")); rest != "" {
		return fmt.Errorf("%s… is no reference; write %%{NAME} or %%{NAME:field}", rest)
	}
	return nil
}

// group opens the group of a field.
func (e *expansion) group(field string) string {
	if field == "" {
		return "(?:"
	}
	if e.fields == nil {
		e.fields = map[string]string{}
	}
	name := "grok" + strconv.Itoa(len(e.fields))
	e.fields[name] = field
	return "(?P<" + name + ">"
}

func (e *expansion) lookup(name string) (string, error) {
	if p, ok := e.own[name]; ok {
		return p, checkReferences(p)
	}
	for _, d := range dictionary {
		if p, ok := d[name]; ok {
			return p, nil
		}
	}
	return "", fmt.Errorf("there is no pattern %s; define it under definitions", name)
}

// fieldName writes [http][method] as http.method.
func fieldName(s string) string {
	if !strings.HasPrefix(s, "[") {
		return s
	}
	return strings.Trim(strings.ReplaceAll(s, "][", "."), "[]")
}
