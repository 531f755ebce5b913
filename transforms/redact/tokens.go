package redact

import (
	"bytes"
	"strings"
)

const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	word64  = lower + digits + "_-"
	headLen = 128 // bounds the header of a private key
)

// boundaryChars may precede a token: n, r and t are those of , \r and \t.
const boundaryChars = " \t\n\r!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~nrt"

// A token begins with a text, in this case exactly, and has so many more characters, as its issuer
// documents.
type token struct {
	text          string
	min, max      int
	chars         string // besides letters and digits
	before, after string
	from          int
}

var tokens = []token{
	{text: "AKIA", min: 16, max: 16, before: boundaryChars, after: lower + digits, from: -1}, // AWS
	{text: "ASIA", min: 16, max: 16, before: boundaryChars, after: lower + digits, from: -1},
	{text: "AIza", min: 35, max: 35, chars: "_-", before: boundaryChars, after: word64, from: -1}, // Google
	{text: "ya29.", min: 20, chars: "_-", after: word64},
	{text: "ghp_", min: 36, before: boundaryChars, after: lower + digits, from: -1}, // GitHub
	{text: "gho_", min: 36, before: boundaryChars, after: lower + digits, from: -1},
	{text: "ghu_", min: 36, before: boundaryChars, after: lower + digits, from: -1},
	{text: "ghs_", min: 36, before: boundaryChars, after: lower + digits, from: -1},
	{text: "ghr_", min: 36, before: boundaryChars, after: lower + digits, from: -1},
	{text: "github_pat_", min: 22, chars: "_", from: 3},
	// GitLab
	{text: "glpat-", min: 20, chars: "_-"},
	// Slack
	{text: "xoxa-", min: 10, chars: "-", before: boundaryChars, from: -1},
	{text: "xoxb-", min: 10, chars: "-", before: boundaryChars, from: -1},
	{text: "xoxe-", min: 10, chars: "-", before: boundaryChars, from: -1},
	{text: "xoxo-", min: 10, chars: "-", before: boundaryChars, from: -1},
	{text: "xoxp-", min: 10, chars: "-", before: boundaryChars, from: -1},
	{text: "xoxr-", min: 10, chars: "-", before: boundaryChars, from: -1},
	{text: "xoxs-", min: 10, chars: "-", before: boundaryChars, from: -1},
	// Stripe
	{text: "sk_live_", min: 16},
	{text: "sk_test_", min: 16},
	{text: "rk_live_", min: 16},
	{text: "rk_test_", min: 16},
	{text: "sk-ant-", min: 20, chars: "_-"}, {text: "sk-proj-", min: 20, chars: "_-"}, // Anthropic, OpenAI
	{text: "npm_", min: 36, before: boundaryChars, after: lower + digits, from: -1},
	{text: "hvs.", min: 24, chars: "_-", before: boundaryChars, after: word64, from: -1}, // Vault
	{text: "dop_v1_", min: 40}, {text: "pypi-AgEI", min: 16, chars: "_-"},
	{text: "hooks.slack.com/services/", min: 20, chars: "/", from: 7},
}

// jwtHeads are the base64 of {" and the parameters of RFC 7515, 7516 and 7519, and some others that
// often come first.
var jwtHeads = []string{
	"eyJhbGci", "eyJ0eXAi", "eyJraWQi", "eyJlbmMi", "eyJjdHki", // alg, typ, kid, enc, cty
	"eyJ4NXQi", "eyJ4NWMi", "eyJ4NXUi", "eyJqa3Ui", "eyJqd2si", // x5t, x5c, x5u, jku, jwk
	"eyJjcml0", "eyJ6aXAi", "eyJub25j", "eyJ2ZXIi", "eyJpc3Mi", // crit, zip, nonce, ver, iss
}

var secretIndex = newIndex(secretPatterns())

func secretPatterns() []*textPattern {
	var all []*textPattern
	for _, w := range keySuffixes {
		p := &textPattern{text: w.text, from: w.from, form: keyForm, class: w.class}
		if len(w.text) < w.from+6 {
			p.after = afterKey
		}
		all = append(all, p)
	}
	for i := range tokens {
		t := &tokens[i]
		all = append(all, &textPattern{text: strings.ToLower(t.text), before: t.before, after: t.after, from: t.from,
			form: tokenForm, token: t})
	}
	for _, head := range jwtHeads {
		all = append(all, &textPattern{text: strings.ToLower(head), form: jwtForm, exact: head})
	}
	return append(all,
		&textPattern{text: "bearer", form: bearerForm},
		&textPattern{text: "-----begin", from: 3, form: pemForm},
		&textPattern{text: "sig=", before: "?&;", after: lower + digits + "%", from: -1, form: signatureForm},
	)
}

