package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/longshore/longshore/pipeline/event"
)

// A shape is a pattern taken apart: text, and behind it fields, each up to the
// text that follows it.
type shape struct {
	head   []byte // what a line begins with
	fields []field
}

type field struct {
	name string // "" where it is not wanted
	end  []byte // the text behind it; empty for the end of the line
}

func (s *shape) names() []string {
	var names []string
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	return names
}

// read takes a pattern apart.
func read(pattern string) (*shape, error) {
	s := &shape{}
	wanted, rest := false, pattern
	for rest != "" {
		text, name, after, err := next(rest)
		if err != nil {
			return nil, err
		}
		if err := s.add(text, name); err != nil {
			return nil, err
		}
		wanted = wanted || name != "" && name != unwanted
		rest = after
	}
	if !wanted {
		return nil, errors.New("the pattern has no field, so nothing would come of a line; name one like <message>")
	}
	return s, nil
}

const unwanted = "_"

// next takes text off a pattern, and the name of the field behind it.
func next(pattern string) (text, name, rest string, err error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(pattern, "<")
		b.WriteString(before)
		if !found {
			return b.String(), "", "", nil
		}
		if escaped, ok := strings.CutPrefix(after, "<"); ok {
			b.WriteByte('<')
			pattern = escaped
			continue
		}
		name, rest, found = strings.Cut(after, ">")
		if !found || !isName(name) {
			return "", "", "", fmt.Errorf("<%.20s is not the name of a field, which has letters, digits, _, . and "+
				"-, and ends in >; for a < of the line itself write <<", after)
		}
		return b.String(), name, rest, nil
	}
}

func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@"
	return s != "" && len(s) <= 128 && strings.Trim(s, letters) == ""
}

// add adds text, and a field behind it if it has a name.
func (s *shape) add(text, name string) error {
	switch {
	case len(s.fields) == 0:
		s.head = append(s.head, text...)
	case text == "" && name != "":
		return fmt.Errorf("between <%s> and the field before it there is nothing that would tell where one ends", name)
	default:
		s.fields[len(s.fields)-1].end = []byte(text)
	}
	switch name {
	case "":
	case unwanted:
		s.fields = append(s.fields, field{})
	default:
		s.fields = append(s.fields, field{name: name})
	}
	return nil
}

// match returns the span of every field in the line. The text behind the last
// field must end the line.
func (s *shape) match(spans []event.Span, line []byte) ([]event.Span, bool) {
	if !bytes.HasPrefix(line, s.head) {
		return spans, false
	}
	at := len(s.head)
	for k := range s.fields {
		end, ok := s.fields[k].find(line[at:], k == len(s.fields)-1)
		if !ok {
			return spans, false
		}
		spans = append(spans, event.Span{Off: uint32(at), Len: uint32(end)})
		at += end + len(s.fields[k].end)
	}
	return spans, at == len(line)
}

// find returns the length of a field at the start of p.
func (f *field) find(p []byte, last bool) (int, bool) {
	if last {
		return len(p) - len(f.end), bytes.HasSuffix(p, f.end)
	}
	n := bytes.Index(p, f.end)
	return n, n >= 0
}
