package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
)

const (
	digits    = "0123456789"
	hexDigits = digits + "abcdef"
	lower     = "abcdefghijklmnopqrstuvwxyz"
)

// boundaryChars may precede a token: n, r and t are those of \n, \r and \t.
const boundaryChars = " \t\n\r!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~nrt"

// A token begins with a text, in this case exactly, and has so many more characters, as its issuer
// documents.
type token struct {
	text     string
	min, max int
	chars    string // besides letters and digits
	// isWord is set for a text that is too short to be looked for without what surrounds it.
	isWord bool
	from   int // as of a textPattern
}

// tokens are the forms that issuers publish, so that their tokens can be found where they should
// not be. Where a form is left out, nothing but its length tells it from an id.
var tokens = []token{
	// AWS: IAM user guide, "IAM identifiers", unique ID prefixes.
	{text: "AKIA", min: 16, max: 16, isWord: true}, {text: "ASIA", min: 16, max: 16, isWord: true},
	// Google Cloud: "Authenticate using API keys"; client secrets of OAuth; access tokens.
	{text: "AIza", min: 35, max: 35, chars: "_-", isWord: true},
	{text: "GOCSPX-", min: 20, chars: "_-"},
	{text: "ya29.", min: 20, chars: "_-", isWord: true},
	// GitHub: "About authentication to GitHub", token formats.
	{text: "ghp_", min: 36, isWord: true}, {text: "gho_", min: 36, isWord: true},
	{text: "ghu_", min: 36, isWord: true}, {text: "ghs_", min: 36, isWord: true},
	{text: "ghr_", min: 36, isWord: true}, {text: "github_pat_", min: 22, chars: "_", from: 3},
	// GitLab: "Token overview", token prefixes.
	{text: "glpat-", min: 20, chars: "_-."}, {text: "gloas-", min: 20, chars: "_-"},
	{text: "gldt-", min: 20, chars: "_-", isWord: true}, {text: "glrt-", min: 20, chars: "_-.", isWord: true},
	{text: "glcbt-", min: 20, chars: "_-."}, {text: "glptt-", min: 20, chars: "_-"},
	{text: "glft-", min: 20, chars: "_-", isWord: true}, {text: "glimt-", min: 20, chars: "_-"},
	{text: "glagent-", min: 20, chars: "_-"}, {text: "glsoat-", min: 20, chars: "_-"},
	// Slack: "Tokens"; "Sending messages using incoming webhooks".
	{text: "xoxa-", min: 10, chars: "-", isWord: true}, {text: "xoxb-", min: 10, chars: "-", isWord: true},
	{text: "xoxc-", min: 10, chars: "-", isWord: true}, {text: "xoxd-", min: 10, chars: "-", isWord: true},
	{text: "xoxe-", min: 10, chars: "-", isWord: true}, {text: "xoxe.xox", min: 10, chars: "-."},
	{text: "xoxo-", min: 10, chars: "-", isWord: true}, {text: "xoxp-", min: 10, chars: "-", isWord: true},
	{text: "xoxr-", min: 10, chars: "-", isWord: true}, {text: "xoxs-", min: 10, chars: "-", isWord: true},
	{text: "xapp-", min: 10, chars: "-", isWord: true}, {text: "xwfp-", min: 10, chars: "-", isWord: true},
	{text: "hooks.slack.com/services/", min: 20, chars: "/", from: 7},
	// Discord: developer documentation, "Webhook". Telegram: Bot API, "Authorizing your bot".
	{text: "discord.com/api/webhooks/", min: 30, chars: "/_-", from: 17},
	{text: "discordapp.com/api/webhooks/", min: 30, chars: "/_-", from: 20},
	{text: "api.telegram.org/bot", min: 30, chars: ":_-", from: 9},
	// Stripe: "API keys", "Receive events in your webhook endpoint".
	{text: "sk_live_", min: 16}, {text: "sk_test_", min: 16}, {text: "rk_live_", min: 16},
	{text: "rk_test_", min: 16}, {text: "whsec_", min: 16, chars: "+/="},
	// OpenAI: API reference, "Authentication" (sk- alone: see below). Anthropic, Groq, xAI,
	// Perplexity: their API references.
	{text: "sk-proj-", min: 20, chars: "_-"}, {text: "sk-svcacct-", min: 20, chars: "_-", from: 2},
	{text: "sk-admin-", min: 20, chars: "_-"}, {text: "sk-None-", min: 20, chars: "_-"},
	{text: "sk-ant-", min: 20, chars: "_-"}, {text: "gsk_", min: 40, isWord: true},
	{text: "xai-", min: 60, isWord: true}, {text: "pplx-", min: 40, isWord: true},
	// HashiCorp: Vault "Tokens", token prefixes; HCP Terraform "API tokens".
	{text: "hvs.", min: 24, chars: "_-", isWord: true}, {text: "hvb.", min: 24, chars: "_-", isWord: true},
	{text: "hvr.", min: 24, chars: "_-", isWord: true}, {text: ".atlasv1.", min: 40, chars: "_-"},
	// npm: "About access tokens". PyPI: "API tokens". RubyGems: "API key scopes".
	{text: "npm_", min: 36, isWord: true}, {text: "pypi-AgEI", min: 16, chars: "_-"},
	{text: "rubygems_", min: 40},
	// Docker: "Personal access tokens", "Organization access tokens".
	{text: "dckr_pat_", min: 20, chars: "_-"}, {text: "dckr_oat_", min: 20, chars: "_-"},
	// DigitalOcean: "How to create a personal access token". Tailscale: "Key prefixes". Netlify:
	// its API.
	{text: "dop_v1_", min: 40}, {text: "doo_v1_", min: 40}, {text: "dor_v1_", min: 40},
	{text: "tskey-", min: 16, chars: "-"}, {text: "nfp_", min: 36, isWord: true},
	// Brevo: "API keys". Postman: "Postman API authentication".
	{text: "xkeysib-", min: 60, chars: "-"},
	{text: "PMAK-", min: 50, chars: "-", isWord: true},
	// Shopify: "Access tokens". Square: "Access tokens".
	{text: "shpat_", min: 32}, {text: "shpca_", min: 32}, {text: "shppa_", min: 32}, {text: "shpss_", min: 32},
	{text: "sq0atp-", min: 22, chars: "_-"}, {text: "sq0csp-", min: 40, chars: "_-"},
	// Grafana: "Service account tokens", "Access policies". Sentry: "Auth tokens". New Relic: "API
	// keys".
	{text: "glsa_", min: 32, chars: "_", isWord: true}, {text: "glc_ey", min: 32, chars: "+/="},
	{text: "sntrys_eyJ", min: 32, chars: "_+/=", from: 4}, {text: "NRAK-", min: 27, isWord: true},
	// PlanetScale: "Service tokens". Supabase: "Access tokens".
	{text: "pscale_", min: 32, chars: "_-."},
	{text: "sbp_", min: 40, isWord: true},
	// Atlassian: "API tokens". Linear: "API". Notion: "Authorization". Figma: "Access tokens".
	{text: "ATATT3xFf", min: 40, chars: "_=-"}, {text: "lin_api_", min: 32}, {text: "ntn_", min: 40, isWord: true},
	{text: "figd_", min: 32, chars: "_-", isWord: true},
	// age: "age file encryption", key format.
	{text: "AGE-SECRET-KEY-1", min: 50},
}

