// Package redact removes secrets from records: from fields, message and the line itself.
//
// It is on by default and comes first, so that nothing that follows (a transform that copies a
// field, raw lines, a dead letter) can reveal a secret.
//
// Detectors look at bytes as they are in the line, JSON escapes included, and then at what the line
// says without other escapes (see view); a match has no quote or part of an escape at its ends, so
// that valid JSON stays valid. A line of JSON says no more than its record
// (event.Record.RedundantText), so names and texts are enough to look at there: under 60 ns for 220
// bytes. Other lines are searched whole, three bytes of every four against a set of bits.
package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindTransform,
		Type: "redact",
		Summary: "Removes passwords, tokens, keys and, optionally, personal data from records. Every pipeline has " +
			"one unless the config has redact: false at its top. Depends on nothing but the record.",
		New: func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Detect      []string        `yaml:"detect" default:"[secrets]" enum:"secrets|email|ip|card|iban" doc:"What to look for. secrets are values of keys such as password, token, api_key, authorization and cookie, passwords in URLs, bearer tokens and JWTs, keys of cloud services, and private keys; card, iban: only those with valid check digits." example:"[secrets, email, card]"`
	Keys        []string        `yaml:"keys" doc:"Additional names of fields whose values are secrets, in any case; also names that end in one." example:"[ssn, birth_date]"`
	Except      []string        `yaml:"except" doc:"Names whose values are no secrets, whatever they look like; * matches any characters." example:"[next_token, csrf_cookie]"`
	Patterns    []string        `yaml:"patterns" doc:"Regular expressions of what else to redact: what the first group matches, or all. They cost more than the built-in detectors." example:"['customer-([0-9]{8})']"`
	Action      string          `yaml:"action" formerly:"how" default:"replace" enum:"replace|hash|mask" doc:"replace inserts a text; hash inserts a keyed hash, so that equal values can be recognised; mask keeps the last four characters of long ones."`
	Replacement string          `yaml:"replacement" formerly:"with" default:"\"[REDACTED]\"" doc:"The text of replace; {kind} is what was found: secret, email, ip, card, iban, pattern." example:"\"[{kind}]\""`
	HashKey     pipeline.Secret `yaml:"hash_key" doc:"The key of hash: long and random. Whoever has it can guess values."`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, message string) {
		problems = append(problems, pipeline.Problem{Path: path, Message: message})
	}
	for i, p := range c.Patterns {
		if _, err := regexp.Compile(p); err != nil {
			found(fmt.Sprintf("patterns[%d]", i), "is not a regular expression: "+err.Error())
		}
	}
	for i, k := range c.Keys {
		if k == "" || strings.ContainsAny(k, "*\"\\") {
			found(fmt.Sprintf("keys[%d]", i), `must be a name, without *, " and \`)
		}
	}
	if strings.ContainsFunc(c.Replacement, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		found("replacement", `must be plain ASCII without " and \, so that it is valid anywhere`)
	}
	if c.Action == "hash" && len(c.HashKey) < 16 {
		found("hash_key", "is missing or too short; hash needs 16 characters or more, or values could be guessed")
	}
	return problems
}

// kind is the kind of a finding.
type kind uint8

const (
	secret kind = iota
	email
	ip
	card
	iban
	pattern
	kinds
)

var kindNames = [kinds]string{"secret", "email", "ip", "card", "iban", "pattern"}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	t := &transform{when: env.If, action: c.Action, key: []byte(c.HashKey.Reveal()), detector: newDetector(c)}
	counts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "longshore_transform_redacted_values_total", Help: "Values that were redacted.",
	}, []string{"kind"})
	for k, name := range kindNames {
		t.replacements[k] = strings.ReplaceAll(c.Replacement, "{kind}", name)
		t.counts[k] = counts.WithLabelValues(name)
	}
	env.Metrics.MustRegister(counts)
	t.panics = pipeline.TransformPanics(env)
	return t, nil
}

type transform struct {
	when         func(b *event.Batch, i int) bool
	action       string
	key          []byte
	replacements [kinds]string
	counts       [kinds]prometheus.Counter
	detector     *detector
	panics       *pipeline.Panics
}

// Apply implements pipeline.Transform. Rejected records are redacted too: they become dead letters.
func (t *transform) Apply(b *event.Batch) {
	for next := 0; next < len(b.Records); {
		next = t.apply(b, next)
	}
}

// apply redacts the records from one on, to the end or to one at which it panics, of which the text
// is withheld. It returns the next.
func (t *transform) apply(b *event.Batch, from int) (next int) {
	i := from
	defer func() {
		if i < len(b.Records) {
			t.panics.Note(recover(), "redacting a line has panicked, and the line is withheld",
				"source", b.Source.Key, "position", b.Records[i].Pos)
			withhold(b, i)
			next = i + 1
		}
	}()
	for ; i < len(b.Records); i++ {
		if b.Records[i].Flags&event.Dropped == 0 && (t.when == nil || t.when(b, i)) {
			t.redact(b, i)
		}
	}
	return i
}

// withhold replaces all text of a record: what is secret in it could not be told.
func withhold(b *event.Batch, i int) {
	r := &b.Records[i]
	text := b.PutString(fmt.Sprintf("a line of %d bytes is withheld, as redacting it has failed: it is at position %d "+
		"of its source", r.Line.Len, r.Pos))
	r.Line, r.RedundantText, r.Message, r.Service = text, event.Span{}, event.Value{}, event.Value{}
	for len(b.Fields(i)) > 0 {
		b.RemoveField(i, 0)
	}
}

// appendReplacement appends what replaces a value: plain ASCII that JSON need not escape.
func (t *transform) appendReplacement(dst, value []byte, k kind) []byte {
	switch t.action {
	case "hash":
		sum := hmac.New(sha256.New, t.key)
		sum.Write(value)
		return hex.AppendEncode(append(dst, "hmac:"...), sum.Sum(nil)[:8])
	case "mask":
		return append(append(dst, "****"...), lastFour(value)...)
	}
	return append(dst, t.replacements[k]...)
}

// lastFour returns the last four characters of a long value, if they are plain.
func lastFour(value []byte) []byte {
	if len(value) < 12 {
		return nil
	}
	last := value[len(value)-4:]
	for _, c := range last {
		if !isAlnum(c) {
			return nil
		}
	}
	return last
}
