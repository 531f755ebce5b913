package recognize

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// Bounds of a message that is put together from a template.
const (
	longestTemplate = 16 << 10
	longestFilling  = 4 << 10
	mostHoles       = 64
)

// render puts the fields into the holes of a message template as Serilog writes it
// (messagetemplates.org): {Name}, {@Name}, {Name:format}, {Name,8}, with {{ for a brace. Formats
// are not applied; a hole without a field stays as it is.
func (r *Recognizer) render(template event.Value) event.Value {
	if template.Len > longestTemplate || bytes.IndexByte(r.b.Bytes(template.Span), '{') < 0 {
		return template
	}
	r.scratch = r.b.AppendText(r.scratch[:0], template)
	p := r.scratch
	start := len(r.b.Arena)
	for range mostHoles {
		open := bytes.IndexByte(p, '{')
		if open < 0 {
			break
		}
		r.renderText(p[:open])
		p = p[open:]
		p = p[r.renderHole(p):]
	}
	r.renderText(p)
	span := event.Span{Off: uint32(start), Len: uint32(len(r.b.Arena) - start)}
	return event.Value{Span: span, Kind: event.Text}
}

// renderText appends what stands between holes; }} is a brace.
func (r *Recognizer) renderText(p []byte) {
	for {
		at := bytes.Index(p, []byte("}}"))
		if at < 0 {
			break
		}
		r.b.Arena = append(r.b.Arena, p[:at+1]...)
		p = p[at+2:]
	}
	r.b.Arena = append(r.b.Arena, p...)
}

// renderHole appends what stands for the hole at the start of p, and returns how
// many bytes of p that was.
func (r *Recognizer) renderHole(p []byte) int {
	if len(p) > 1 && p[1] == '{' {
		r.b.Arena = append(r.b.Arena, '{')
		return 2
	}
	end := bytes.IndexByte(p, '}')
	if end < 0 {
		r.b.Arena = append(r.b.Arena, p...)
		return len(p)
	}
	name := bytes.TrimLeft(p[1:end], "@$")
	if at := bytes.IndexAny(name, ":,"); at >= 0 {
		name = name[:at]
	}
	for k := range r.fields {
		f := &r.fields[k]
		if bytes.Equal(r.b.Bytes(f.Key.Span), name) && f.Value.Len <= longestFilling {
			r.b.Arena = r.b.AppendText(r.b.Arena, f.Value)
			return end + 1
		}
	}
	r.b.Arena = append(r.b.Arena, p[:end+1]...)
	return end + 1
}
