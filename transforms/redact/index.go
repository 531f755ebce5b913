package redact

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// An index quickly rules out that a text has any of its patterns. Every pattern has four
// neighbouring groups of three bytes, so one of them is at a multiple of four, and it is enough to
// look there. A set of bits, by a hash, says which groups are in no pattern: most are not.
type index struct {
	bits  [1 << 16 / 64]uint64
	again [1 << 16 / 64]uint64 // the same by another hash, for groups that bits has by chance
	slots [1 << 12]slot        // open addressing by the groups' hash
}

// A slot has a group and the patterns it occurs in; without patterns it is free.
type slot struct {
	group      uint32
	candidates []candidate
	// Bits, by their last five bits, of the characters of which one stands before and behind the
	// group in each of its patterns; all, where it may be any.
	before, behind uint32
}

// A candidate is a pattern in which a group occurs, and at which offset.
type candidate struct {
	pattern *textPattern
	off     int
}

// A textPattern is a text that secrets have, in any case, and how to read what follows.
type textPattern struct {
	text string
	// before and after are the characters of which one precedes and follows the text, if its own
	// are too few for four groups; "" if they are not needed.
	before, after string
	from          int // the first of the four groups; with before, -1

	form  form
	class keyClass // of a key
	lead  int      // where a key's stem begins
	stem  int      // where it ends
	short *stem    // of a key whose stem must be a word of its own
	token *token   // of a token
	exact string   // of a JWT's head
}

// form is how to read what a pattern finds.
type form uint8

const (
	keyForm form = iota
	tokenForm
	jwtForm
	bearerForm
	basicForm
	identifiedForm
	pemForm
	signatureForm
	commandForm
	escapeForm // makes the text be read without its escapes
)

// match reads what begins with the pattern's text at [start, end).
func (p *textPattern) match(s *scanner, start, end int) (finding, bool) {
	switch p.form {
	case keyForm:
		if p.short != nil && !p.short.beginsAt(s.p, start) {
			return finding{}, false
		}
		return s.keyed(start+p.lead, start+p.stem, p.class)
	case tokenForm:
		return p.token.find(s.p, start, end)
	case jwtForm:
		return jwt(s.p, p.exact, start, end)
	case bearerForm:
		return bearer(s.p, start, end)
	case basicForm:
		return basic(s.p, start, end)
	case identifiedForm:
		return identified(s.p, start, end)
	case pemForm:
		return privateKey(s.p, start, end)
	case commandForm:
		s.hasCommand = true
		return finding{}, false
	case escapeForm:
		return finding{}, false
	}
	return signature(s.p, start, end)
}

func fold(c byte) byte { return c | 0x20 }

func group(a, b, c byte) uint32 {
	return uint32(fold(a)) | uint32(fold(b))<<8 | uint32(fold(c))<<16
}

func bitOf(group uint32) uint32 { return group * 0x9e3779b1 >> 16 }

func secondBitOf(group uint32) uint32 { return group * 0x85ebca6b >> 16 }

func newIndex(patterns []*textPattern) *index {
	x := &index{}
	for _, p := range patterns {
		for off := p.from; off < p.from+4; off++ {
			p.eachGroup(off, func(g uint32) { x.add(g, candidate{p, off}) })
		}
	}
	return x
}

func (x *index) add(g uint32, c candidate) {
	h := bitOf(g)
	x.bits[h>>6] |= 1 << (h & 63)
	h = secondBitOf(g)
	x.again[h>>6] |= 1 << (h & 63)
	s := x.slot(g)
	s.group = g
	if !slices.Contains(s.candidates, c) {
		s.candidates = append(s.candidates, c)
		s.before |= c.pattern.bitAt(c.off - 1)
		s.behind |= c.pattern.bitAt(c.off + 3)
	}
}

// bitAt returns the bit of the character at an offset of a pattern, all beyond its text.
func (p *textPattern) bitAt(off int) uint32 {
	if off < 0 || off >= len(p.text) {
		return 1<<32 - 1
	}
	return 1 << (p.text[off] & 31)
}

// slot returns the slot of a group, or the free one where it belongs.
func (x *index) slot(g uint32) *slot {
	for i := bitOf(g); ; i++ {
		s := &x.slots[i%uint32(len(x.slots))]
		if s.candidates == nil || s.group == g {
			return s
		}
	}
}

// eachGroup calls do with every group that may be at an offset of the pattern.
func (p *textPattern) eachGroup(off int, do func(g uint32)) {
	at := func(i int) string {
		switch {
		case i < 0:
			return p.before
		case i >= len(p.text):
			return p.after
		}
		return p.text[i : i+1]
	}
	for _, a := range []byte(at(off)) {
		for _, b := range []byte(at(off + 1)) {
			for _, c := range []byte(at(off + 2)) {
				do(group(a, b, c))
			}
		}
	}
}

