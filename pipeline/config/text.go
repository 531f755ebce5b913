package config

import (
	"regexp"
	"strings"
)

// Text returns the config as it was written, with secrets masked: those of settings, whatever else
// repeats them, and what looks like one in a comment. What ${…} stands for is not in it.
func (cfg *Config) Text() string { return cfg.text }

// comment is where a comment may begin. A "#" in a quoted text is taken for one, too: what looks
// like a secret there is rather masked.
var comment = regexp.MustCompile(`(?:^|\s)#`)

// shownText returns the source with secrets masked.
func (r *problemList) shownText() string {
	lines := make([]string, len(r.source.lines))
	for i, line := range r.source.lines {
		masked, _, _ := r.source.maskLine([]rune(line), i+1, 0, 0)
		lines[i] = maskComment(r.redact(string(masked)))
	}
	return strings.Join(lines, "\n")
}

func maskComment(line string) string {
	at := comment.FindStringIndex(line)
	if at == nil {
		return line
	}
	text := line[at[0]:]
	if m := secretByName.FindStringSubmatchIndex(text); m != nil {
		text = text[:m[2]] + "***" // the match goes to the end of the line
	}
	return line[:at[0]] + text
}
