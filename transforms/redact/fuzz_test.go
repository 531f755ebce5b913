package redact

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// slow finds what an index does by trying every pattern at every place.
func slow(p []byte, patterns []*textPattern) []finding {
	s := scanner{p: p, names: &names{}}
	var found []finding
	for start := range p {
		for _, pattern := range patterns {
			end := start + len(pattern.text)
			if start < s.done || end > len(p) || !strings.EqualFold(string(p[start:end]), pattern.text) {
				continue
			}
			if f, ok := pattern.match(&s, start, end); ok {
				found = append(found, f)
				s.done = f.to
			}
		}
	}
	return found
}

// FuzzIndex holds the quick search against the slow one.
func FuzzIndex(f *testing.F) {
	for _, file := range []string{"secrets", "harmless"} {
		text, err := os.ReadFile("testdata/" + file + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f.Add([]byte(strings.ReplaceAll(line, "¶", "")))
		}
	}
	patterns, d := secretPatterns(), newDetector(defaults())
	f.Fuzz(func(t *testing.T, p []byte) {
		want := mergeFindings(slow(p, patterns))
		at, quiet := secretIndex.none(p)
		s := scanner{p: p, names: &names{}}
		got := mergeFindings(secretIndex.scanKnown(&s, at, nil))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(finding{}, quotes{})); diff != "" {
			t.Errorf("%q: %s", p, diff)
		}
		if quiet && (len(want) > 0 || bytes.IndexByte(p, '@') >= 0 || len(d.shortKeys(p, nil)) > 0) {
			t.Errorf("%q is not as quiet as it seems", p)
		}
	})
}

// TestSignsAtEveryPlace: an @, and an equals sign behind a short key, are seen wherever they stand
// in a text of any length.
func TestSignsAtEveryPlace(t *testing.T) {
	d := newDetector(defaults())
	for before := range 24 {
		for after := range longText + 9 {
			for _, sign := range []string{"@", " pw=", " otp=", "1="} {
				p := []byte(strings.Repeat("8", before) + sign + strings.Repeat("8", after))
				if _, none := d.index.none(p); none != (sign == "1=") {
					t.Errorf("of %s it is said that nothing is there: %v", p, none)
				}
			}
		}
	}
	if got := d.scan([]byte("8 otp=493027 client"), nil); len(got) != 1 {
		t.Errorf("a one-time password is found as %v", got)
	}
}

// TestLongTokensAtEveryPlace: the quick look sees each token, wherever it is, in a word or alone.
func TestLongTokensAtEveryPlace(t *testing.T) {
	for _, head := range shortHeads {
		shortest := head.text + strings.Repeat("a1", minLongToken)[:max(minLongToken-len(head.text), head.min)]
		for before := range 70 {
			for _, filler := range []string{" ", "x", "x y ", "some words and "} {
				p := strings.Repeat(filler, before)[:before]
				for _, line := range []string{p + shortest, p + " " + shortest + p, p + "=" + shortest + " " + p} {
					if !hasLongToken([]byte(line)) {
						t.Fatalf("nothing is seen in %s", line)
					}
				}
			}
		}
	}
}

// TestIndexAtEveryPlace moves each pattern through all places at which the search may look.
func TestIndexAtEveryPlace(t *testing.T) {
	patterns := secretPatterns()
	pieces := []string{"password=abc1", `"token":"abc"`, "cookie: a=b", "xo" + "xb-1234567890",
		" AK" + "IAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.x",
		"?sig=0123456789abcdef", "bearer 0123456789abcdef", "Authorization: Basic abc"}
	random := rand.New(rand.NewPCG(1, 2))
	for _, piece := range pieces {
		for before := range 20 {
			for after := range 9 {
				filler := make([]byte, before+after)
				for i := range filler {
					filler[i] = " .;x7\"\\"[random.IntN(7)]
				}
				p := []byte(string(filler[:before]) + piece + string(filler[before:]))
				at, _ := secretIndex.none(p)
				if diff := cmp.Diff(mergeFindings(slow(p, patterns)),
					mergeFindings(secretIndex.scan(p, at, &names{}, nil)), cmp.AllowUnexported(finding{},
						quotes{})); diff != "" {
					t.Fatalf("%q: %s", p, diff)
				}
			}
		}
	}
}

