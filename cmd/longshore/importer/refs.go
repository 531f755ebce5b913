package importer

import (
	"net/url"
	"regexp"
	"strings"
)

// A refStyle is how a tool's configs refer to the environment.
type refStyle struct {
	colon   bool // ${VAR:default}
	dash    bool // ${VAR-default}
	env     bool // ${env:VAR}
	bare    bool // $VAR
	doubled bool // $$ is a plain $
	none    bool // not at all
}

var (
	varName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)
	oneRef  = regexp.MustCompile(`^\$\{[^{}]+\}$`)
)

// translate writes a text of a foreign config for Longshore's: references to the environment as
// Longshore has them, and a plain ${ as $${.
func (c *conversion) translate(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		written, used := c.reference(rest)
		b.WriteString(written)
		text = rest[used:]
	}
}

// reference returns what stands for a $ and the first bytes of rest.
func (c *conversion) reference(rest string) (written string, used int) {
	switch {
	case c.style.none:
	case c.style.doubled && strings.HasPrefix(rest, "$"):
		if strings.HasPrefix(rest, "${") {
			return "$${", 2
		}
		return "$", 1
	case strings.HasPrefix(rest, "{"):
		if end := strings.IndexByte(rest, '}'); end > 0 {
			if ref, ok := c.braced(rest[1:end]); ok {
				return ref, end + 1
			}
		}
	case c.style.bare && varName.MatchString(rest):
		name := varName.FindString(rest)
		c.wanted[name] = true
		return "${" + name + "}", len(name)
	}
	if strings.HasPrefix(rest, "{") {
		return "$${", 1
	}
	return "$", 0
}

// braced returns what stands for ${inner}.
func (c *conversion) braced(inner string) (string, bool) {
	if c.style.env {
		inner = strings.TrimPrefix(inner, "env:")
	}
	name := varName.FindString(inner)
	rest := inner[len(name):]
	switch {
	case name == "":
		return "", false
	case rest == "":
		c.wanted[name] = true
		return "${" + name + "}", true
	case strings.HasPrefix(rest, ":-"), strings.HasPrefix(rest, ":?"):
		return "${" + inner + "}", true
	case strings.HasPrefix(rest, ":") && c.style.colon:
		return "${" + name + ":-" + rest[1:] + "}", true
	case strings.HasPrefix(rest, "-") && c.style.dash:
		return "${" + name + ":" + rest + "}", true
	}
	return "", false
}

// secret returns what stands for a secret: a reference as it is, and for a literal one a variable
// of its own, with a note.
func (c *conversion) secret(n *node, output, what string) string {
	if n != nil && (n.expression || n.ref != "") {
		return c.text(n)
	}
	if n == nil || n.kind != scalarKind || n.text == "" {
		c.done(n)
		return ""
	}
	if written := c.translate(n.text); !c.style.none && oneRef.MatchString(written) {
		c.done(n)
		return written
	}
	c.done(n)
	return c.hide(n, output, what)
}

// hide returns a variable for a literal secret at a node.
func (c *conversion) hide(n *node, output, what string) string {
	name := strings.ToUpper(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(output+"_"+what, "_"))
	if !varName.MatchString(name) {
		name = "LONGSHORE_" + name
	}
	c.wanted[name] = true
	c.differs(n, "holds a secret, which is not copied: put it into the environment variable %s, or into a file and "+
		"write ${file:/path} instead", name)
	return "${" + name + "}"
}

var secretInQuery = regexp.MustCompile(`(?i)[?&][^=&]*(token|key|secret|passw|auth)[^=&]*=[^&$]+`)

// proxy returns the URL of a proxy, with its password as a variable.
func (c *conversion) proxy(n *node, output string) string {
	if n == nil {
		return ""
	}
	address, user, password := c.address(n, output+"_proxy")
	if user == "" {
		return address
	}
	if password != "" {
		user += ":" + password
	}
	return strings.Replace(address, "://", "://"+user+"@", 1)
}

// address returns a URL without the user and password in it, which it returns beside.
func (c *conversion) address(n *node, output string) (address, user, password string) {
	address = secretInQuery.ReplaceAllStringFunc(c.text(n), func(pair string) string {
		name, _, _ := strings.Cut(pair[1:], "=")
		return pair[:len(name)+2] + c.hide(n, output, name)
	})
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address, "", ""
	}
	host, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(host, '@')
	if at < 0 {
		return address, "", ""
	}
	address = scheme + "://" + rest[at+1:]
	user, password, _ = strings.Cut(host[:at], ":")
	if plain, err := url.PathUnescape(user); err == nil {
		user = plain
	}
	if password != "" && !oneRef.MatchString(password) {
		password = c.hide(n, output, "password")
	}
	return address, user, password
}
