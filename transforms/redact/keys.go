package redact

import (
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// keyClass is what is special about a key and its value.
type keyClass uint8

const (
	ordinary keyClass = iota
	headerAuth
	headerCookie
	// password takes a tail: password2, password_confirmation, passwords.
	password
	// pass is a test's result, or a compiler's, as often as a password.
	pass
	// directory is the shell's PWD, or a password.
	directory
	// random counts if its value looks as if a machine had made it.
	random
	// session is random, but not the session of a process, as PostgreSQL logs it.
	session
	// code is a number of four digits or more, or random.
	code
)

// A stem ends the name of a key whose value is a secret. from is where the rarest four groups
// begin.
type stem struct {
	text  string
	from  int
	class keyClass
}

// stems are the names that frameworks filter by default (Rails, Django, Sentry), and their kin.
var stems = []stem{
	{"password", 1, password}, {"passwd", 0, password}, {"passphrase", 2, password}, {"passcode", 2, password},
	{"secret", 0, ordinary}, {"token", 0, ordinary}, {"credential", 0, ordinary}, {"credentials", 0, ordinary},
	{"api_key", 1, ordinary}, {"api-key", 1, ordinary}, {"apikey", 0, ordinary},
	{"access_key", 2, ordinary}, {"access-key", 2, ordinary}, {"accesskey", 2, ordinary},
	{"secret_key", 0, ordinary}, {"secret-key", 0, ordinary}, {"secretkey", 0, ordinary},
	{"private_key", 2, ordinary}, {"private-key", 2, ordinary}, {"privatekey", 2, ordinary},
	{"account_key", 4, ordinary}, {"account-key", 4, ordinary}, {"accountkey", 4, ordinary},
	{"encryption_key", 1, ordinary}, {"encryptionkey", 1, ordinary},
	{"signing_key", 2, ordinary}, {"signingkey", 2, ordinary},
	{"amz-signature", 2, ordinary},
	{"authorization", 4, headerAuth}, {"cookie", 0, headerCookie}, {"cookies", 0, headerCookie},
	{"phpsessid", 0, session}, {"jsessionid", 0, session},
}

// shortStems have no four rare groups. In texts they count before an equals sign and a quote only,
// and those of passwords before a colon. All but session ids must be a word of its own in a name: a
// pin is in spinning.
var shortStems = []stem{
	{"pwd", -1, directory}, {"pass", 0, pass}, {"pw", -1, ordinary}, {"jwt", -1, ordinary}, {"psk", -1, ordinary},
	{"auth", 0, random}, {"pin", -1, code}, {"otp", -1, code},
	{"session_id", 6, session}, {"session-id", 6, session}, {"sessionid", 5, session},
}

// stemsByLast are both, by the last five bits of their last letter.
var stemsByLast, shortStemsByLast = byLast(stems), byLast(shortStems)

func byLast(stems []stem) (t [32][]*stem) {
	for i := range stems {
		last := &t[stems[i].text[len(stems[i].text)-1]&31]
		*last = append(*last, &stems[i])
	}
	return t
}

// tails follow the stems of passwords, behind a separator or none.
var tails = []string{"s", "old", "new", "current", "confirmation", "confirm", "again", "repeat", "plain",
	"plaintext", "cleartext", "clear", "hash", "hashed", "encrypted", "enc", "value", "raw", "md", "sha", "base"}

// tailsByLast are the tails by the last five bits of their last letter.
var tailsByLast = func() (t [32][]string) {
	for _, tail := range tails {
		last := &t[tail[len(tail)-1]&31]
		*last = append(*last, tail)
	}
	return t
}()

// notPasswords are words before a pass that is none.
var notPasswords = []string{"by", "first", "second", "last", "next", "one", "two", "single", "multi", "render",
	"shader", "depth", "shadow", "boarding", "ski", "test", "tests", "did", "not", "compiler"}

// afterKey are the characters that may follow a key: separators, quotes, brackets, escapes of them,
// and the beginning of a number or a tail.
const afterKey = "=:\"'\\][ \t>&%_-s" + digits

// names are the names of secrets.
type names struct {
	secrets bool
	custom  []string // in lower case
	except  []string
	always  hint // of all names, if any may be a custom one
}

// secretClass returns the class of a name, if it is that of a secret.
func (n *names) secretClass(name []byte) (keyClass, bool) {
	if n.hints(name)&mayBeSecret == 0 {
		return 0, false
	}
	if n.secrets {
		if class, ok := classOf(name); ok {
			return class, !n.excepted(name)
		}
	}
	for _, own := range n.custom {
		if len(name) >= len(own) && equalFold(name[len(name)-len(own):], own) {
			return ordinary, !n.excepted(name)
		}
	}
	return 0, false
}

// isSecret reports whether a name is that of a secret.
func (n *names) isSecret(name []byte) bool {
	_, ok := n.secretClass(name)
	return ok
}

// hint is what the end of a name says of it.
type hint uint8

const (
	mayBeSecret hint = 1 << iota
	// mayBePair is for names such as key and name, whose value may be the name of a secret.
	mayBePair
	// mayBeShort is for the short stems themselves.
	mayBeShort
)

// endings has the hints of the last two characters of names: most have none. Before a digit, a
// bracket or a blank may be any.
var endings = func() (t [1 << 12]hint) {
	add := func(end string, h hint) {
		a, b := end[len(end)-2], end[len(end)-1]
		t[endingOf(a, b)] |= h
		t[endingOf(a, b&^0x20)] |= h // in capitals
	}
	for _, s := range slices.Concat(stems, shortStems) {
		add(s.text, mayBeSecret)
		add(s.text+"s", mayBeSecret)
	}
	for _, s := range shortStems {
		add(s.text, mayBeShort)
	}
	for _, tail := range tails {
		for _, before := range "desw" { // the last letters of passwords
			add(string(before)+tail, mayBeSecret)
		}
	}
	for _, name := range []string{"key", "name", "type", "kind", "field", "parameter"} {
		add(name, mayBePair)
	}
	for before := range byte(32) {
		for _, last := range digits + "[] " {
			t[endingOf(before, byte(last))] |= mayBeSecret
		}
	}
	return t
}()

// lastThree has a bit for the last three letters of every name of a secret, without digits and
// brackets, by a hash.
var lastThree = func() (set [1 << 12 / 64]uint64) {
	add := func(end string) {
		h := hashOfThree([]byte(end))
		set[h>>6] |= 1 << (h & 63)
	}
	for _, s := range slices.Concat(stems, shortStems) {
		for _, before := range "_-.dt" { // dt: bindpw, rootpw
			add(string(before) + s.text)
			add(string(before) + s.text + "s")
		}
	}
	for _, tail := range tails {
		for _, before := range "_-.desw" {
			add("d" + string(before) + tail)
		}
	}
	return set
}()

// mayEndSecret rules out most names that their last two letters do not.
func mayEndSecret(name []byte) bool {
	if len(name) < 3 {
		return true
	}
	h := hashOfThree(name)
	return lastThree[h>>6]>>(h&63)&1 != 0
}

func hashOfThree(name []byte) uint32 {
	last := name[len(name)-3:]
	return group(last[0], last[1], last[2]) * 0x9e3779b1 >> 20
}

func endingOf(a, b byte) uint32 { return uint32(a&31)<<7 | uint32(b&127) }

// hints returns what the end of a name says of it.
func (n *names) hints(name []byte) hint {
	if len(name) < 2 {
		return n.always
	}
	return n.always | endings[endingOf(name[len(name)-2], name[len(name)-1])]
}

// mayBeSecret reports whether a name may be that of a secret, by how it ends. h is what hints says.
func (n *names) mayBeSecret(name []byte, h hint, kind event.Kind) bool {
	switch {
	case kind == event.Escaped || n.always != 0:
		return true
	case h&mayBeSecret == 0:
		return false
	}
	last := name[len(name)-1]
	return last <= '9' || last == ']' || last == '[' || mayEndSecret(name)
}

// withoutEnd takes off digits, brackets and blanks.
func withoutEnd(name []byte) []byte {
	for len(name) > 0 && (name[len(name)-1] <= '9' && name[len(name)-1] != '.' && name[len(name)-1] != '-' ||
		name[len(name)-1] == ']' || name[len(name)-1] == '[') {
		name = name[:len(name)-1]
	}
	return name
}

func withoutSigns(name []byte) []byte {
	for len(name) > 0 && (name[len(name)-1] == '_' || name[len(name)-1] == '-' || name[len(name)-1] == '.') {
		name = name[:len(name)-1]
	}
	return name
}

// classOf returns the class of a name that is that of a secret, whatever surrounds it.
func classOf(name []byte) (keyClass, bool) {
	name = withoutSigns(withoutEnd(name))
	if !mayEndSecret(name) {
		return 0, false
	}
	if class, ok := stemOf(name); ok {
		return class, true
	}
	last := len(name) - 1
	if last < 0 {
		return 0, false
	}
	for _, tail := range tailsByLast[name[last]&31] {
		if last < len(tail) || !equalFold(name[len(name)-len(tail):], tail) {
			continue
		}
		if class, ok := stemOf(withoutSigns(name[:len(name)-len(tail)])); ok {
			switch {
			case class == password || class == directory:
				return class, true
			case tail == "s" && class == ordinary:
				return random, true
			}
		}
	}
	return 0, false
}

// stemOf returns the class of the stem that a name ends in.
func stemOf(name []byte) (keyClass, bool) {
	if len(name) == 0 {
		return 0, false
	}
	last := name[len(name)-1] & 31
	for _, s := range stemsByLast[last] {
		if endsIn(name, s.text) {
			return s.class, true
		}
	}
	for _, s := range shortStemsByLast[last] {
		if endsIn(name, s.text) && s.beginsAt(name, len(name)-len(s.text)) {
			return s.class, true
		}
	}
	return 0, false
}

func endsIn(name []byte, text string) bool {
	n := len(name) - len(text)
	return n >= 0 && fold(name[n]) == text[0] && equalFold(name[n:], text)
}

// beginsAt reports whether a short stem at an index is a word of its own there.
func (s *stem) beginsAt(p []byte, at int) bool {
	if at == 0 || len(s.text) > len("pass") {
		return true
	}
	before := p[at-1]
	if isAlnum(before) || before >= 0x80 {
		return p[at] >= 'A' && p[at] <= 'Z' && before >= 'a' && before <= 'z' || // dbPass
			s.text == "pass" && endsInAny(p[:at], "user", "db") ||
			s.text == "pw" && endsInAny(p[:at], "root", "bind") ||
			atBoundary(p, at) && !isDigit(before) && before < 0x80
	}
	return s.class != pass || !isPassOfOther(p[:at])
}

// isPassOfOther reports whether the last word of a text makes a pass that follows no password.
func isPassOfOther(before []byte) bool {
	word := withoutSigns(before)
	if len(before)-len(word) != 1 {
		return false
	}
	from := len(word)
	for from > 0 && isAlnum(word[from-1]) {
		from--
	}
	return slices.ContainsFunc(notPasswords, func(w string) bool { return equalFold(word[from:], w) })
}

func endsInAny(p []byte, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return endsIn(p, w) })
}

func (n *names) excepted(name []byte) bool {
	return len(n.except) > 0 && pipeline.MatchAny(n.except, name)
}

// tailEnd returns the index behind the tail of a key whose stem ends at an index, and its class.
func tailEnd(p []byte, end int, class keyClass) (int, keyClass) {
	at, with := end, class
	if at < len(p) && (p[at] == '_' || p[at] == '-' || p[at] == '.') {
		at++
	}
	to := at
	switch {
	case class == password || class == directory:
		to = pastTail(p, at)
	case class == ordinary && at == end && at < len(p) && fold(p[at]) == 's':
		to, with = at+1, random
	}
	for limit := to + 3; to < min(limit, len(p)) && isDigit(p[to]); {
		to++
	}
	if to == at || to < len(p) && (isAlnum(p[to]) || p[to] == '_') {
		return end, class
	}
	return to, with
}

// pastTail skips the longest tail at an index.
func pastTail(p []byte, at int) int {
	longest := at
	for _, tail := range tails {
		if to := at + len(tail); to > longest && to <= len(p) && equalFold(p[at:to], tail) {
			longest = to
		}
	}
	return longest
}
