package redact

import (
	"bytes"
	"slices"
	"strings"
)

// keyed finds the value of a key whose name ends in the stem at [start, end):
//
//	"password":"…"   password=…   'token' => '…'   Authorization: Bearer …   --password …
//	<password>…</password>   "name":"DB_PASSWORD","value":"…"   PASSWORD '…'
//
// Prose and code have such too (unexpected token: foo, token = next): there a value without quotes
// counts only if it has letters and digits.
func (s *scanner) keyed(start, end int, class keyClass) (finding, bool) {
	p := s.p
	if s.excepted(start, end) {
		return finding{}, false
	}
	end, class = tailEnd(p, end, class)
	key, at := quoteAt(p, pastBrackets(p, end))
	sign := skipBlanks(p, at)
	if key.char == 0 && sign > at { // "password ":
		if quote, behind := quoteAt(p, sign); quote.char != 0 {
			if colon, next := separator(p, skipBlanks(p, behind)); colon && next > 0 {
				key, at, sign = quote, behind, skipBlanks(p, behind)
			}
		}
	}
	colon, behind := separator(p, sign)
	if behind < 0 {
		return s.withoutSeparator(key, start, at, class)
	}
	spaced := sign > at
	at = skipBlanks(p, behind)
	if value, open := quoteAt(p, at); value.char != 0 {
		return s.quoted(key, value, start, open, class)
	}
	if key.char != 0 {
		return bareValue(p, at, key, class)
	}
	if !spaced && at > behind && !colon {
		return finding{}, false // token= and then something else
	}
	loose := colon || spaced
	switch class {
	case headerAuth:
		if f, ok := credentialParams(p, at); ok {
			return f, true
		}
		at, loose = pastScheme(p, at, loose)
	case headerCookie:
		if colon {
			return cookies(p, at)
		}
	case pass:
		loose = loose || !isPartOfName(p, start)
	}
	if !loose && at < len(p) && p[at] == '{' {
		return braced(p, at)
	}
	return s.unquoted(at, loose, class)
}

func isPartOfName(p []byte, start int) bool {
	return start > 0 && (isAlnum(p[start-1]) || p[start-1] == '_' || p[start-1] == '-' || p[start-1] == '.')
}

// withoutSeparator finds the value of a key that neither an equals sign nor a colon follows.
func (s *scanner) withoutSeparator(key quotes, start, at int, class keyClass) (finding, bool) {
	if f, ok := element(s.p, start, at); ok {
		return f, class.counts(s.p[f.from:f.to])
	}
	if f, ok := s.flagged(key, start, at); ok {
		return f, true
	}
	if f, ok := s.paired(key, at); ok {
		return f, class == password || hasLetterAndDigit(s.p[f.from:f.to])
	}
	if class == password && key.char == 0 {
		return sqlText(s.p, start, at)
	}
	return finding{}, false
}

// excepted reports whether the settings except a key.
func (s *scanner) excepted(start, end int) bool {
	if len(s.names.except) == 0 {
		return false
	}
	end, _ = tailEnd(s.p, end, password)
	return s.names.excepted(s.p[nameStart(s.p, start):end])
}