// scan appends the findings in a text that has no group before index at, a multiple of four.
func (x *index) scan(p []byte, at int, names *names, found []finding) []finding {
	s := scanner{p: p, names: names}
	found = x.scanKnown(&s, at, found)
	if s.hasCommand {
		found = scanCommands(p, found)
	}
	return found
}

// scanKnown appends the findings of the patterns.
func (x *index) scanKnown(s *scanner, at int, found []finding) []finding {
	p := s.p
	for {
		at = x.skip(p, at)
		if at+3 > len(p) {
			return found
		}
		next := at + 4
		if f, ok := x.match(s, at, group(p[at], p[at+1], p[at+2])); ok {
			found, next = append(found, f), max(f.to, next)
		}
		at = next
	}
}

const (
	ones     = 0x0101010101010101
	highBits = 0x80 * ones
	blanks   = ' ' * ones
)

// hasSign reports whether a word has an @ or an equals sign: what is looked for beside the
// patterns.
func hasSign(w uint64) uint64 {
	at, equals := w^'@'*ones, w^'='*ones
	return ((at - ones) | (equals - ones)) &^ w & highBits
}

// longText is the length from which signs are looked for by themselves: 32 bytes at a time.
const longText = 64

// none reports whether a text has neither a pattern's text nor a sign, as most have not. Otherwise
// it returns an index, a multiple of four, before which no group is one of a pattern that is there.
func (x *index) none(p []byte) (at int, none bool) {
	if len(p) >= longText {
		return x.noneIn(p)
	}
	q := p
	for len(q) > 8 {
		w := binary.LittleEndian.Uint64(q)
		if hasSign(w) != 0 || x.mayHaveGroup(w|blanks) {
			return x.noneFrom(p, len(p)-len(q))
		}
		q = q[8:]
	}
	w := lastWord(p, len(p)-len(q))
	if hasSign(w) == 0 && (len(q) < 3 || !x.mayHaveGroup(w|blanks)) {
		return 0, true
	}
	return x.noneFrom(p, len(p)-len(q))
}

// noneFrom is none for a text that has nothing before an index.
func (x *index) noneFrom(p []byte, from int) (at int, none bool) {
	isNear := false
	for at = from; at < len(p); at += 8 {
		w := wordAt(p, at)
		there, near := x.look(p, at, w|blanks, hasSign(w))
		if there {
			return at, false
		}
		isNear = isNear || near
	}
	return 0, !isNear || !hasEscape(p)
}

// noneIn is none for a long text.
func (x *index) noneIn(p []byte) (at int, none bool) {
	counts, isNear := signsCount(p)
	if counts {
		return 0, false
	}
	for at = x.pass(p, 0); at < len(p); at = x.pass(p, at+8) {
		there, near := x.look(p, at, wordAt(p, at)|blanks, 0)
		if there {
			return at, false
		}
		isNear = isNear || near
	}
	return 0, !isNear || !hasEscape(p)
}

// signsCount reports whether a text has an @, or an equals sign behind a short key, and whether it
// has any equals sign.
func signsCount(p []byte) (counts, hasEquals bool) {
	if bytes.IndexByte(p, '@') >= 0 {
		return true, false
	}
	for at := 0; ; hasEquals = true {
		next := bytes.IndexByte(p[at:], '=')
		if next < 0 {
			return false, hasEquals
		}
		at += next + 1
		if shortStemBefore(p, at-1) != nil {
			return true, true
		}
	}
}

// pass advances from an index in steps of eight to a word where a group may be, or to the last one,
// of eight bytes or less. Most of the time goes here.
func (x *index) pass(p []byte, at int) int {
	q := p[min(at, len(p)):]
	for len(q) > 8 && !x.mayHaveGroup(binary.LittleEndian.Uint64(q)|blanks) {
		q = q[8:]
	}
	return len(p) - len(q)
}

// mayHaveGroup reports whether a folded word may have a group at its first or fifth byte.
func (x *index) mayHaveGroup(w uint64) bool {
	first, second := bitOf(uint32(w)&0xffffff), bitOf(uint32(w>>32)&0xffffff)
	return x.bits[first>>6]&(1<<(first&63)) != 0 || x.bits[second>>6]&(1<<(second&63)) != 0
}

// wordAt returns the eight bytes at an index, or as many as there are: zeros follow them.
func wordAt(p []byte, at int) uint64 {
	if at+8 <= len(p) {
		return binary.LittleEndian.Uint64(p[at:])
	}
	return lastWord(p, at)
}

// lastWord returns the bytes of a text from an index on, of which there are less than eight; zeros
// follow them.
func lastWord(p []byte, at int) (w uint64) {
	if len(p) >= 8 {
		return binary.LittleEndian.Uint64(p[len(p)-8:]) >> (64 - 8*(len(p)-at))
	}
	for i := len(p) - 1; i >= at; i-- {
		w = w<<8 | uint64(p[i])
	}
	return w
}

