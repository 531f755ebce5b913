package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A tailRecord is a record to be shown.
type tailRecord struct {
	json  []byte // as the API has it
	nanos int64

	Time                                   time.Time
	Level, Container, Source, Message, Raw string
	TraceID                                string `json:"trace_id"`
	Fields                                 json.RawMessage
	Truncated                              bool
}

func newTailRecord(record []byte) *tailRecord {
	r := &tailRecord{json: record}
	_ = json.Unmarshal(record, r) // it is our own
	r.nanos = r.Time.UnixNano()
	return r
}

// A tailView writes records for people, or as JSON or raw lines.
type tailView struct {
	out    io.Writer
	style  style
	form   string
	unfold bool
	width  func() int // of the terminal; 0 where there is none
	now    func() time.Time
	names  map[string]string // of sources, by their paths
	taken  map[string]string // the other way round
}

func newTailView(a *app, form string, unfold bool) *tailView {
	v := &tailView{out: a.stdout, style: a.styleOf(a.stdout), form: form, unfold: unfold, now: time.Now,
		width: func() int { return widthOf(a.stdout) }, names: map[string]string{}, taken: map[string]string{}}
	return v
}

// widthOf returns how many columns a terminal has; 0 for what is none.
func widthOf(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	width, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil {
		return 0
	}
	return width
}

// show writes a record.
func (v *tailView) show(r *tailRecord) error {
	switch v.form {
	case "json":
		_, err := jsonWriter{v.out}.Write(append(r.json, '\n'))
		return err
	case "raw":
		return v.showRaw(r)
	}
	_, err := io.WriteString(v.out, v.text(r))
	return err
}

// showRaw writes the lines of a record as they are, but to a terminal.
func (v *tailView) showRaw(r *tailRecord) error {
	text := r.Raw
	if v.width() > 0 {
		text = printableLines(text)
	}
	_, err := io.WriteString(v.out, text+"\n")
	return err
}

const (
	clockForm = "15:04:05.000"
	dateForm  = "2006-01-02 " + clockForm
	// leastText is how many columns a text has beside its head, or it stands below it.
	leastText = 30
	// indentBelow is how far it is indented there.
	indentBelow = 4
	// shortText is how many characters of a text are shown on a terminal, and foldedFrom from how
	// many lines it is folded, unless all is asked for.
	shortText, foldedFrom = 1000, 4
	// maxName bounds the columns of a source's name.
	maxName = 40
	// maxSources bounds the sources whose names are remembered.
	maxSources = 10_000
)

// text returns a record as text, with its line end.
func (v *tailView) text(r *tailRecord) string {
	at := r.Time.In(v.now().Location())
	form := clockForm
	if at.Format(time.DateOnly) != v.now().Format(time.DateOnly) {
		form = dateForm
	}
	clock, name, level := at.Format(form), printable(v.nameOf(r)), fmt.Sprintf("%-5s", strings.ToUpper(r.Level))
	if columns(name) > maxName {
		name = runewidth.Truncate(name, maxName, "…")
	}
	var b strings.Builder
	printf(&b, "%s %s %s ", v.style.dim(clock), v.style.wrap(colourOf(name), name), v.level(r.Level, level))
	p := paragraph{b: &b, style: v.style, width: v.width(), column: len(clock) + 3 + columns(name) + columns(level)}
	p.indent = p.column
	if p.width > 0 && p.width-p.indent < leastText {
		p.indent = indentBelow
	}
	v.message(&p, r)
	v.fields(&p, r)
	b.WriteByte('\n')
	return b.String()
}

func (v *tailView) level(level, text string) styled {
	switch level {
	case "fatal":
		return v.style.wrap("1;37;41", text)
	case "error":
		return v.style.red(text)
	case "warn":
		return v.style.yellow(text)
	case "info":
		return v.style.green(text)
	}
	return v.style.dim(text)
}

// sourceColours are those that say nothing of a level.
var sourceColours = [...]string{"36", "35", "34", "96", "95", "94", "1;36", "1;35", "1;34"}

// colourOf returns the colour of a source, the same in every run.
func colourOf(name string) string {
	h := fnv.New32a()
	io.WriteString(h, name)
	return sourceColours[h.Sum32()%uint32(len(sourceColours))]
}

// nameOf returns a short name of a record's source: its container, or the file without its folder
// where no other has that name.
func (v *tailView) nameOf(r *tailRecord) string {
	if r.Container != "" {
		return r.Container
	}
	if name, known := v.names[r.Source]; known {
		return name
	}
	name := filepath.Base(r.Source)
	if of, taken := v.taken[name]; taken && of != r.Source {
		name = r.Source
	}
	if len(v.names) < maxSources {
		v.names[r.Source], v.taken[name] = name, r.Source
	}
	return name
}

