package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// cri reads the lines that container runtimes write for Kubernetes:
//
//	2006-01-02T15:04:05.000000000Z stdout F message
//
// F ends a line, P says that the next one goes on with it.
// https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
func (l *line) cri() bool {
	p := l.text
	at := criTime(p)
	if at == 0 {
		return false
	}
	tag := p[at+8]
	ns, used, ok := recognize.ISO(p, l.p.Zone)
	if !ok || used != at {
		return false
	}
	l.rec.Format = event.FormatCRI
	l.setTime(ns)
	l.word("stream", at+1, at+7)
	if tag == 'P' {
		l.word("logtag", at+8, at+9)
	}
	message := min(wordEnd(p, at+8)+1, len(p))
	l.rec.Message = event.Value{Span: l.span(message, len(p)), Kind: event.Text}
	return true
}

// compose reads what docker compose writes before a line: the container's name and a bar.
func (l *line) compose() bool {
	n := recognize.ComposePrefix(l.text)
	if n == 0 || l.off > 0 {
		return false
	}
	l.rec.Format = event.FormatCompose
	l.word("container", 0, wordEnd(l.text, 0))
	l.rec.Message = event.Value{Span: l.span(n, len(l.text)), Kind: event.Text}
	return true
}

// IsCRI reports whether a line begins as those of container runtimes do.
func IsCRI(p []byte) bool { return criTime(p) > 0 }

// criTime returns the length of the time of a runtime's line, 0 if it is none.
func criTime(p []byte) int {
	if len(p) < 30 || p[10] != 'T' {
		return 0
	}
	at := bytes.IndexByte(p[:min(len(p), 40)], ' ')
	if at < 20 || at+10 > len(p) || string(p[at+1:at+4]) != "std" || p[at+7] != ' ' {
		return 0
	}
	stream := string(p[at+1:at+7]) == "stdout" || string(p[at+1:at+7]) == "stderr"
	tag := p[at+8]
	if !stream || tag != 'F' && tag != 'P' || at+9 < len(p) && p[at+9] != ' ' && p[at+9] != ':' {
		return 0
	}
	return at
}