// jwtHeads are the base64 of {" (or {, white space and ") and the parameters of RFC 7515, 7516 and
// 7519, and some others that often come first.
var jwtHeads = []string{
	"eyJhbGci", "eyJ0eXAi", "eyJraWQi", "eyJlbmMi", "eyJjdHki", // alg, typ, kid, enc, cty
	"eyJ4NXQi", "eyJ4NWMi", "eyJ4NXUi", "eyJqa3Ui", "eyJqd2si", // x5t, x5c, x5u, jku, jwk
	"eyJjcml0", "eyJ6aXAi", "eyJub25j", "eyJ2ZXIi", "eyJpc3Mi", // crit, zip, nonce, ver, iss
	"eyAiYWxn", "eyAidHlw", "eyAia2lk", "ewogICJh", "ewogICJ0", "ewogICJr", "ewogImFs", "ewogInR5", "ewogImtp",
	"eyJhbGcg", "eyJ0eXAg",
}

var secretIndex = newIndex(secretPatterns())

func secretPatterns() []*textPattern {
	all := keyPatterns()
	for i := range tokens {
		t := &tokens[i]
		p := &textPattern{text: strings.ToLower(t.text), from: t.from, form: tokenForm, token: t}
		if t.isWord {
			p.before, p.after, p.from = boundaryChars+hexDigits, lower+digits+t.chars, -1 // %22, \u0022
		}
		all = append(all, p)
	}
	for _, head := range jwtHeads {
		all = append(all, &textPattern{text: strings.ToLower(head), form: jwtForm, exact: head})
	}
	for i := range commands {
		c := &commands[i]
		p := &textPattern{text: c.text, form: commandForm}
		if len(c.text) < 6 {
			p.after = " \t\"',\\-_"
		}
		if c.text == "mysql" {
			p.after += "adhi" // mysqladmin, mysqldump, mysqlhotcopy, mysqlimport
		}
		all = append(all, p)
	}
	// What may hide an @ or the letters of a name. In other texts something is found as it stands.
	for _, text := range []string{"%3a%2f", "%253a%252f", `:\/\/`} {
		all = append(all, &textPattern{text: text, after: lower + digits + "%", form: escapeForm})
	}
	all = append(all, &textPattern{text: `\u00`, before: anyChar, from: -1, after: hexDigits, form: escapeForm})
	return append(all,
		&textPattern{text: "bearer", form: bearerForm},
		&textPattern{text: "basic", after: " \t", form: basicForm},
		&textPattern{text: "identified by", from: 4, form: identifiedForm},
		&textPattern{text: "identified with", from: 4, form: identifiedForm},
		&textPattern{text: "-----begin", from: 3, form: pemForm},
		&textPattern{text: "sig=", before: "?&;", after: lower + digits + "%", from: -1, form: signatureForm},
	)
}