// nameStart returns where the name begins that goes on at an index.
func nameStart(p []byte, at int) int {
	for at > 0 && (isAlnum(p[at-1]) || p[at-1] == '_' || p[at-1] == '-' || p[at-1] == '.') {
		at--
	}
	return at
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

// pastBrackets skips what follows a name in user[password], password[] and password[0].
func pastBrackets(p []byte, at int) int {
	if at < len(p) && p[at] == ']' {
		at++
	}
	if at < len(p) && p[at] == '[' {
		to := at + 1
		for to < len(p) && isDigit(p[to]) {
			to++
		}
		if to < len(p) && p[to] == ']' {
			return to + 1
		}
	}
	return at
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
func (s *scanner) quoted(key, value quotes, start, from int, class keyClass) (finding, bool) {
	switch {
	case key.char != 0 && key.slashes != value.slashes:
		return finding{}, false
	case key.char == 0 && value.char == '"' && (value.slashes > 1 || s.insideString(start, value.slashes)):
		return finding{}, false
	}
	to := value.end(s.p, from)
	return finding{from: from, to: to}, class.counts(s.p[from:to])
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
func bareValue(p []byte, at int, key quotes, class keyClass) (finding, bool) {
	to := at
	if at < len(p) && (p[at] == '{' || p[at] == '[') {
		to = key.endOfNested(p, at)
		return finding{from: at, to: to, quotes: key}, to > at+2 && (class != random || looksRandom(p[at:to]))
	}
	for to < len(p) && (isAlnum(p[to]) || p[to] == '.' || p[to] == '-' || p[to] == '+') {
		to++
	}
	return finding{from: at, to: to, quotes: key}, class != pass && class.counts(p[at:to])
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

// braced finds a value in braces, as in connection strings of ODBC and SQL Server.
func braced(p []byte, at int) (finding, bool) {
	to := at + 1
	for to < len(p) && p[to] != '}' && p[to] != '"' && p[to] != '\n' && p[to] != '\\' {
		to++
	}
	return finding{from: at + 1, to: to}, !isHarmless(p[at+1 : to])
}

// element finds the text of an XML element: <password>…</, <ns:password type="…">…</.
func element(p []byte, start, at int) (finding, bool) {
	if at >= len(p) || p[at] != '>' && p[at] != ' ' || !beginsTag(p, start) {
		return finding{}, false
	}
	const longestTag = 256
	attributes := p[at:min(len(p), at+longestTag)]
	closing := bytes.IndexAny(attributes, "<>\n")
	if closing < 0 || attributes[closing] != '>' || closing > 0 && attributes[closing-1] == '/' {
		return finding{}, false
	}
	from := at + closing + 1
	end := []byte("<")
	if cdata := []byte("<![CDATA["); bytes.HasPrefix(p[from:], cdata) {
		from, end = from+len(cdata), []byte("]]>")
	}
	to := from
	for to < len(p) && p[to] != '"' && p[to] != '\n' && !bytes.HasPrefix(p[to:], end) {
		to++
	}
	if to < len(p) && p[to] == '"' {
		to -= slashesBefore(p, to, from)
	}
	for from < to && p[from] == ' ' {
		from++
	}
	return finding{from: from, to: to}, true
}

// beginsTag reports whether the name that goes on at an index follows a <.
func beginsTag(p []byte, at int) bool {
	at = nameStart(p, at)
	if at > 0 && p[at-1] == ':' {
		at = nameStart(p, at-1)
	}
	return at > 0 && p[at-1] == '<'
}

// wordsAfterFlags follow the name of a flag in prose.
var wordsAfterFlags = []string{"is", "was", "has", "must", "or", "and", "for", "to", "in", "with", "requires",
	"required", "option", "flag", "instead", "needs", "not", "on", "from", "at", "the", "argument", "parameter",
	"cannot", "can", "should", "will", "of", "via", "interface", "stdin", "if"}

// flagged finds the argument of a command: --password …, "--password","…".
func (s *scanner) flagged(key quotes, start, at int) (finding, bool) {
	p := s.p
	if name := nameStart(p, start); name == len(p) || p[name] != '-' {
		return finding{}, false
	}
	if key.char != 0 {
		from := skipBlanks(p, at)
		if from == len(p) || p[from] != ',' {
			return finding{}, false
		}
		value, open := quoteAt(p, skipBlanks(p, from+1))
		if value != key || open < len(p) && p[open] == '-' {
			return finding{}, false
		}
		to := value.end(p, open)
		return finding{from: open, to: to}, !isHarmless(p[open:to])
	}
	from := skipBlanks(p, at)
	if from == at || from == len(p) || p[from] == '-' {
		return finding{}, false
	}
	if value, open := quoteAt(p, from); value.char != 0 {
		return s.quoted(key, value, start, open, ordinary)
	}
	to := runEnd(p, from)
	prose := slices.ContainsFunc(wordsAfterFlags, func(w string) bool { return equalFold(p[from:to], w) })
	return finding{from: from, to: to}, !prose && !isHarmless(p[from:to])
}

// paired finds the value of a pair whose name is a text: "name":"DB_PASSWORD","value":"…".
func (s *scanner) paired(key quotes, at int) (finding, bool) {
	p := s.p
	from := at
	for limit := min(len(p), at+4); from < limit && (p[from] == ',' || p[from] == ' ' || p[from] == '\t'); {
		from++
	}
	quote, word := quoteAt(p, from)
	if from == at || quote.char != 0 && quote != key {
		return finding{}, false
	}
	end := wordEnd(p, word)
	if !endsIn(p[word:end], "value") {
		return finding{}, false
	}
	behind := end
	if quote.char != 0 {
		closing, next := quoteAt(p, end)
		if closing != quote {
			return finding{}, false
		}
		behind = next
	}
	_, behind = separator(p, skipBlanks(p, behind))
	if behind < 0 {
		return finding{}, false
	}
	at = skipBlanks(p, behind)
	if value, open := quoteAt(p, at); value.char != 0 {
		return s.quoted(key, value, word, open, ordinary)
	}
	if key.char != 0 {
		return bareValue(p, at, key, ordinary)
	}
	to := runEnd(p, at)
	return finding{from: at, to: to}, !isHarmless(p[at:to])
}

// sqlText finds the text after PASSWORD in SQL: PASSWORD 'x', PASSWORD('x').
func sqlText(p []byte, start, at int) (finding, bool) {
	from := skipBlanks(p, at)
	if from == at && (at == len(p) || p[at] != '(') {
		return finding{}, false
	}
	if from < len(p) && p[from] == '(' {
		from++
	}
	if from >= len(p) || p[from] != '\'' {
		return finding{}, false
	}
	to := quotes{char: '\''}.end(p, from+1)
	text := p[from+1 : to]
	before := bytes.TrimRight(p[:start], " ")
	if bytes.IndexByte(text, ' ') >= 0 && !endsInAny(before, "with", "encrypted", "set", "user", "by") ||
		bytes.IndexByte(text, '"') >= 0 {
		return finding{}, false
	}
	return finding{from: from + 1, to: to}, !isHarmless(text)
}

// identified finds the text after IDENTIFIED BY and IDENTIFIED WITH … BY in SQL. Without quotes it
// counts only behind capitals, as prose has such too.
func identified(p []byte, start, end int) (finding, bool) {
	at := skipBlanks(p, end)
	if at == end {
		return finding{}, false
	}
	if equalFold(p[end-4:end], "with") {
		_, plugin := quoteAt(p, at)
		_, at = quoteAt(p, wordEnd(p, plugin))
		if at = pastWord(p, skipBlanks(p, at), "by", "as"); at < 0 {
			return finding{}, false
		}
	}
	if behind := pastWord(p, at, "values", "password"); behind > 0 {
		at = behind
	}
	if value, open := quoteAt(p, at); value.char != 0 {
		to := value.end(p, open)
		return finding{from: open, to: to}, !isHarmless(p[open:to])
	}
	to := runEnd(p, at)
	return finding{from: at, to: to}, string(p[start:end]) == "IDENTIFIED BY" && !isHarmless(p[at:to])
}

func wordEnd(p []byte, at int) int {
	for at < len(p) && (isAlnum(p[at]) || p[at] == '_') {
		at++
	}
	return at
}

// pastWord returns the index behind one of these words and blanks, or -1.
func pastWord(p []byte, at int, words ...string) int {
	end := wordEnd(p, at)
	if next := skipBlanks(p, end); next > end && slices.ContainsFunc(words, func(w string) bool {
		return equalFold(p[at:end], w)
	}) {
		return next
	}
	return -1
}

// schemes precede the credentials in an Authorization header: IANA's registry of HTTP
// authentication schemes, and those of AWS and others.
var schemes = []string{"basic", "bearer", "concealed", "digest", "dpop", "gnap", "hoba", "mutual", "negotiate", "oauth",
	"privatetoken", "scram-sha-1", "scram-sha-256", "vapid", "token", "apikey", "ntlm", "aws4-hmac-sha256",
	"aws4-ecdsa-p256-sha256", "hawk", "sharedkey", "signature", "mac", "key"}

// pastScheme skips the scheme of an Authorization header. After a known one, all is credentials.
func pastScheme(p []byte, at int, loose bool) (int, bool) {
	if at < len(p) && p[at] == '[' { // Go prints headers as map[Authorization:[Bearer …]]
		at++
	}
	end := schemeEnd(p, at)
	if end == at || end == len(p) || p[end] != ' ' {
		return at, loose
	}
	if isScheme(p[at:end]) {
		return skipBlanks(p, end), false
	}
	return at, loose
}

func schemeEnd(p []byte, at int) int {
	for at < len(p) && (isAlnum(p[at]) || p[at] == '-') {
		at++
	}
	return at
}

func isScheme(word []byte) bool {
	return slices.ContainsFunc(schemes, func(s string) bool { return equalFold(word, s) })
}

// credentialParams finds the parameters after a scheme: Digest username="a", response="…".
func credentialParams(p []byte, at int) (finding, bool) {
	if at < len(p) && p[at] == '[' {
		at++
	}
	word := schemeEnd(p, at)
	if !isScheme(p[at:word]) {
		return finding{}, false
	}
	from := skipBlanks(p, word)
	to := from
	for next := from; ; {
		end := paramEnd(p, next)
		if end < 0 {
			break
		}
		to = end
		if end == len(p) || p[end] != ',' {
			break
		}
		next = skipBlanks(p, end+1)
	}
	return finding{from: from, to: to}, from > word && to > from
}

// paramEnd returns the index behind name=value or name="value", or -1.
func paramEnd(p []byte, at int) int {
	name := at
	for name < len(p) && (isAlnum(p[name]) || p[name] == '-' || p[name] == '_') {
		name++
	}
	if name == at || name+1 >= len(p) || p[name] != '=' || p[name+1] == '=' {
		return -1
	}
	if value, open := quoteAt(p, name+1); value.char != 0 {
		to := value.end(p, open)
		if closing, behind := quoteAt(p, to); closing == value {
			return behind
		}
		return -1
	}
	to := name + 1
	for to < len(p) && !endsRun[p[to]] {
		to++
	}
	if to == name+1 {
		return -1
	}
	return to
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
func (s *scanner) unquoted(at int, loose bool, class keyClass) (finding, bool) {
	if loose && at < s.proseEnd {
		return finding{}, false
	}
	end := runEnd(s.p, at)
	if loose && (!hasLetterAndDigit(s.p[at:end]) || end-at < 6) {
		s.proseEnd = end
		return finding{}, false
	}
	for tries := 0; end > at && strings.IndexByte(")]}.:|", s.p[end-1]) >= 0; tries++ {
		if tries < 4 && isHarmless(s.p[at:end]) { // [FILTERED])
			return finding{}, false
		}
		end--
	}
	return finding{from: at, to: end}, class.counts(s.p[at:end])
}

var endsRun = func() (t [256]bool) {
	for c := range t {
		t[c] = c <= ' ' || strings.IndexByte(`"'\&;,<>`, byte(c)) >= 0
	}
	return t
}()

// runEnd returns the end of a value without quotes.
func runEnd(p []byte, at int) int {
	for at < len(p) {
		if !endsRun[p[at]] {
			at++
			continue
		}
		n := goesOn(p, at)
		if n == 0 {
			break
		}
		at += n
	}
	return at
}

// goesOn returns how many characters at an index belong to a value although they end most.
func goesOn(p []byte, at int) int {
	n := 1
	if p[at] == '\\' {
		n = slashesFrom(p, at)
	}
	if at == 0 || at+n >= len(p) {
		return 0
	}
	next := p[at+n]
	switch p[at] {
	case '\\':
		if !endsRun[next] && strings.IndexByte("nrtux", next) < 0 {
			return n
		}
	case ',':
		if isPartOfValue(p, at+1) {
			return n
		}
	case '\'':
		if isAlnum(p[at-1]) && isAlnum(next) {
			return n
		}
	case '>':
		if isAlnum(next) && isAlnum(p[at-1]) {
			return n
		}
	case '<':
		if isDigit(next) {
			return n
		}
	}
	return 0
}

// isPartOfValue reports whether what follows a comma is no other key, text or element.
func isPartOfValue(p []byte, at int) bool {
	to := at
	for to < len(p) && !endsRun[p[to]] && p[to] != '=' && p[to] != ':' {
		to++
	}
	return to > at && (to == len(p) || p[to] != '=' && p[to] != ':') && p[at] != '{' && p[at] != '['
}

// counts reports whether a value of this class of key is a secret.
func (c keyClass) counts(value []byte) bool {
	if isHarmless(value) {
		return false
	}
	switch c {
	case directory:
		return value[0] != '/'
	case random:
		return looksRandom(value)
	case session:
		return looksRandom(value) && !isProcessSession(value)
	case code:
		return len(value) >= 4 && isDigits(value) || looksRandom(value)
	}
	return true
}

// isProcessSession reports whether a value is a start and a process, in hexadecimal digits:
// PostgreSQL's 6632b2f0.1a47.
func isProcessSession(value []byte) bool {
	dot := bytes.IndexByte(value, '.')
	return dot > 0 && dot <= 8 && len(value)-dot <= 9 && !slices.ContainsFunc(value, func(c byte) bool {
		return hexDigit(c) < 0 && c != '.'
	})
}

func isDigits(p []byte) bool {
	return !slices.ContainsFunc(p, func(c byte) bool { return !isDigit(c) })
}

// looksRandom reports whether a value has eight letters and digits, of both, in a row.
func looksRandom(value []byte) bool {
	for at := 0; at < len(value); at++ {
		from := at
		for at < len(value) && isAlnum(value[at]) {
			at++
		}
		if at-from >= 8 && hasLetterAndDigit(value[from:at]) {
			return true
		}
	}
	return false
}

func hasLetterAndDigit(p []byte) bool {
	var letter, digit bool
	for _, c := range p {
		digit = digit || isDigit(c)
		letter = letter || isAlnum(c) && !isDigit(c)
	}
	return letter && digit
}

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
