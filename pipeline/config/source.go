package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// A span is a range of the source, from a line and column up to, and not including, another. Both
// count from 1, columns in characters; the zero span is the file as a whole.
type span struct {
	line, col       int
	endLine, endCol int
}

// A source is the text of a config, as errors quote it.
type source struct {
	file  string
	lines []string
	// masked are the spans that hold a secret.
	masked []span
	// hideAll masks by name whatever looks like a secret: for text that could not be read as YAML.
	hideAll bool
}

func newSource(file, text string) *source {
	return &source{file: file, lines: strings.Split(text, "\n")}
}

func (s *source) mask(p span) { s.masked = append(s.masked, p) }

// onLine returns the part of a line of the given length that is in p, from 0.
func (s *source) onLine(p span, line, length int) (from, to int) {
	from, to = 0, length
	if line == p.line {
		from = min(max(p.col-1, 0), length)
	}
	if line == p.endLine {
		to = min(max(p.endCol-1, from), length)
	}
	return from, to
}

// excerptWidth is how much of a line an error quotes.
const excerptWidth = 110

// excerpt returns the line of p as an error may show it, and where in it p is.
func (s *source) excerpt(p span) (text string, caret, width int) {
	if p.line < 1 || p.line > len(s.lines) {
		return "", 0, 0
	}
	line := []rune(s.lines[p.line-1])
	from, to := s.onLine(span{p.line, p.col, p.line, p.endCol}, p.line, len(line))
	if p.endLine != p.line {
		to = len(line)
	}
	for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	shown, from, to := s.maskLine(line, p.line, from, to)
	shown, from, to = window(shown, from, to)
	return string(shown), from, to - from
}

var stars = []rune("***")

// maskLine replaces the secrets of a line, and moves the marked part along.
func (s *source) maskLine(line []rune, number, from, to int) ([]rune, int, int) {
	var out []rune
	done := 0
	newFrom, newTo := from, to
	for _, m := range s.secretsOn(line, number) {
		a, b := max(m[0], done), m[1]
		if b <= a {
			continue
		}
		out = append(append(out, line[done:a]...), stars...)
		shift := len(stars) - (b - a)
		newFrom = moved(from, newFrom, a, b, shift)
		newTo = moved(to, newTo, a, b, shift)
		done = b
	}
	out = append(out, line[done:]...)
	newFrom = min(max(newFrom, 0), len(out))
	newTo = min(max(newTo, newFrom), len(out))
	return out, newFrom, newTo
}

// moved says where a mark is after line[a:b] became len(b-a)+shift characters.
func moved(original, current, a, b, shift int) int {
	switch {
	case original >= b:
		return current + shift
	case original > a:
		return current - (original - a)
	}
	return current
}

// secretsOn returns the stretches of a line that must not be shown, in order.
func (s *source) secretsOn(line []rune, number int) [][2]int {
	var found [][2]int
	for _, p := range s.masked {
		if number < p.line || number > p.endLine {
			continue
		}
		from, to := s.onLine(p, number, len(line))
		for from < to && line[from] == ' ' {
			from++
		}
		for to > from && line[to-1] == ' ' {
			to--
		}
		found = append(found, [2]int{from, to})
	}
	text := string(line)
	found = appendMatches(found, text, userinfo)
	if s.hideAll {
		found = appendMatches(found, text, secretByName)
		if s.belowSecret(number) {
			found = append(found, [2]int{len(line) - len([]rune(strings.TrimLeft(text, " \t"))), len(line)})
		}
	}
	slices.SortFunc(found, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	return found
}

// belowSecret reports whether a line is indented under one that names a secret.
func (s *source) belowSecret(number int) bool {
	depth := indent(s.lines[number-1])
	for i := number - 2; i >= 0 && depth > 0; i-- {
		line := s.lines[i]
		if strings.TrimSpace(line) == "" || indent(line) >= depth {
			continue
		}
		if secretAbove.MatchString(line) {
			return true
		}
		depth = indent(line)
	}
	return false
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// Where a pattern has a group, that is what to hide. Text that could not be read as YAML
// is rather hidden too much.
var (
	userinfo     = regexp.MustCompile(`://([^/@\s"'$]+)@`)
	secretByName = regexp.MustCompile(`(?i)(?:` + looseWords + `)[\w.-]*["']?\s*[:=]\s*([^\s$].*)`)
	secretAbove  = regexp.MustCompile(`(?i)(?:` + looseWords + `)[\w.-]*["']?\s*:`)
)

const looseWords = `pass|pw|secret|token|key|cred|auth|cookie|bearer|headers`

// secretWords are what names of secrets are made of, whether a component knows them or not.
const secretWords = `passw|passphrase|secret|token|api[-_]?key|private[-_]?key|credential|authorization|cookie|bearer`

func appendMatches(to [][2]int, text string, pattern *regexp.Regexp) [][2]int {
	for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
		from := len([]rune(text[:m[2]]))
		to = append(to, [2]int{from, from + len([]rune(text[m[2]:m[3]]))})
	}
	return to
}

// window cuts a long line down to the surroundings of its marked part.
func window(line []rune, from, to int) ([]rune, int, int) {
	if len(line) <= excerptWidth {
		return line, from, to
	}
	start := max(0, min(from-excerptWidth/3, len(line)-excerptWidth))
	end := min(len(line), start+excerptWidth)
	cut := slices.Clone(line[start:end])
	if start > 0 {
		cut[0] = '…'
	}
	if end < len(line) {
		cut[len(cut)-1] = '…'
	}
	return cut, from - start, min(to, end) - start
}
