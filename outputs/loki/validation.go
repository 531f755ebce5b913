package loki

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A validationError is one message in the 400 of a distributor, which checks entries one by one and
// stores the valid ones. Equal messages are grouped, and groups joined by "; " (pkg/util/errors:
// GroupedErrors):
//
//	2 errors like: entry for stream '{app="a"}' has timestamp too old: …; stream '{app="b"}' …
type validationError struct {
	text   string
	count  int
	kind   validationKind
	labels string
	detail string // the entry's time to a second, or its line's length
}

type validationKind int

const (
	tooOld validationKind = iota
	tooNew
	tooLong
	badLabels
	labelsRequired
	metadataRejected
)

// validationForms are the messages of pkg/validation/validate.go, with the stream as group 1, and
// the group of the detail.
var validationForms = []struct {
	kind   validationKind
	form   *regexp.Regexp
	detail int
}{
	{tooOld, validationForm(`entry for stream 'LABELS' has timestamp too old: ([0-9TZ:+-]+), oldest acceptable ` +
		`timestamp is: [0-9TZ:+-]+`), 2},
	{tooNew, validationForm(`entry for stream 'LABELS' has timestamp too new: ([0-9TZ:+-]+)`), 2},
	{tooLong, validationForm(`max entry size '\d+' bytes exceeded for stream 'LABELS' while adding an entry with ` +
		`length '(\d+)' bytes`), 2},
	{badLabels, validationForm(`entry for stream 'LABELS' has \d+ label names; limit \d+`), 0},
	{badLabels, validationForm(`stream 'LABELS' has (?:label name too long|label value too long|duplicate label ` +
		`name): '.*?'`), 0},
	{badLabels, validationForm(`error parsing labels 'LABELS' with error: [^;]*`), 0},
	{labelsRequired, validationForm(`missing required labels '.*?' for user '.*?' for stream 'LABELS' \(policy: ` +
		`'.*?'\)`), 0},
	{metadataRejected, validationForm(`stream 'LABELS' (?:includes structured metadata, but this feature is ` +
		`disallowed|has structured metadata too large: |has too many structured metadata labels: )[^;]*`), 0},
}

// labelSet matches a label set as Loki prints it, whatever is quoted in it.
const labelSet = `(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})`

func validationForm(form string) *regexp.Regexp {
	return regexp.MustCompile(`^(?i:` + strings.ReplaceAll(form, "LABELS", labelSet) + `)`)
}

var errorsLike = regexp.MustCompile(`^(\d+) errors like: `)

// parseValidationErrors parses messages up to the first unknown text; whole is false if there is
// any.
func parseValidationErrors(message string) (all []validationError, whole bool) {
	rest := strings.TrimSpace(message)
	for rest != "" {
		c, after, ok := parseValidationError(rest)
		if !ok {
			return all, false
		}
		all = append(all, c)
		rest, ok = strings.CutPrefix(after, "; ")
		if !ok && rest != "" {
			return all, false
		}
	}
	return all, len(all) > 0
}

func parseValidationError(s string) (c validationError, rest string, ok bool) {
	c.count = 1
	if m := errorsLike.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return c, s, false
		}
		c.count, s = n, s[len(m[0]):]
	}
	for _, f := range validationForms {
		m := f.form.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		c.kind, c.text, c.labels = f.kind, m[0], m[1]
		if f.detail > 0 {
			c.detail = m[f.detail]
		}
		return c, s[len(m[0]):], true
	}
	return c, s, false
}

// A validationResult is what a distributor's 400 means for the items of a body.
type validationResult struct {
	body    *pipeline.Body
	entries []entry
	found   map[int]pipeline.ItemError
	// understood is false if the invalid entries cannot be identified.
	understood bool
	// incomplete is set if others than those found may be invalid.
	incomplete      bool
	rejectsMetadata bool
}

// classifyValidation finds the items that a distributor rejected. truncated is set if the answer
// was not read to its end.
func classifyValidation(message string, truncated bool, body *pipeline.Body) *validationResult {
	v := &validationResult{body: body, found: map[int]pipeline.ItemError{}}
	errs, whole := parseValidationErrors(message)
	if len(errs) == 0 || !whole && !truncated {
		return v
	}
	v.incomplete = !whole
	for i := range body.Items {
		v.entries = append(v.entries, readEntry(body.Item(i)))
	}
	// Loki checks in the order of the kinds, and reports an entry once.
	slices.SortStableFunc(errs, func(a, b validationError) int { return cmp.Compare(a.order(), b.order()) })
	for _, c := range errs {
		if !v.apply(c) {
			return v
		}
	}
	v.understood = len(v.found) > 0
	return v
}

func (c validationError) order() int {
	if c.kind == badLabels || c.kind == labelsRequired {
		return -1 // of whole streams
	}
	return int(c.kind)
}

// apply records what one error is about, and reports whether that is known.
func (v *validationResult) apply(c validationError) bool {
	members, ok := streamItems(v.body, c.labels)
	if !ok {
		return false
	}
	members = slices.DeleteFunc(members, func(i int) bool { _, done := v.found[i]; return done })
	switch c.kind {
	case badLabels:
		return v.record(c, pipeline.Reject, members, len(members))
	case labelsRequired:
		return v.record(c, pipeline.Hold, members, len(members))
	case metadataRejected:
		v.rejectsMetadata = true
		with := slices.DeleteFunc(members, func(i int) bool { return !v.entries[i].metadata })
		return v.record(c, pipeline.Retry, with, len(with))
	case tooLong:
		same := slices.DeleteFunc(members, func(i int) bool { return strconv.Itoa(len(v.entries[i].line)) != c.detail })
		return v.record(c, pipeline.Reject, same, c.count)
	}
	return v.record(c, pipeline.Reject, v.withinSecond(c, members), c.count)
}

// withinSecond returns the entries of the second that the error names, those furthest beyond the
// limit first.
func (v *validationResult) withinSecond(c validationError, members []int) []int {
	at, err := time.Parse(time.RFC3339, c.detail)
	if err != nil {
		return nil
	}
	from := at.UnixNano()
	same := slices.DeleteFunc(members, func(i int) bool {
		return v.entries[i].time < from || v.entries[i].time >= from+int64(time.Second)
	})
	slices.SortStableFunc(same, func(a, b int) int {
		if c.kind == tooNew {
			a, b = b, a
		}
		return cmp.Compare(v.entries[a].time, v.entries[b].time)
	})
	return same
}

// record takes the first count items; with fewer, the error is not understood.
func (v *validationResult) record(c validationError, outcome pipeline.Outcome, items []int, count int) bool {
	if count > len(items) {
		return false
	}
	for _, i := range items[:count] {
		v.found[i] = pipeline.ItemError{Index: i, Outcome: outcome, Reason: event.TruncateText(c.text, 1<<10)}
	}
	return true
}

// items returns the result as Send does. If it is incomplete, the rest is sent again.
func (v *validationResult) items(status int) []pipeline.ItemError {
	var items []pipeline.ItemError
	for i := range v.body.Items {
		item, bad := v.found[i]
		if !bad && !v.incomplete {
			continue
		}
		if !bad {
			item = pipeline.ItemError{Index: i, Outcome: pipeline.Retry, Reason: "Loki's answer was too long to tell"}
		}
		item.Status = status
		items = append(items, item)
	}
	return items
}
