package redact

import (
	"bytes"
	"math/bits"
)

// A view is a text as it reads without escapes that hide what it says: \u0022, \x22 and \/ of
// serializers and web servers, %22 of URLs, &quot; of XML. It has the quotes and backslashes of a
// JSON string in their plain form (\", \\), so that what is outside a string in the text is so in
// the view, and valid JSON stays valid.
type view struct {
	text    []byte
	escapes []escape
}

// An escape is where a view differs from its text: [at, at+n) of the view is [from, to) of it.
type escape struct{ at, n, from, to int }

// views are a text's view, the view of that and so on: escapes may be escaped.
type views [maxViews]view

const (
	maxViews = 3
	// maxPooled bounds what is kept of the memory of a long text, in bytes.
	maxPooled = 1 << 16
)

// A viewPool keeps the memory of a few views, as a transform works on several batches at a time.
type viewPool chan *views

const pooledViews = 8

func newViewPool() viewPool { return make(viewPool, pooledViews) }

func (p viewPool) get() *views {
	select {
	case v := <-p:
		return v
	default:
		return new(views)
	}
}

// put takes views back, unless a long text has inflated them.
func (p viewPool) put(v *views) {
	if cap(v[0].text) > maxPooled {
		return
	}
	select {
	case p <- v:
	default:
	}
}

// scanViews appends what a text hides behind escapes.
func (d *detector) scanViews(p []byte, found []finding) []finding {
	if !hasEscape(p) {
		return found
	}
	all := d.views.get()
	before := len(found)
	text := p
	for i := range all {
		if !all[i].read(text) {
			break
		}
		text = all[i].text
		n := len(found)
		found = d.scanText(text, 0, found)
		for j := i; j >= 0; j-- {
			all[j].toText(found[n:])
		}
	}
	d.views.put(all)
	return dropEmpty(found, before)
}

// dropEmpty drops findings from an index on that are nothing in the text itself.
func dropEmpty(found []finding, from int) []finding {
	kept := found[:from]
	for _, f := range found[from:] {
		if f.from < f.to {
			kept = append(kept, f)
		}
	}
	return kept
}

// hasEscape reports whether a text may have an escape, other than those of JSON for line ends and
// quotes.
func hasEscape(p []byte) bool {
	for _, sign := range [...]byte{'\\', '%', '&'} {
		for i := 0; ; i++ {
			next := bytes.IndexByte(p[i:], sign)
			if next < 0 {
				break
			}
			i += next
			if _, ok := escapeAt(p, i); ok {
				return true
			}
			if sign == '\\' {
				i += slashesFrom(p, i) - 1
			}
		}
	}
	return false
}

// read makes the view of a text, and reports whether it differs.
func (v *view) read(p []byte) bool {
	v.text, v.escapes = v.text[:0], v.escapes[:0]
	from := 0
	for i := 0; i < len(p); {
		switch p[i] {
		case '\\', '%', '&':
		default:
			i++
			continue
		}
		e, ok := escapeAt(p, i)
		if !ok {
			if p[i] == '\\' {
				i += slashesFrom(p, i)
			} else {
				i++
			}
			continue
		}
		v.text = append(v.text, p[from:e.from]...)
		at := len(v.text)
		v.text = e.append(v.text)
		v.escapes = append(v.escapes, escape{at, len(v.text) - at, e.from, e.to})
		from, i = e.to, e.to
	}
	v.text = append(v.text, p[from:]...)
	return len(v.escapes) > 0
}

// toText turns findings in a view into those in its text, with whole escapes.
func (v *view) toText(found []finding) {
	for i := range found {
		f := &found[i]
		f.from, f.to = v.offset(f.from, false), v.offset(f.to, true)
	}
}

