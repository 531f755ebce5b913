package config

import "strings"

// Fix returns a config with its deprecated names, of which the warnings are, replaced by those that
// they have now. Nothing else changes: comments, order and line ends stay. left are the warnings
// whose names do not stand in the text as they are, as those of an alias that is written elsewhere.
func Fix(text []byte, warnings Errors) (fixed []byte, left Errors) {
	lines := strings.SplitAfter(string(text), "\n")
	shift := map[int]int{} // by how many characters a line has grown
	for _, w := range warnings {
		if w.Renames == "" || w.Line < 1 || w.Line > len(lines) {
			left = append(left, w)
			continue
		}
		line, ok := replaceAt(lines[w.Line-1], w.Column-1+shift[w.Line], w.Renames, w.To)
		if !ok {
			left = append(left, w)
			continue
		}
		lines[w.Line-1] = line
		shift[w.Line] += len([]rune(w.To)) - len([]rune(w.Renames))
	}
	return []byte(strings.Join(lines, "")), left
}

// replaceAt replaces a name at a character of a line, in quotes or not.
func replaceAt(line string, at int, name, by string) (string, bool) {
	runes := []rune(line)
	if mark := "\ufeff"; strings.HasPrefix(line, mark) {
		at++ // which the columns do not count
	}
	if at < 0 || at > len(runes) {
		return line, false
	}
	before, rest := string(runes[:at]), string(runes[at:])
	for _, quote := range []string{"", `"`, "'"} {
		if after, ok := strings.CutPrefix(rest, quote+name+quote); ok {
			return before + quote + by + quote + after, true
		}
	}
	return line, false
}
