package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

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

// styled is a text whose control characters are the program's own. See printf.
type styled string

func (s style) bold(text string) styled   { return s.wrap("1", text) }
func (s style) dim(text string) styled    { return s.wrap("2", text) }
func (s style) red(text string) styled    { return s.wrap("1;31", text) }
func (s style) green(text string) styled  { return s.wrap("1;32", text) }
func (s style) yellow(text string) styled { return s.wrap("1;33", text) }

func (s style) wrap(code, text string) styled {
	text = printableLines(text)
	if !s {
		return styled(text)
	}
	return styled("\x1b[" + code + "m" + text + "\x1b[0m")
}

// printf prints what a human reads, and is the one way to do so: texts from outside (names, paths,
// excerpts, answers of destinations) cannot control a terminal. Of all arguments only errors may
// have several lines.
func printf(w io.Writer, format string, args ...any) (int, error) {
	for i, arg := range args {
		switch v := arg.(type) {
		case styled:
		case string:
			args[i] = printable(v)
		case error:
			args[i] = printableLines(v.Error())
		case fmt.Stringer:
			args[i] = printable(v.String())
		}
	}
	return fmt.Fprintf(w, format, args...)
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
			printf(a.stderr, "\r\x1b[K")
			return
		case <-tick.C:
			printf(a.stderr, "\r\x1b[K%s", progress())
		}
	}
}

// bar draws a progress bar.
func bar(done, total int) string {
	const width = 30
	full := width * done / max(total, 1)
	return fmt.Sprintf("%s%s %d of %d", strings.Repeat("█", full), strings.Repeat("░", width-full), done, total)
}

// printable replaces what controls a terminal or hides what a text says: control characters, line
// ends, marks of direction, characters without a width.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return '·'
	}, text)
}

// printableLines is printable for each line of a text.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// A jsonWriter writes JSON, with \u escapes for what printable replaces: a log is read on
// terminals, too.
type jsonWriter struct{ out io.Writer }

// Write implements io.Writer. It is called with whole lines of valid JSON.
func (w jsonWriter) Write(p []byte) (int, error) {
	if _, err := w.out.Write(escapeHidden(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// escapeHidden escapes characters beyond ASCII that are not graphic, in JSON.
func escapeHidden(p []byte) []byte {
	isHidden := func(r rune) bool { return r > '~' && !unicode.IsGraphic(r) }
	if bytes.IndexFunc(p, isHidden) < 0 {
		return p
	}
	var b []byte
	for _, r := range string(p) {
		switch {
		case !isHidden(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}
