package redact

import (
	"bytes"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// keyClass is what is special about a key.
type keyClass uint8

const (
	ordinary keyClass = iota
	headerAuth
	headerCookie
)

// keySuffixes end the names of keys whose values are secrets. from is where the rarest four groups
// begin.
var keySuffixes = []struct {
	text  string
	from  int
	class keyClass
}{
	{"password", 1, ordinary}, {"passwd", 0, ordinary}, {"passphrase", 2, ordinary}, {"passcode", 2, ordinary},
	{"password_hash", 1, ordinary}, {"passwordhash", 1, ordinary},
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
}

// afterKey are the characters that may follow a key: separators and quotes.
const afterKey = "=:\"'\\] \t"

// shortNames are too short to be looked for in text.
var shortNames = []string{"pwd", "jwt", "psk"}

const shortLength = 3

// names are the names of secrets.
type names struct {
	secrets bool
	custom  []string // in lower case
	except  []string
}

func (n *names) isSecret(name []byte) bool {
	if !n.mayBeSecret(name) {
		return false
	}
	if n.secrets && (isShortName(name) || hasKeySuffix(name)) {
		return !n.excepted(name)
	}
	for _, own := range n.custom {
		if len(name) >= len(own) && equalFold(name[len(name)-len(own):], own) {
			return !n.excepted(name)
		}
	}
	return false
}

// mayBeSecret rules out most names by their last two characters.
func (n *names) mayBeSecret(name []byte) bool {
	if len(name) >= shortLength && n.secrets {
		switch last := name[len(name)-2:]; uint16(fold(last[0]))<<8 | uint16(fold(last[1])) {
		case 'r'<<8 | 'd', 'w'<<8 | 'd', 's'<<8 | 'e', 'd'<<8 | 'e', 's'<<8 | 'h', 'e'<<8 | 't', 'e'<<8 | 'n',
			'a'<<8 | 'l', 'l'<<8 | 's', 'e'<<8 | 'y', 'r'<<8 | 'e', 'o'<<8 | 'n', 'i'<<8 | 'e', 'e'<<8 | 's',
			'w'<<8 | 't', 's'<<8 | 'k':
			return true
		}
	}
	return len(n.custom) > 0
}

func (n *names) excepted(name []byte) bool {
	return len(n.except) > 0 && pipeline.MatchAny(n.except, name)
}

func isShortName(name []byte) bool {
	return len(name) == shortLength && slices.ContainsFunc(shortNames,
		func(s string) bool { return equalFold(name, s) })
}

func hasKeySuffix(name []byte) bool {
	for _, w := range keySuffixes {
		if len(name) >= len(w.text) && equalFold(name[len(name)-len(w.text):], w.text) {
			return true
		}
	}
	return false
}

// keyed finds the value of a key whose name ends in the word at [start, end):
//
//	"password":"…"   password=…   'token' => '…'   Authorization: Bearer …
//
// Prose and code have such too (unexpected token: foo, token = next): there a value without quotes
// counts only if it has letters and digits.
func (s *scanner) keyed(start, end int, class keyClass) (finding, bool) {
	p := s.p
	key, at := quoteAt(p, end)
	if key.char == 0 && at < len(p) && p[at] == ']' { // user[password]=
		at++
	}
	sign := skipBlanks(p, at)
	spaced := sign > at
	loose, behind := separator(p, sign)
	if behind < 0 || s.excepted(start, end) {
		return finding{}, false
	}
	at = skipBlanks(p, behind)
	if value, open := quoteAt(p, at); value.char != 0 {
		return s.quoted(key, value, start, open)
	}
	if key.char != 0 {
		return bareValue(p, at, key)
	}
	if !spaced && at > behind && !loose {
		return finding{}, false // token= and then something else
	}
	colon := loose
	loose = loose || spaced
	switch class {
	case headerAuth:
		at, loose = pastScheme(p, at, loose)
	case headerCookie:
		if colon {
			return cookies(p, at)
		}
	}
	return s.unquoted(at, loose)
}

// excepted reports whether the settings except a key.
func (s *scanner) excepted(start, end int) bool {
	if len(s.names.except) == 0 {
		return false
	}
	for start > 0 && (isAlnum(s.p[start-1]) || s.p[start-1] == '_' || s.p[start-1] == '-' || s.p[start-1] == '.') {
		start--
	}
	return s.names.excepted(s.p[start:end])
}

// quoteAt reads a quote with its backslashes, and returns the index behind it.
func quoteAt(p []byte, at int) (quotes, int) {
	q := at
	for q < len(p) && p[q] == '\\' {
		q++
	}
	if q < len(p) && (p[q] == '"' || p[q] == '\'' && q == at) {
		return quotes{q - at, p[q]}, q + 1
	}
	return quotes{}, at
}

// skipBlanks skips up to three blanks.
func skipBlanks(p []byte, at int) int {
	for end := min(at+3, len(p)); at < end && (p[at] == ' ' || p[at] == '\t'); {
		at++
	}
	return at
}

// separator reads what separates a key and its value, and returns the index behind it, or -1.
func separator(p []byte, at int) (colon bool, next int) {
	rest := p[min(at, len(p)):]
	switch {
	case len(rest) < 2:
	case rest[0] == '=' && rest[1] == '>', rest[0] == ':' && rest[1] == '=':
		return false, at + 2
	case rest[0] == '=' && rest[1] != '=':
		return false, at + 1
	case rest[0] == ':' && rest[1] != ':' && !bytes.HasPrefix(rest, []byte("://")):
		return true, at + 1
	}
	return false, -1
}

// quoted finds a value in quotes. The quote after a key without quotes may end a string that
// contains the key.
func (s *scanner) quoted(key, value quotes, start, from int) (finding, bool) {
	switch {
	case key.char != 0 && key.slashes != value.slashes:
		return finding{}, false
	case key.char == 0 && value.char == '"' && (value.slashes > 1 || s.insideString(start, value.slashes)):
		return finding{}, false
	}
	to := value.end(s.p, from)
	if isHarmless(s.p[from:to]) {
		return finding{}, false
	}
	return finding{from: from, to: to}, true
}

// end returns the index of the quote, with its backslashes, that ends a string begun by q; the
// text's end if there is none.
func (q quotes) end(p []byte, at int) int {
	for from := at; ; {
		next := bytes.IndexByte(p[from:], q.char)
		if next < 0 {
			return len(p)
		}
		quote := from + next
		n := slashesBefore(p, quote, from)
		if n <= q.slashes || (n-q.slashes)%(2*(q.slashes+1)) == 0 {
			return quote - min(n, q.slashes)
		}
		from = quote + 1
	}
}

// bareValue finds the value of a quoted key that is not quoted itself: a number, an object, a list.
func bareValue(p []byte, at int, key quotes) (finding, bool) {
	to := at
	if at < len(p) && (p[at] == '{' || p[at] == '[') {
		to = key.endOfNested(p, at)
		return finding{from: at, to: to, quotes: key}, to > at+2
	}
	for to < len(p) && (isAlnum(p[to]) || p[to] == '.' || p[to] == '-' || p[to] == '+') {
		to++
	}
	return finding{from: at, to: to, quotes: key}, !isHarmless(p[at:to])
}

// endOfNested returns the index behind the object or list at an index, in a text whose strings have
// quotes of this kind.
func (q quotes) endOfNested(p []byte, at int) int {
	depth := 0
	for at < len(p) {
		switch c := p[at]; c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		case '\\', '"', '\'':
			found, inner := quoteAt(p, at)
			if found.char == q.char && found.slashes < q.slashes {
				return at // the string around it ends
			}
			if found == q {
				end := q.end(p, inner)
				closing, behind := quoteAt(p, end)
				if closing != q {
					return end // the string around it ends, or the text
				}
				at = behind
				continue
			}
		}
		at++
	}
	return len(p)
}

