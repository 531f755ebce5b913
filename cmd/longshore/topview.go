package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/longshore/longshore/pipeline"
)

// A topStatus is what of /api/v1/status is shown.
type topStatus struct {
	Version      string
	Started, Now time.Time
	Ready        bool
	Problems     []struct {
		Kind, Name, Reason string
		Since              time.Time
	}
	Inputs      []topInput
	Outputs     []topOutput
	DeadLetters []struct {
		Output string
		Bytes  int64
	} `json:"dead_letters"`
}

type topInput struct {
	Name, Type  string
	Sources     int
	Read        uint64
	UnreadBytes int64   `json:"unread_bytes"`
	Lag         float64 `json:"lag_seconds"`
	SourceList  []struct {
		Key         string
		UnreadBytes int64 `json:"unread_bytes"`
	} `json:"source_list"`
}

type topOutput struct {
	Name, Type, Location      string
	Delivered, Rejected, Lost uint64
	Filtered                  uint64
	InFlight                  int64 `json:"in_flight"`
	Behind, Aside             int64
	QueuedBytes               int64   `json:"queued_bytes"`
	QueueSize                 int64   `json:"queue_size"`
	SpoolBytes                int64   `json:"spool_bytes"`
	SpoolSize                 int64   `json:"spool_size"`
	Lag                       float64 `json:"lag_seconds"`
}

// A topScreen draws what a status shows.
type topScreen struct {
	style         style
	address       string
	width, height int   // 0: as large as it is
	err           error // why there is no newer status
	hint          bool  // how to leave
}

// text returns the tables. before, which may be nil, is an earlier status, for rates.
func (s topScreen) text(before, now *topStatus) string {
	lines := append(s.head(now), s.wrong(now)...)
	lines = append(lines, "")
	lines = append(lines, s.table(inputRows(before, now))...)
	if len(now.Outputs) > 0 {
		lines = append(lines, "")
		lines = append(lines, s.table(outputRows(before, now))...)
	}
	if s.height > 2 && len(lines) > s.height-1 {
		more := len(lines) - s.height + 2
		lines = append(lines[:s.height-2], string(s.style.dim(fmt.Sprintf("… %s", pipeline.Count(more, "more line")))))
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s topScreen) head(now *topStatus) []string {
	state := s.style.green("ready")
	switch {
	case s.err != nil:
		state = s.style.red("no answer")
	case len(now.Problems) > 0:
		state = s.style.red("degraded")
	case !now.Ready:
		state = s.style.yellow("starting or stopping")
	}
	var b strings.Builder
	printf(&b, "%s %s at %s, up %s: %s", s.style.bold("longshore"), now.Version, s.address,
		now.Now.Sub(now.Started).Round(time.Second), state)
	if s.hint {
		printf(&b, "%s", s.style.dim("   q to quit"))
	}
	lines := []string{b.String()}
	if s.err != nil {
		lines = append(lines, s.line(s.style.red, s.err.Error()))
	}
	return lines
}

// line returns a text as a line of the screen.
func (s topScreen) line(in func(string) styled, text string) string {
	text = printable(text)
	if s.width > 0 {
		text = runewidth.Truncate(text, s.width, "…")
	}
	return string(in(text))
}

// table returns rows with their columns side by side, the first of them as the head.
func (s topScreen) table(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
			if columns(row[i]) > maxName {
				row[i] = runewidth.Truncate(row[i], maxName, "…")
			}
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	var lines []string
	for k, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-columns(cell)+2))
		}
		in := plain
		if k == 0 {
			in = s.style.bold
		}
		lines = append(lines, s.line(in, strings.TrimRight(b.String(), " ")))
	}
	return lines
}

func inputRows(before, now *topStatus) [][]string {
	rows := [][]string{{"INPUT", "TYPE", "SOURCES", "LINES/S", "LINES", "UNREAD", "LAG"}}
	for i := range now.Inputs {
		in := &now.Inputs[i]
		earlier := func(s *topStatus) uint64 {
			k := slices.IndexFunc(s.Inputs, func(o topInput) bool { return o.Name == in.Name })
			if k < 0 {
				return in.Read
			}
			return s.Inputs[k].Read
		}
		rows = append(rows, []string{in.Name, in.Type, fmt.Sprint(in.Sources), rate(before, now, in.Read, earlier),
			fmt.Sprint(in.Read), pipeline.Size(in.UnreadBytes).Rounded(), seconds(in.Lag)})
	}
	return rows
}