// anyChar has all characters as an index folds them.
var anyChar = func() string {
	var all []byte
	for c := range 256 {
		if fold(byte(c)) == byte(c) {
			all = append(all, byte(c))
		}
	}
	return string(all)
}()

// keyPatterns are those of keys.
func keyPatterns() (all []*textPattern) {
	for _, s := range stems {
		p := &textPattern{text: s.text, stem: len(s.text), from: s.from, form: keyForm, class: s.class}
		if len(s.text) < s.from+6 {
			p.after = afterKey
		}
		all = append(all, p)
	}
	for i := range shortStems {
		s := &shortStems[i]
		all = append(all, &textPattern{text: s.text + "%3d", before: boundaryChars + "_", from: min(0, len(s.text)-3),
			form: escapeForm})
		if len(s.text) < 3 {
			continue // only before an equals sign
		}
		for _, quote := range []string{`"`, `\"`, `'`} {
			from := s.from
			if quote == `\"` {
				from = max(from, 0)
			}
			all = append(all, &textPattern{text: s.text + quote, stem: len(s.text), before: "\"'\\_-.", from: from,
				after: ": \t,=", form: keyForm, class: s.class, short: s})
		}
		if s.class == pass || s.class == directory {
			all = append(all, &textPattern{text: s.text + ":", stem: len(s.text), before: boundaryChars + "_",
				from: s.from, after: " \t\"'\\", form: keyForm, class: s.class, short: s})
		}
	}
	return append(all,
		&textPattern{text: "-pass ", lead: 1, stem: 5, form: keyForm, class: ordinary},
		&textPattern{text: "<pass>", lead: 1, stem: 5, form: keyForm, class: ordinary},
		&textPattern{text: "<pwd>", lead: 1, stem: 4, after: lower + digits, form: keyForm, class: ordinary},
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

// basic finds the credentials of HTTP's basic authentication: base64 of user:password (RFC 7617).
func basic(p []byte, start, end int) (finding, bool) {
	from := skipBlanks(p, end)
	if from == end || !atBoundary(p, start) {
		return finding{}, false
	}
	to := from
	for to < len(p) && (isAlnum(p[to]) || p[to] == '+' || p[to] == '/') {
		to++
	}
	const longest = 512
	if to-from < 4 || to-from > longest {
		return finding{}, false
	}
	var room [longest]byte
	n, err := base64.RawStdEncoding.Decode(room[:], p[from:to])
	if err != nil || bytes.IndexByte(room[:n], ':') < 0 {
		return finding{}, false
	}
	for _, c := range room[:n] {
		if c < ' ' {
			return finding{}, false
		}
	}
	for to < len(p) && p[to] == '=' {
		to++
	}
	return finding{from: from, to: to}, true
}

// shortHeads begin tokens whose heads are too short for an index, but which are long themselves.
// OpenAI: API reference, "Authentication"; SendGrid: "API keys"; Hugging Face: "User access
// tokens"; Databricks: "Personal access tokens".
var shortHeads = []token{
	{text: "sk-", min: 40}, {text: "SG.", min: 60, chars: "._-"}, {text: "hf_", min: 34},
	{text: "dapi", min: 32, max: 34, chars: "-"},
}

// minLongToken is the length of the shortest of them.
const minLongToken = 36

// hasLongToken reports whether a text may have a token that begins with a short head. Most have no
// word that is so long. Such a word has all of the eight characters at one of the places that are
// looked at.
func hasLongToken(p []byte) bool {
	const step = minLongToken - 8 + 1
	for at := 8; at+8 <= len(p); at += step {
		if at+16 <= len(p) {
			q := p[at-8 : at+16]
			if hasBlank(binary.LittleEndian.Uint64(q[8:16])) != 0 ||
				hasBlank(binary.LittleEndian.Uint64(q)) != 0 && hasBlank(binary.LittleEndian.Uint64(q[16:])) != 0 {
				continue // within a word of less than 24
			}
		} else if hasBlank(binary.LittleEndian.Uint64(p[at:])) != 0 {
			continue
		}
		end := len(p)
		if next := bytes.IndexByte(p[at+8:], ' '); next >= 0 {
			end = at + 8 + next
		}
		before := max(0, at-step) // where a blank is, if there is one before
		start := before + bytes.LastIndexByte(p[before:at], ' ') + 1
		for ; start+minLongToken <= end; start++ {
			if isShortHead(p[start:end]) {
				return true
			}
		}
		at = max(at, end+1-step)
	}
	return false
}

// isShortHead reports whether a text begins with a short head.
func isShortHead(p []byte) bool {
	return beginsShortHead[p[0]] &&
		slices.ContainsFunc(shortHeads, func(t token) bool { return bytes.HasPrefix(p, []byte(t.text)) })
}

// beginsShortHead has the first characters of short heads.
var beginsShortHead = func() (t [256]bool) {
	for _, head := range shortHeads {
		t[head.text[0]] = true
	}
	return t
}()

func hasBlank(w uint64) uint64 {
	w ^= ' ' * ones
	return (w - ones) &^ w & highBits
}

// longTokens appends tokens that begin with a short head: they have letters and digits.
func longTokens(p []byte, found []finding) []finding {
	if !hasLongToken(p) {
		return found
	}
	for i := range shortHeads {
		t := &shortHeads[i]
		for at := 0; ; {
			next := bytes.Index(p[at:], []byte(t.text))
			if next < 0 {
				break
			}
			start := at + next
			at = start + len(t.text)
			if f, ok := t.find(p, start, at); ok && hasLetterAndDigit(p[at:f.to]) {
				found, at = append(found, f), f.to
			}
		}
	}
	return found
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