// schemes precede the credentials in an Authorization header.
var schemes = []string{"basic", "bearer", "digest", "token", "apikey", "negotiate", "ntlm", "aws4-hmac-sha256"}

// pastScheme skips the scheme of an Authorization header. After a known one, all is credentials.
func pastScheme(p []byte, at int, loose bool) (int, bool) {
	if at < len(p) && p[at] == '[' { // Go prints headers as map[Authorization:[Bearer …]]
		at++
	}
	end := at
	for end < len(p) && (isAlnum(p[end]) || p[end] == '-') {
		end++
	}
	if end == at || end == len(p) || p[end] != ' ' {
		return at, loose
	}
	for _, s := range schemes {
		if equalFold(p[at:end], s) {
			return skipBlanks(p, end), false
		}
	}
	return at, loose
}

// cookies finds what follows Cookie: and Set-Cookie:, up to the end of the line or the string.
func cookies(p []byte, at int) (finding, bool) {
	end, pair := at, false
	for end < len(p) && p[end] != '"' && p[end] != '\n' && p[end] != '\r' && p[end] != '\\' && p[end] != '\'' {
		pair = pair || p[end] == '='
		if p[end] == ' ' && !pair {
			return finding{}, false // prose
		}
		end++
	}
	return finding{from: at, to: end}, pair
}