// byIssuer are the forms of tokens as their issuers, and scanners for them, write them: another way
// to say what tokens.go does.
var byIssuer = map[string]*regexp.Regexp{
	"AKIA": regexp.MustCompile(`^(AKIA|ASIA)[A-Za-z0-9]{16}$`), "AIza": regexp.MustCompile(`^AIza[A-Za-z0-9_-]{35}$`),
	"ghp_": regexp.MustCompile(`^gh[pousr]_[A-Za-z0-9]{36,}$`),
	"xoxb": regexp.MustCompile(`^xox[abeoprs]-[A-Za-z0-9-]{10,}$`),
	"sk_l": regexp.MustCompile(`^[sr]k_(live|test)_[A-Za-z0-9]{16,}$`),
	"glpa": regexp.MustCompile(`^glpat-[A-Za-z0-9_-]{20,}$`),
}

func TestTokensAsTheirIssuersSay(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, token := range tokens {
		re := byIssuer[token.text[:4]]
		if re == nil {
			continue
		}
		for range 300 {
			text := []byte(token.text)
			for range random.IntN(45) {
				text = append(text, "abcXYZ0189_-"[random.IntN(12)])
			}
			found := secretIndex.scan(text, 0, &names{}, nil)
			is := len(found) == 1 && found[0] == finding{to: len(text)}
			if want := re.Match(text); is != want {
				t.Errorf("%s is one: %v, want %v (%v)", text, is, want, found)
			}
		}
	}
}

// TestEveryTokenOfTheList: with as many characters as its issuer says, and not with one less.
func TestEveryTokenOfTheList(t *testing.T) {
	d := newDetector(defaults())
	for _, token := range slices.Concat(tokens, shortHeads) {
		text := token.text + strings.Repeat("a1B2c3", 12)[:token.min]
		for _, around := range []string{"%s", "a: %s, b", `{"a":"%s"}`, "a=%s&b", "(%s)", "\\n%s\\n",
			`\u0022%s\u0022`, "%%20%s"} {
			line := []byte(fmt.Sprintf(around, text))
			found := mergeFindings(d.scan(line, nil))
			if len(found) != 1 || string(line[found[0].from:found[0].to]) != text {
				t.Errorf("%s: found %v", line, found)
			}
		}
		if short := []byte(text[:len(text)-1]); token.min > 0 && len(d.scan(short, nil)) > 0 {
			t.Errorf("%s is too short, but found", short)
		}
	}
}

// TestEveryEscape: a text is redacted however its signs are escaped, in whatever a string is
// within.
func TestEveryEscape(t *testing.T) {
	escapes := []string{
		"\\u%04x", "\\\\u%04X", "\\x%02X", "\\\\x%02x", "%%%02X", "%%25%02x", "&#%d;", "&#x%x;",
	}
	d := newDetector(defaults())
	for _, text := range []string{`{"password":"^"}`, `{"a":{"token": "^"}}`, "password=^", "?n=1&secret=^&m=2",
		"postgres://ann:^@db/x", "Authorization: Bearer ^", `x "gh` + `p_^"`, "pwd=^;a=b", `"name":"TOKEN","value":"^"`,
		"--password '^'"} {
		for i, escape := range escapes {
			const hidden = "s3cretvalue99s3cretvalue99s3cretvalue99"
			line := ""
			for _, c := range []byte(text) {
				switch {
				case c == '^':
					line += hidden
				case isAlnum(c) || c == '_' || c == ' ' || c == '-':
					line += string(c)
				default:
					line += fmt.Sprintf(escape, c)
				}
			}
			for range 4 { // wherever the groups of three bytes are
				found := mergeFindings(d.scan([]byte(line), nil))
				if len(found) != 1 || !strings.Contains(line[found[0].from:found[0].to], hidden) {
					if i >= 2 && strings.HasPrefix(text, "postgres") && escape[0] != '%' {
						continue // nothing but URLs and JSON escapes an @
					}
					t.Errorf("%d: %s: found %v", i, line, found)
				}
				line = " " + line
			}
		}
	}
}