// look reports whether one of the two groups at an index is of a pattern that is there, or a sign
// among these eight bytes counts. Near is a group of another pattern, or another sign: it may have
// an escape beside it.
func (x *index) look(p []byte, at int, folded, sign uint64) (there, near bool) {
	if sign != 0 && signCounts(p, at, sign) {
		return true, true
	}
	near = sign != 0
	for ; folded != 0; at, folded = at+4, folded>>32 {
		if !x.isGroup(uint32(folded) & 0xffffff) {
			continue
		}
		if x.isIn(p, at, uint32(folded)) {
			return true, true
		}
		near = true
	}
	return false, near
}

// isGroup reports whether a pattern has a group, nearly always.
func (x *index) isGroup(group uint32) bool {
	h, second := bitOf(group), secondBitOf(group)
	return x.bits[h>>6]&(1<<(h&63)) != 0 && x.again[second>>6]&(1<<(second&63)) != 0
}

// signCounts reports whether an @, or an equals sign behind a short key, is where hasSign has found
// signs in the word at an index.
func signCounts(p []byte, at int, sign uint64) bool {
	for ; sign != 0; sign &= sign - 1 {
		i := at + bits.TrailingZeros64(sign)/8
		if i < len(p) && (p[i] == '@' || p[i] == '=' && shortStemBefore(p, i) != nil) {
			return true
		}
	}
	return false
}

// isIn reports whether the first three bytes of a word, which is at an index of a text, are a group
// of a pattern that is there.
func (x *index) isIn(p []byte, at int, w uint32) bool {
	s := x.slot(w & 0xffffff)
	if s.behind>>(w>>24&31)&1 == 0 || at > 0 && s.before>>(p[at-1]&31)&1 == 0 {
		return false
	}
	for _, c := range s.candidates {
		start := at - c.off
		end := start + len(c.pattern.text)
		if start >= 0 && end <= len(p) && equalFold(p[start:end], c.pattern.text) {
			return true
		}
	}
	return false
}

// skip advances in steps of four to where a group may be, or to the end.
func (x *index) skip(p []byte, at int) int {
	for ; at+4 <= len(p); at += 4 {
		if x.mayBeGroup(binary.LittleEndian.Uint32(p[at:])|0x20202020) != 0 {
			return at
		}
	}
	return at
}

// mayBeGroup returns 1 if the first three bytes of a word may be a group.
func (x *index) mayBeGroup(w uint32) uint64 {
	h := bitOf(w & 0xffffff)
	return x.bits[h>>6] >> (h & 63) & 1
}

// match returns the finding of the first pattern that matches with the group at an index.
func (x *index) match(s *scanner, at int, g uint32) (finding, bool) {
	for _, c := range x.slot(g).candidates {
		start := at - c.off
		end := start + len(c.pattern.text)
		if start < s.done || end > len(s.p) || !equalFold(s.p[start:end], c.pattern.text) {
			continue
		}
		if f, ok := c.pattern.match(s, start, end); ok {
			s.done = f.to
			return f, true
		}
	}
	return finding{}, false
}

// equalFold compares bytes with a text in lower case.
func equalFold(p []byte, text string) bool {
	if len(p) != len(text) {
		return false
	}
	for i, c := range p {
		if c != text[i] && (c < 'A' || c > 'Z' || c+0x20 != text[i]) {
			return false
		}
	}
	return true
}

// A scanner goes through one text from start to end.
type scanner struct {
	p     []byte
	names *names
	done  int // end of the last finding

	// The parity of the double quotes before an index, for quotes without and with one backslash:
	// odd means within a string.
	counted int
	odd     [2]bool
	// proseEnd is the end of the last run of letters that is no secret.
	proseEnd int
	// hasCommand is set if a command was seen that takes a secret.
	hasCommand bool
}

// insideString reports whether an index is inside a string whose quotes have so many backslashes.
// Indices must ascend.
func (s *scanner) insideString(at, slashes int) bool {
	for s.counted < at {
		next := bytes.IndexByte(s.p[s.counted:at], '"')
		if next < 0 {
			s.counted = at
			break
		}
		quote := s.counted + next
		switch n := slashesBefore(s.p, quote, s.counted); {
		case n%2 == 0:
			s.odd[0] = !s.odd[0]
		case n%4 == 1:
			s.odd[1] = !s.odd[1]
		}
		s.counted = quote + 1
	}
	return s.odd[slashes]
}

func slashesBefore(p []byte, at, from int) int {
	n := 0
	for at-1-n >= from && p[at-1-n] == '\\' {
		n++
	}
	return n
}