// message writes the message, folded unless all is asked for.
func (v *tailView) message(p *paragraph, r *tailRecord) {
	lines := strings.Split(strings.TrimRight(r.Message, "\r\n"), "\n")
	if v.unfold || len(lines) < foldedFrom {
		for i, line := range lines {
			if i > 0 {
				p.newLine()
			}
			v.line(p, line)
		}
		return
	}
	v.line(p, lines[0])
	hidden := len(lines) - 1
	last := lines[len(lines)-1]
	if isHeading(last) {
		hidden--
	}
	p.newLine()
	p.write(v.style.dim, "… "+pipeline.Count(hidden, "more line"))
	if isHeading(last) { // as in Python, where it says what went wrong
		p.newLine()
		v.line(p, last)
	}
}

// isHeading reports whether a line of a stack trace is none of its frames.
func isHeading(line string) bool {
	return strings.TrimSpace(line) != "" && !strings.ContainsAny(line[:1], " \t})]") &&
		!strings.HasPrefix(line, "at ") && !strings.HasPrefix(line, "...")
}

// line writes a line of the message; on a terminal the beginning of a long one.
func (v *tailView) line(p *paragraph, line string) {
	line = strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")
	if v.unfold || p.width == 0 || len(line) <= shortText {
		p.write(plain, line)
		return
	}
	short := event.TruncateText(line, shortText)
	p.write(plain, short)
	p.write(v.style.dim, fmt.Sprintf(" … %d more characters", utf8.RuneCountInString(line[len(short):])))
}

func plain(text string) styled { return styled(printable(text)) }

// fields writes what a record has beside its message.
func (v *tailView) fields(p *paragraph, r *tailRecord) {
	all := jsonFields(r.Fields)
	if r.TraceID != "" {
		all = append(all, jsonField{"trace_id", r.TraceID})
	}
	if r.Truncated {
		all = append(all, jsonField{"truncated", "true"})
	}
	for _, f := range all {
		value := f.value
		if lines := strings.Count(value, "\n"); lines > 0 && !v.unfold {
			value, _, _ = strings.Cut(value, "\n")
			value += fmt.Sprintf(" … %s", pipeline.Count(lines, "more line"))
		}
		if !v.unfold && p.width > 0 && len(value) > shortText/5 {
			value = event.TruncateText(value, shortText/5) + "…"
		}
		if value == "" || strings.ContainsAny(value, " \"\n\t") && !isJSON(value) {
			value = string(event.AppendString(nil, value))
		}
		p.word(v.style.dim, f.name+"="+value)
	}
}

func isJSON(text string) bool {
	return (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text))
}

// A paragraph is text that is wrapped at the terminal's width and indented from its second line on.
type paragraph struct {
	b             *strings.Builder
	style         style
	width, indent int // of the terminal, 0 for none; of the lines but the first
	column        int
}

func (p *paragraph) newLine() {
	p.b.WriteString("\n" + strings.Repeat(" ", p.indent))
	p.column = p.indent
}

// word writes a text that is not broken where it need not be, after a space.
func (p *paragraph) word(in func(string) styled, text string) {
	text = printable(text)
	if p.width > 0 && p.column+1+columns(text) > p.width && p.column > p.indent {
		p.newLine()
	} else {
		p.b.WriteByte(' ')
		p.column++
	}
	p.write(in, text)
}

// write writes a text, which is broken at spaces if there are any.
func (p *paragraph) write(in func(string) styled, text string) {
	text = printable(text)
	for p.width > 0 {
		n := p.fitting(text)
		if n == len(text) {
			break
		}
		printf(p.b, "%s", in(strings.TrimRight(text[:n], " ")))
		text = strings.TrimLeft(text[n:], " ")
		p.newLine()
	}
	printf(p.b, "%s", in(text))
	p.column += columns(text)
}

// fitting returns how much of a text goes on the line: up to a space, if that is in its second
// half.
func (p *paragraph) fitting(text string) int {
	room, n := max(p.width-p.column, 1), 0
	for i, r := range text {
		w := runewidth.RuneWidth(r)
		if room -= w; room < 0 && (i > 0 || p.column > p.indent) {
			if at := strings.LastIndexByte(text[:i], ' '); at > i/2 {
				return at + 1
			}
			return i
		}
		n = i + utf8.RuneLen(r)
	}
	return n
}

// columns returns how many columns a printable text takes.
func columns(text string) int { return runewidth.StringWidth(text) }
