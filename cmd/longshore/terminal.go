package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// A style colours text, if it is true.
type style bool

// styleOf returns the style for a writer: colours on a terminal, but for NO_COLOR
// (https://no-color.org) and TERM=dumb.
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

// watch shows the progress of run on a terminal.
func (a *app) watch(progress func() string, run func()) {
	if !a.styleOf(a.stderr) {
		run()
		return
	}
	done := make(chan struct{})
	go func() { run(); close(done) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			fmt.Fprint(a.stderr, "\r\x1b[K")
			return
		case <-tick.C:
			fmt.Fprintf(a.stderr, "\r\x1b[K%s", progress())
		}
	}
}

// bar draws a progress bar.
func bar(done, total int) string {
	const width = 30
	full := width * done / max(total, 1)
	return fmt.Sprintf("%s%s %d of %d", strings.Repeat("█", full), strings.Repeat("░", width-full), done, total)
}

// printable replaces control characters, so that foreign text, such as a destination's answer,
// cannot control the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}
