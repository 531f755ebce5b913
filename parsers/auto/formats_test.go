package auto

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

var update = flag.Bool("update", false, "write docs/formats.md anew")

const formatsPage = "../../docs/formats.md"

const formatsHead = `# Formats that are understood without configuration

This page is written by the tests of the parser ` + "`auto`" + ` from its golden files, in ` + "`parsers/auto/testdata`" + `: one file a
row, with lines and the records they become side by side. Most lines were written by the libraries themselves.
"Taken for" is what ` + "`longshore try`" + ` names a record's format.

## Times

The layouts are those of ISO 8601 (also with the day of the year) and RFC 3339, 2822 and 3164, C, Java, JavaScript, .NET and Erlang,
and Unix times in any unit; ` + "`parsers/auto/testdata/times.txt`" + ` has one of each. Months may have their names in German, French, Spanish, Italian, Portuguese, Dutch,
Swedish, Danish, Norwegian and Polish. What a time leaves open is settled by rules that need only the line and the
time that its source knows, so that a second reading comes to the same:

- **No zone**: that of the setting ` + "`timezone`" + `, UTC unless you say otherwise. Where the source knows when a line was written (a
  container's log), a time that is whole quarter hours away from that was written in another zone, and is read in that: up to 5 minutes
  late if it is ahead, up to 2 seconds if it is behind.
- **A zone's name** that several zones have: if the zone of ` + "`timezone`" + ` is called so in summer or winter, it is that one; otherwise the
  one of most people who write logs. ` + "`IST`" + ` is India's, ` + "`CST`, `EST`, `MST` and `PST`" + ` are North America's, ` + "`BST`" + ` is Britain's summer
  time, ` + "`AST`" + ` the Atlantic's, ` + "`GST`" + ` the Gulf's. So for China's ` + "`CST`" + ` set ` + "`timezone: Asia/Shanghai`" + `. Behind a name that nobody
  knows, the time is not taken.
- **No year**: the one that brings the time nearest to the source's, and not more than a day after it.
- **Order**: ` + "`05/04/2026`" + ` has the month first, unless that is far from the source's time and the other way is within two days of it;
  with dots or dashes the day is first. ` + "`05/04/26`" + ` is read in the order that brings it nearest.
- **Out of reach**: a time that is more than a day after the source's, or five years before it, is not taken (` + "`time_rejected`" + `).

## Levels

A level is one of trace, debug, info, warn, error and fatal; ` + "`notice`" + ` counts as info, ` + "`crit`, `alert` and `emerg`" + ` as fatal. Under a key
that holds levels (` + "`level`, `severity`, `lvl`, `PRIORITY`" + ` and others) it may be a word in any case, a letter, or a number of the scale
that the key stands for. In text it is one where programs write levels, not people:

- beside the time: in capitals, in brackets of any kind, before a colon, between bars, dashes, tabs or two colons, padded to a column,
  as ` + "`level=`" + ` or ` + "`severity=`" + `, or bare (` + "`info started`" + `) where no sentence begins with it;
- behind numbers, hosts, files, callers, threads, components in capitals and groups in brackets, up to the first words of a sentence;
- as a single letter before or behind the time: in brackets, before a group, before a file and line;
- as the words into which PostgreSQL and java.util.logging translate them (WARNUNG, FEHLER, SCHWERWIEGEND, ERREUR, AVERTISSEMENT,
  GRAVE, INFOS, ADVERTENCIA, AVVERTENZA);
- as the severity of a CEF or LEEF event: up to 3 info, up to 6 warn, 7 and 8 error, 9 and 10 fatal;
- as a syslog priority, facility and severity (` + "`daemon.err`" + `), or the status of a request: 5xx is an error, 4xx a warning;
- at the start of a line without a time: in capitals, in brackets, or before a colon; also behind a program's name and a colon in
  capitals (` + "`oscap: ERROR: …`" + `), and behind a time of day that has a fraction.

` + "`parsers/auto/testdata/any-head.txt`" + ` has lines of each kind; ` + "`harmless.txt`" + ` and ` + "`negative.txt`" + ` have what is no level and no time. What
is not read: levels behind two or more words of a sentence, names of months in other scripts than the Latin, ` + "`06-11-2024`" + ` with the
month first unless it is of the last days, times of day without a date, ten digits that neither a date nor the source's time and a host
behind them confirm, the fields of CEF and LEEF, and numbers for levels in XML.

## Formats

| from | taken for | time | level | trace | span | service | besides |
| --- | --- | --- | --- | --- | --- | --- | --- |
`

// notFormats are the golden files that are about something else.
var notFormats = []string{"negative", "harmless", "traces", "times", "json", "multiline"}

// TestFormatsPage sees to it that the page says what the parser does.
func TestFormatsPage(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, file := range files {
		if !slices.Contains(notFormats, strings.TrimSuffix(filepath.Base(file), ".txt")) {
			rows = append(rows, formatRow(t, file))
		}
	}
	if len(rows) < 60 {
		t.Errorf("%d formats are too few", len(rows))
	}
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	page := formatsHead + strings.Join(rows, "")
	if *update {
		if err := os.WriteFile(formatsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(formatsPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), page); diff != "" {
		t.Errorf("%s is stale; go test ./parsers/auto -run FormatsPage -update writes it: -have +want:\n%s",
			formatsPage, diff)
	}
}

// formatRow tells what was found in any of the lines of a golden file.
func formatRow(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
	found := finding{besides: map[string]bool{}}
	src := event.NewSource(1, "test", file, nil)
	p, at := New(nil), int64(1714564810e9)
	lines := strings.Split(string(text), "\n")
	for n, line := range lines {
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "@":
			if moment, err := time.Parse(time.RFC3339Nano, rest); err == nil {
				at = moment.UnixNano()
			}
		case "<":
			for _, more := range lines[n+1:] {
				if !strings.HasPrefix(more, "|") {
					break
				}
				rest += "\n" + strings.TrimPrefix(more[1:], " ")
			}
			b := pipetest.ParserBatch(src, at, []byte(rest))
			if p.Parse(b, 1) {
				found.note(b, 1)
			}
		}
	}
	return fmt.Sprintf("| %s | %s |\n", strings.TrimSuffix(strings.ReplaceAll(title, "|", `\|`), "."),
		strings.Join(found.cells(), " | "))
}

type finding struct {
	formats []string
	flags   event.Flags
	level   bool
	service bool
	besides map[string]bool
}

func (f *finding) note(b *event.Batch, i int) {
	rec := &b.Records[i]
	if name := rec.Format.String(); !slices.Contains(f.formats, name) {
		f.formats = append(f.formats, name)
	}
	f.flags |= rec.Flags
	f.level = f.level || rec.Level != event.NoLevel
	f.service = f.service || rec.Service.Kind != event.None
	for _, field := range b.Fields(i) {
		switch name := string(b.Bytes(field.Key.Span)); name {
		case "thread", "logger", "pid", "caller", "status", "method", "path", "hostname", "stream":
			f.besides[name] = true
		}
	}
}

func (f *finding) cells() []string {
	slices.Sort(f.formats)
	var besides []string
	for name := range f.besides {
		besides = append(besides, name)
	}
	slices.Sort(besides)
	cells := []string{strings.Join(f.formats, ", ")}
	for _, is := range []bool{f.flags&event.LineTime != 0, f.level, f.flags&event.HasTrace != 0,
		f.flags&event.HasSpan != 0, f.service} {
		cells = append(cells, map[bool]string{true: "✓"}[is])
	}
	return append(cells, strings.Join(besides, ", "))
}
