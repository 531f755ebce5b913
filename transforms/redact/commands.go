package redact

import "bytes"

// A command takes a secret in an argument whose flag does not say so.
type command struct {
	text  string
	flags []string
	// attached flags have their argument behind them, without a blank.
	attached bool
	// user is set if the argument is user:password.
	user bool
}

var commands = []command{
	{text: "curl", flags: []string{"-u", "--user", "-U", "--proxy-user"}, user: true},
	{text: "mysql", flags: []string{"-p"}, attached: true},
	{text: "mariadb", flags: []string{"-p"}, attached: true},
	{text: "sshpass", flags: []string{"-p"}},
	{text: "redis-cli", flags: []string{"-a"}},
	{text: "mongosh", flags: []string{"-p"}},
	{text: "docker login", flags: []string{"-p"}},
	{text: "ldapsearch", flags: []string{"-w"}}, {text: "ldapmodify", flags: []string{"-w"}},
	{text: "ldapwhoami", flags: []string{"-w"}},
}

// longestCommand bounds how far from a command its arguments are looked for, in bytes.
const longestCommand = 1024

// scanCommands appends the secrets in the arguments of commands.
func scanCommands(p []byte, found []finding) []finding {
	for i := range commands {
		c := &commands[i]
		for at := 0; ; {
			next := bytes.Index(p[at:], []byte(c.text))
			if next < 0 {
				break
			}
			at += next + len(c.text)
			found = c.scan(p, &at, found)
		}
	}
	return found
}

// scan appends the secrets in the arguments that begin at an index, and moves it behind them.
func (c *command) scan(p []byte, at *int, found []finding) []finding {
	end := min(len(p), *at+longestCommand)
	isArgument := false
	for {
		from, to := nextWord(p, *at, end)
		if from == to {
			return found
		}
		*at = to
		word := p[from:to]
		if isArgument {
			isArgument = false
			found = c.argument(p, from, to, found)
			continue
		}
		for _, flag := range c.flags {
			rest, ok := bytes.CutPrefix(word, []byte(flag))
			switch {
			case !ok:
			case len(rest) == 0:
				isArgument = !c.attached
			case rest[0] == '=':
				found = c.argument(p, to-len(rest)+1, to, found)
			case len(flag) == 2 && (!c.user || bytes.IndexByte(rest, ':') > 0):
				found = c.argument(p, to-len(rest), to, found)
			}
		}
	}
}

// argument appends the secret in an argument.
func (c *command) argument(p []byte, from, to int, found []finding) []finding {
	if c.user {
		colon := bytes.IndexByte(p[from:to], ':')
		if colon < 0 {
			return found
		}
		from += colon + 1
	}
	if isHarmless(p[from:to]) {
		return found
	}
	for p[to-1] == ']' || p[to-1] == '}' || p[to-1] == ')' {
		to--
	}
	return append(found, finding{from: from, to: to})
}

// nextWord returns the next word of a command line, or of a list of words in quotes. It is empty
// where the command ends.
func nextWord(p []byte, at, end int) (from, to int) {
	for at < end && (p[at] == ' ' || p[at] == ',' || p[at] == '"' || p[at] == '\'' || p[at] == '\\') {
		at++
	}
	from = at
	for at < end && p[at] > ' ' && p[at] != '"' && p[at] != '\'' && p[at] != '\\' && p[at] != '|' && p[at] != ';' &&
		(p[at] != ',' || at+1 < end && p[at+1] != '"' && p[at+1] != ' ') {
		at++
	}
	return from, at
}
