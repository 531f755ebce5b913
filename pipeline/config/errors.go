package config

import (
	"fmt"
	"strings"
)

// An Error is one problem in a config. None of its texts holds a secret.
type Error struct {
	File string
	// Line and Column count from 1, columns in characters. Line 0 is the file as a whole.
	Line, Column int
	// Path is the setting, from the top: "outputs.loki.tls.ca_file". It is
	// empty for text that is not YAML.
	Path string
	// Message says what is wrong and what to do, without the path.
	Message string
	// Excerpt is the line of the file (a part of it, if it is long), with secrets
	// masked. The problem is Width characters of it, after the first Caret ones.
	Excerpt      string
	Caret, Width int
	// Renames is a deprecated name that stands there, and To the one that it has now; see Fix.
	Renames, To string
}

// Position returns file:line:column.
func (e Error) Position() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// What returns the path and the message.
func (e Error) What() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Source returns the excerpt with its line number, and below it the caret line;
// both are empty for a problem of the file as a whole.
func (e Error) Source() (line, caret string) {
	if e.Line == 0 || e.Excerpt == "" {
		return "", ""
	}
	number := fmt.Sprintf("%5d", e.Line)
	line = number + " | " + e.Excerpt
	caret = "      | " + blank(e.Excerpt, e.Caret) + strings.Repeat("^", max(e.Width, 1))
	return line, caret
}

// blank returns what is as wide as the first n characters of s: tabs for tabs, spaces for the rest.
func blank(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if n == 0 {
			break
		}
		n--
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Error returns the problem with its source, over up to three lines.
func (e Error) Error() string {
	text := e.Position() + ": " + e.What()
	if line, caret := e.Source(); line != "" {
		text += "\n" + line + "\n" + caret
	}
	return text
}

// Errors are all problems of a config, in the order of the file.
type Errors []Error

// Error returns all of them, one below the other.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i := range e {
		texts[i] = e[i].Error()
	}
	return strings.Join(texts, "\n")
}