// TestViewOffsets: every part of a view is where it says it is in the text.
func TestViewOffsets(t *testing.T) {
	for _, text := range []string{`a\u0022b`, `\\\u0022x\/`, "%3Da%3d", "&lt;&#65;a&", `a\\x41b\u000ac`, "none", ""} {
		var v view
		v.read([]byte(text))
		for from := range len(v.text) + 1 {
			f := []finding{{from: from, to: len(v.text)}}
			v.toText(f)
			if f[0].to != len(text) || f[0].from > len(text) || from == 0 && f[0].from != 0 {
				t.Errorf("%q as %q: %d is at %v", text, v.text, from, f)
			}
		}
	}
}

// FuzzRedact: valid JSON stays valid, whatever is taken out of it.
func FuzzRedact(f *testing.F) {
	for _, file := range []string{"secrets", "harmless", "personal"} {
		text, err := os.ReadFile("testdata/" + file + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f.Add(strings.TrimRight(strings.ReplaceAll(strings.TrimPrefix(line, "< "), "¶", ""), "\n"))
		}
	}
	f.Add(`{"a":"token='0123456789","b":"x'"}`)
	everything := &Config{Detect: []string{"secrets", "email", "ip", "card", "iban"}, Replacement: "[{kind}]",
		Keys: []string{"a"}}
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range []*Config{defaults(), everything} {
			transform := pipetest.MustTransform(t, c, nil)
			b := parsed(newJSON, line)
			before := append([]event.Record(nil), b.Records...)
			transform.Apply(b)
			pipetest.CheckBatch(t, b, before)
			raw := string(b.Line(0))
			if strings.HasPrefix(line, "{") && stdjson.Valid([]byte(line)) && !stdjson.Valid([]byte(raw)) {
				t.Errorf("%q became %q", line, raw)
			}
		}
	})
}

// TestHostileLinesCostNoMore repeats what could make the search start over and over; a cost by the
// square of the length would show at once.
func TestHostileLinesCostNoMore(t *testing.T) {
	everything := &Config{Detect: []string{"secrets", "email", "ip", "card", "iban"}, Replacement: "x"}
	transform := pipetest.MustTransform(t, everything, nil)
	for _, piece := range []string{
		"token:", "token=\"", `"token":{`, `"token":[`, `\"token\":\"`, "token: a ", "eyJhbGci", "eyJhbGci.", "@",
		"://a:b@", "a@", "://", ":", "\\\"", `\\"`,
		"-----BEGIN PRIVATE KEY", "-----BEGIN PRIVATE KEY-----", "bearer ", "cookie: ", "cookie: a", "sig=", "4111 ",
		`\u0022`, `\\u0022`, "%22", "%2522", "&quot;", "&#", `\/`, "pass=", "pass=a|", "token=a,b", "token=a,",
		`token=a'b`,
		"curl -u ", "curl -u a:b ", "<password>", "<password ", "identified by ", "password '", "--password ", "a/b@",
		"thin:a/b@", "authorization: digest a=b, ", `"password","value":"`, `"--password","`, "sk-", "basic YWFh",
		"1.2.", "::", "DE89", "DE89 3704 ", "'", "password='", "authorization: basic ",
	} {
		b := &event.Batch{}
		b.Reset(event.NewSource(1, "app", "k", nil))
		b.Add(0, 1, b.PutString(strings.Repeat(piece, (1<<17)/len(piece))))
		transform.Apply(b)
	}
}