func (t *token) find(p []byte, start, end int) (finding, bool) {
	if string(p[start:end]) != t.text || !atBoundary(p, start) {
		return finding{}, false
	}
	to := end
	for to < len(p) && (isAlnum(p[to]) || strings.IndexByte(t.chars, p[to]) >= 0) {
		to++
	}
	n := to - end
	return finding{from: start, to: to}, n >= t.min && (t.max == 0 || n <= t.max)
}

// atBoundary reports whether no word continues at an index. The n of , in JSON, is no word.
func atBoundary(p []byte, at int) bool {
	if at == 0 {
		return true
	}
	switch before := p[at-1]; before {
	case 'n', 'r', 't':
		return at > 1 && p[at-2] == '\\'
	default:
		return strings.IndexByte(boundaryChars, before) >= 0
	}
}

func isBase64URL(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

// jwt finds a JSON Web Token: three or five parts of base64url with dots between them (RFC 7515,
// 7516). The last may be empty.
func jwt(p []byte, head string, start, end int) (finding, bool) {
	if string(p[start:end]) != head || !atBoundary(p, start) {
		return finding{}, false
	}
	parts, to := 0, end
	for {
		from := to
		for to < len(p) && isBase64URL(p[to]) {
			to++
		}
		if parts++; parts == 2 && to-from < 8 {
			return finding{}, false
		}
		if parts == 5 || to == len(p) || p[to] != '.' {
			break
		}
		to++
	}
	if p[to-1] == '.' && parts > 3 { // the end of a sentence
		to--
	}
	return finding{from: start, to: to}, parts >= 3
}

// bearer finds the token after the word: 16 characters or more, with a digit (RFC 6750).
func bearer(p []byte, start, end int) (finding, bool) {
	from := skipBlanks(p, end)
	if from == end || !atBoundary(p, start) {
		return finding{}, false
	}
	to, digit := from, false
	for to < len(p) && (isBase64URL(p[to]) || p[to] == '.' || p[to] == '~' || p[to] == '+' || p[to] == '/' ||
		p[to] == '=') {
		digit = digit || '0' <= p[to] && p[to] <= '9'
		to++
	}
	return finding{from: from, to: to}, digit && to-from >= 16
}

// privateKey finds a PEM block with a private key (RFC 7468), up to its end or that of the string
// it is in.
func privateKey(p []byte, start, end int) (finding, bool) {
	head := p[end:min(len(p), end+headLen)]
	dashes := bytes.Index(head, []byte("-----"))
	if dashes < 0 || !bytes.HasSuffix(head[:dashes], []byte("PRIVATE KEY")) &&
		!bytes.HasSuffix(head[:dashes], []byte("PRIVATE KEY BLOCK")) {
		return finding{}, false
	}
	to := len(p)
	if quote := bytes.IndexByte(p[end:], '"'); quote >= 0 {
		to = end + quote - slashesBefore(p, end+quote, end)
	}
	if last := bytes.Index(p[end:to], []byte("-----END")); last >= 0 {
		last += end + len("-----END")
		if dashes := bytes.Index(p[last:min(to, last+headLen)], []byte("-----")); dashes >= 0 {
			to = last + dashes + len("-----")
		}
	}
	return finding{from: start, to: to}, true
}

// signature finds the signature of an Azure URL (SAS).
func signature(p []byte, start, end int) (finding, bool) {
	if start == 0 || strings.IndexByte("?&;", p[start-1]) < 0 {
		return finding{}, false
	}
	to := end
	for to < len(p) && (isBase64URL(p[to]) || p[to] == '%' || p[to] == '+' || p[to] == '/' || p[to] == '=') {
		to++
	}
	return finding{from: end, to: to}, to-end >= 16
}

// urlPasswords finds passwords in URLs: scheme://user:password@host.
func (d *detector) urlPasswords(p []byte, found []finding) []finding {
	last := -1 // the @ before
	var lastFrom int
	for at := bytes.IndexByte(p, '@'); at >= 0; {
		from := passwordBefore(p, at, last, lastFrom)
		if from > 0 && !isHarmless(p[from:at]) {
			found = append(found, finding{from: from, to: at})
		}
		next := bytes.IndexByte(p[at+1:], '@')
		if next < 0 {
			break
		}
		last, lastFrom, at = at, from, at+1+next
	}
	return found
}

// passwordBefore returns where the password before an @ begins, or 0. If nothing ends the URL since
// the last @, that is part of the password.
func passwordBefore(p []byte, at, last, lastFrom int) int {
	colon := 0
	for i := at - 1; i > last; i-- {
		switch c := p[i]; {
		case endsRun[c] && c != '&' && c != ';' && c != ',', c == '?', c == '#':
			return 0
		case c == ':':
			colon = i + 1
		case c == '/':
			if i < 3 || p[i-1] != '/' || p[i-2] != ':' || !isAlnum(p[i-3]) {
				return 0
			}
			return colon
		}
	}
	return lastFrom
}
