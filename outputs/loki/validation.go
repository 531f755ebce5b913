package loki

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// A complaint is one of the messages in the 400 of a distributor, which checks
// entries one by one and stores the good ones. It groups equal messages and
// joins the groups by "; " (pkg/util/errors: GroupedErrors):
//
//	2 errors like: entry for stream '{app="a"}' has timestamp too old: …; stream '{app="b"}' …
type complaint struct {
	text  string
	count int
	kind  complaintKind
	// labels name the stream, as Loki prints them.
	labels string
	detail string // the entry's time to a second, or its line's length
}

type complaintKind int

const (
	tooOld complaintKind = iota
	tooNew
	tooLong
	badLabels
	wantsLabels
	metadataRefused
)

// complaintForms are the messages of pkg/validation/validate.go, with the stream as
// group 1, and the group of the detail.
var complaintForms = []struct {
	kind   complaintKind
	form   *regexp.Regexp
	detail int
}{
	{tooOld, complaintForm(`entry for stream 'LABELS' has timestamp too old: ([0-9TZ:+-]+), oldest acceptable timestamp is: [0-9TZ:+-]+`), 2},
	{tooNew, complaintForm(`entry for stream 'LABELS' has timestamp too new: ([0-9TZ:+-]+)`), 2},
	{tooLong, complaintForm(`max entry size '\d+' bytes exceeded for stream 'LABELS' while adding an entry with length '(\d+)' bytes`), 2},
	{badLabels, complaintForm(`entry for stream 'LABELS' has \d+ label names; limit \d+`), 0},
	{badLabels, complaintForm(`stream 'LABELS' has (?:label name too long|label value too long|duplicate label name): '.*?'`), 0},
	{badLabels, complaintForm(`error parsing labels 'LABELS' with error: [^;]*`), 0},
	{wantsLabels, complaintForm(`missing required labels '.*?' for user '.*?' for stream 'LABELS' \(policy: '.*?'\)`), 0},
	{metadataRefused, complaintForm(`stream 'LABELS' (?:includes structured metadata, but this feature is disallowed|has structured metadata too large: |has too many structured metadata labels: )[^;]*`), 0},
}

// labelSet matches a label set as Loki prints it, whatever stands in its quotes.
const labelSet = `(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})`

func complaintForm(form string) *regexp.Regexp {
	return regexp.MustCompile(`^(?i:` + strings.ReplaceAll(form, "LABELS", labelSet) + `)`)
}

var errorsLike = regexp.MustCompile(`^(\d+) errors like: `)

// parseComplaints reads complaints up to the first thing that is none of them;
// whole says that there was no such thing.
func parseComplaints(said string) (all []complaint, whole bool) {
	rest := strings.TrimSpace(said)
	for rest != "" {
		c, after, ok := parseComplaint(rest)
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

func parseComplaint(s string) (c complaint, rest string, ok bool) {
	c.count = 1
	if m := errorsLike.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return c, s, false
		}
		c.count, s = n, s[len(m[0]):]
	}
	for _, f := range complaintForms {
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

// A verdict is what a distributor's 400 means for the items of a body.
type verdict struct {
	body    *pipeline.Body
	entries []entry
	found   map[int]pipeline.ItemError
	// understood is false if it cannot be told which entries are bad.
	understood bool
	// doubt says that of those not found bad, some may be.
	doubt bool
	// metadata says that structured metadata is refused.
	metadata bool
}

// judgeValidation finds the items that a distributor complains of. cut says that
// the answer goes on beyond what was read of it.
func judgeValidation(said string, cut bool, body *pipeline.Body) *verdict {
	v := &verdict{body: body, found: map[int]pipeline.ItemError{}}
	complaints, whole := parseComplaints(said)
	if len(complaints) == 0 || !whole && !cut {
		return v
	}
	v.doubt = !whole
	for i := range body.Items {
		v.entries = append(v.entries, readEntry(body.Item(i)))
	}
	// Loki checks in the order of the kinds, and complains of an entry once.
	slices.SortStableFunc(complaints, func(a, b complaint) int { return cmp.Compare(a.order(), b.order()) })
	for _, c := range complaints {
		if !v.apply(c) {
			return v
		}
	}
	v.understood = len(v.found) > 0
	return v
}

func (c complaint) order() int {
	if c.kind == badLabels || c.kind == wantsLabels {
		return -1 // of whole streams, before their entries are looked at
	}
	return int(c.kind)
}

// apply notes what one complaint is about, and reports whether that could be
// told.
func (v *verdict) apply(c complaint) bool {
	members, ok := membersOf(v.body, c.labels)
	if !ok {
		return false
	}
	members = slices.DeleteFunc(members, func(i int) bool { _, done := v.found[i]; return done })
	switch c.kind {
	case badLabels:
		return v.note(c, pipeline.Reject, members, len(members))
	case wantsLabels:
		return v.note(c, pipeline.Hold, members, len(members))
	case metadataRefused:
		v.metadata = true
		with := slices.DeleteFunc(members, func(i int) bool { return !v.entries[i].metadata })
		return v.note(c, pipeline.Retry, with, len(with))
	case tooLong:
		same := slices.DeleteFunc(members, func(i int) bool { return strconv.Itoa(len(v.entries[i].line)) != c.detail })
		return v.note(c, pipeline.Reject, same, c.count)
	}
	return v.note(c, pipeline.Reject, v.ofSecond(c, members), c.count)
}

// ofSecond gives the entries of the second that the complaint names, those first
// that are beyond the limit first: the oldest of those too old, the newest of
// those too new.
func (v *verdict) ofSecond(c complaint, members []int) []int {
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

// note takes the first count items. With fewer there is something that we do
// not understand.
func (v *verdict) note(c complaint, outcome pipeline.Outcome, items []int, count int) bool {
	if count > len(items) {
		return false
	}
	for _, i := range items[:count] {
		v.found[i] = pipeline.ItemError{Index: i, Outcome: outcome, Reason: cutText(c.text, 1<<10)}
	}
	return true
}

// items gives the verdict as Send returns it. Where there is doubt, the rest is
// to be sent again.
func (v *verdict) items(status int) []pipeline.ItemError {
	var items []pipeline.ItemError
	for i := range v.body.Items {
		item, bad := v.found[i]
		if !bad && !v.doubt {
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