func outputRows(before, now *topStatus) [][]string {
	rows := [][]string{{"OUTPUT", "TYPE", "RECORDS/S", "DELIVERED", "WAITING", "LAG", "QUEUE", "SPOOL", "REJECTED",
		"LOST"}}
	for i := range now.Outputs {
		out := &now.Outputs[i]
		earlier := func(s *topStatus) uint64 {
			k := slices.IndexFunc(s.Outputs, func(o topOutput) bool { return o.Name == out.Name })
			if k < 0 {
				return out.Delivered
			}
			return s.Outputs[k].Delivered
		}
		rows = append(rows, []string{out.Name, out.Type, rate(before, now, out.Delivered, earlier),
			fmt.Sprint(out.Delivered), fmt.Sprint(out.InFlight), seconds(out.Lag), fill(out.QueuedBytes, out.QueueSize),
			fill(out.SpoolBytes, out.SpoolSize), fmt.Sprint(out.Rejected), fmt.Sprint(out.Lost)})
	}
	return rows
}

// rate returns how much something grows a second; of what began anew meanwhile, 0.
func rate(before, now *topStatus, count uint64, earlier func(*topStatus) uint64) string {
	if before == nil || !now.Now.After(before.Now) {
		return "-"
	}
	was := earlier(before)
	if count < was {
		return "0"
	}
	return fmt.Sprintf("%.0f", float64(count-was)/now.Now.Sub(before.Now).Seconds())
}

func seconds(lag float64) string {
	switch {
	case lag <= 0:
		return "0s"
	case lag < 10:
		return fmt.Sprintf("%.1fs", lag)
	}
	// As many as fit: a clock that is set wrong may say anything.
	return time.Duration(min(lag, 1e9) * float64(time.Second)).Round(time.Second).String()
}

// fill returns how full something is.
func fill(bytes, size int64) string {
	if size <= 0 {
		return "-"
	}
	return fmt.Sprintf("%d%% of %s", min(100, (bytes*100+size-1)/size), pipeline.Size(size))
}

// maxBehindSources is how many of the sources that are furthest behind are listed.
const maxBehindSources = 5

// wrong returns what is wrong, in words, and what is furthest behind.
func (s topScreen) wrong(now *topStatus) []string {
	var lines []string
	add := func(in func(string) styled, format string, args ...any) {
		lines = append(lines, s.line(in, fmt.Sprintf(format, args...)))
	}
	for _, p := range now.Problems {
		add(s.style.red, "%s %s, for %s: %s", p.Kind, p.Name, now.Now.Sub(p.Since).Round(time.Second), p.Reason)
	}
	for i := range now.Outputs {
		out := &now.Outputs[i]
		if out.Behind > 0 {
			add(s.style.yellow, "output %s has yet to read %d records that it missed", out.Name, out.Behind)
		}
		if out.Aside > 0 {
			add(s.style.yellow, "output %s: %d records wait aside, as something on the way refuses them", out.Name,
				out.Aside)
		}
	}
	for _, d := range now.DeadLetters {
		if d.Bytes > 0 {
			add(s.style.yellow, "output %s: %s of dead letters; see longshore replay --dry-run", d.Output,
				pipeline.Size(d.Bytes).Rounded())
		}
	}
	for _, l := range s.furthestBehind(now) {
		add(plain, "%s", l)
	}
	return lines
}

// furthestBehind names the sources with most that is unread.
func (s topScreen) furthestBehind(now *topStatus) []string {
	type source struct {
		name   string
		unread int64
	}
	var all []source
	for _, in := range now.Inputs {
		for _, src := range in.SourceList {
			if src.UnreadBytes > 1<<20 {
				all = append(all, source{src.Key, src.UnreadBytes})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b source) int { return cmp.Compare(b.unread, a.unread) })
	var lines []string
	for _, src := range all[:min(len(all), maxBehindSources)] {
		lines = append(lines, fmt.Sprintf("%s has %s unread", src.name, pipeline.Size(src.unread).Rounded()))
	}
	return lines
}