// offset returns the offset in the text of one in the view: of an escape that it is in, the
// beginning or the end.
func (v *view) offset(at int, end bool) int {
	low, high := 0, len(v.escapes) // the escapes that begin before at are those below low
	for low < high {
		if mid := (low + high) / 2; v.escapes[mid].at < at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(v.escapes) && v.escapes[low].at == at {
		return v.escapes[low].from
	}
	if low == 0 {
		return at
	}
	e := v.escapes[low-1]
	switch {
	case at >= e.at+e.n:
		return e.to + at - e.at - e.n
	case end:
		return e.to
	}
	return e.from
}

// A reading is what an escape of a text, at [from, to), says: a character, in a string that is so
// many levels within another.
type reading struct {
	from, to int
	char     byte
	level    int
}

const maxLevel = 3

// append appends the character in its plain form.
func (r reading) append(dst []byte) []byte {
	switch r.char {
	case '"':
		return append(appendSlashes(dst, 2<<r.level-1), '"')
	case '\\':
		return appendSlashes(dst, 2<<r.level)
	case '\n':
		return append(appendSlashes(dst, 1<<r.level), 'n')
	case '\r':
		return append(appendSlashes(dst, 1<<r.level), 'r')
	case '\t':
		return append(appendSlashes(dst, 1<<r.level), 't')
	}
	return append(dst, r.char)
}

func appendSlashes(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '\\')
	}
	return dst
}

// escapeAt reads an escape of a printable ASCII character or a line end at an index.
func escapeAt(p []byte, at int) (reading, bool) {
	switch p[at] {
	case '%':
		if at+3 <= len(p) {
			return readHex(p, at, at+1, 2, 0)
		}
	case '&':
		return entityAt(p, at)
	case '\\':
		return slashAt(p, at)
	}
	return reading{}, false
}

// slashAt reads \u0022, \x22 and \/. Of n backslashes, that of the innermost string needs as many
// as the largest power of two in n.
func slashAt(p []byte, at int) (reading, bool) {
	n := slashesFrom(p, at)
	next, level := at+n, bits.TrailingZeros(uint(n))
	if next == len(p) || level > maxLevel {
		return reading{}, false
	}
	from := next - 1<<level
	switch p[next] {
	case '/':
		return reading{from, next + 1, '/', level}, true
	case 'x':
		return readHex(p, from, next+1, 2, level)
	case 'u':
		return readHex(p, from, next+1, 4, level)
	}
	return reading{}, false
}

func slashesFrom(p []byte, at int) int {
	n := 0
	for at+n < len(p) && p[at+n] == '\\' {
		n++
	}
	return n
}

// readHex reads a character written as so many hexadecimal digits.
func readHex(p []byte, from, at, width, level int) (reading, bool) {
	if at+width > len(p) {
		return reading{}, false
	}
	value := 0
	for _, c := range p[at : at+width] {
		digit := hexDigit(c)
		if digit < 0 {
			return reading{}, false
		}
		value = value<<4 | digit
	}
	return newReading(from, at+width, value, level)
}

func newReading(from, to, value, level int) (reading, bool) {
	readable := value >= ' ' && value <= '~' || value == '\n' || value == '\r' || value == '\t'
	return reading{from, to, byte(value), level}, readable
}

func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case fold(c) >= 'a' && fold(c) <= 'f':
		return int(fold(c)-'a') + 10
	}
	return -1
}

// entities are those that XML knows without a declaration.
var entities = []struct {
	name string
	char byte
}{{"&quot;", '"'}, {"&amp;", '&'}, {"&apos;", '\''}, {"&lt;", '<'}, {"&gt;", '>'}}

const maxReference = 8 // the longest &#x0022;

func entityAt(p []byte, at int) (reading, bool) {
	for _, e := range entities {
		if bytes.HasPrefix(p[at:], []byte(e.name)) {
			return reading{at, at + len(e.name), e.char, 0}, true
		}
	}
	semicolon := bytes.IndexByte(p[at:min(len(p), at+maxReference)], ';')
	if semicolon < 3 || p[at+1] != '#' {
		return reading{}, false
	}
	digits, base := p[at+2:at+semicolon], 10
	if fold(digits[0]) == 'x' {
		digits, base = digits[1:], 16
	}
	value := 0
	for _, c := range digits {
		digit := hexDigit(c)
		if digit < 0 || digit >= base {
			return reading{}, false
		}
		value = value*base + digit
	}
	return newReading(at, at+semicolon+1, value, 0)
}