// unquoted finds a value without quotes; loose is set if it may be prose.
func (s *scanner) unquoted(at int, loose bool) (finding, bool) {
	if loose && at < s.proseEnd {
		return finding{}, false
	}
	end := at
	var letter, digit bool
	for end < len(s.p) && !endsRun[s.p[end]] {
		c := s.p[end]
		digit = digit || '0' <= c && c <= '9'
		letter = letter || isAlnum(c) && (c < '0' || c > '9')
		end++
	}
	if loose && (!letter || !digit || end-at < 6) {
		s.proseEnd = end
		return finding{}, false
	}
	for tries := 0; end > at && strings.IndexByte(")]}.:|", s.p[end-1]) >= 0; tries++ {
		if tries < 4 && isHarmless(s.p[at:end]) { // [FILTERED])
			return finding{}, false
		}
		end--
	}
	return finding{from: at, to: end}, !isHarmless(s.p[at:end])
}

var endsRun = func() (t [256]bool) {
	for c := range t {
		t[c] = c <= ' ' || strings.IndexByte(`"'\&;,<>`, byte(c)) >= 0
	}
	return t
}()

// isHarmless reports whether a value says nothing or is redacted already: empty, true, nil, ***,
// [FILTERED], <redacted>, ${VAR}, a number of up to three digits.
func isHarmless(p []byte) bool {
	alnum, digits := false, true
	for _, c := range p {
		alnum = alnum || isAlnum(c) || c >= 0x80
		digits = digits && '0' <= c && c <= '9'
	}
	if !alnum || digits && len(p) <= 3 {
		return true
	}
	switch p[0] {
	case '[':
		return p[len(p)-1] == ']' && !bytes.ContainsAny(p, "0123456789")
	case '<':
		return p[len(p)-1] == '>' && !bytes.ContainsAny(p, "0123456789")
	case '$':
		return len(p) > 1 && p[1] == '{'
	case '%':
		return len(p) == 2
	}
	if len(p) <= 9 {
		for _, w := range harmlessWords {
			if equalFold(p, w) {
				return true
			}
		}
	}
	for _, c := range p {
		if c != 'x' && c != 'X' && c != '*' && c != '.' {
			return false
		}
	}
	return true
}

var harmlessWords = []string{"true", "false", "null", "nil", "none", "undefined", "yes", "no", "redacted", "filtered",
	"hidden", "empty", "bool", "string"}

func isAlnum(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}
