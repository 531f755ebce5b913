package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// A style colours text, if it is for a terminal.
type style bool

// styleOf gives the style for a writer: colours on a terminal, unless NO_COLOR
// (https://no-color.org) or TERM=dumb forbids them.
func (a *app) styleOf(w io.Writer) style {
	if !isTerminal(w) {
		return false
	}
	noColor, _ := a.env("NO_COLOR")
	terminal, _ := a.env("TERM")
	return style(noColor == "" && terminal != "dumb")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s style) bold(text string) string  { return s.wrap("1", text) }
func (s style) dim(text string) string   { return s.wrap("2", text) }
func (s style) red(text string) string   { return s.wrap("1;31", text) }
func (s style) green(text string) string { return s.wrap("1;32", text) }

func (s style) wrap(code, text string) string {
	if !s {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
