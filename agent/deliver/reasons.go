package deliver

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds on what is kept of reasons, which a destination makes up.
const (
	maxReasons   = 16
	maxReasonLen = 500
)

// A Rejection is why a destination has rejected records, and how many. Reasons that differ only in
// the values that they quote are one.
type Rejection struct {
	Reason string    `json:"reason"` // of the last one
	Status int       `json:"status,omitempty"`
	Count  uint64    `json:"count"`
	Last   time.Time `json:"last"`
}

// rejections count rejected records by reason. What finds no room among the kinds of reasons counts
// with none of them.
type rejections struct {
	mu     sync.Mutex
	byKind map[string]*Rejection
}

func (r *rejections) add(letters []DeadLetter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range letters {
		l := &letters[i]
		kind := reasonKind(l.Status, l.Reason)
		known := r.byKind[kind]
		if known == nil {
			if len(r.byKind) >= maxReasons {
				continue
			}
			if r.byKind == nil {
				r.byKind = map[string]*Rejection{}
			}
			known = &Rejection{Status: l.Status}
			r.byKind[kind] = known
		}
		known.Reason, known.Last = cut(l.Reason, maxReasonLen), l.Time
		known.Count++
	}
}

// list returns the reasons, the most frequent first.
func (r *rejections) list() []Rejection {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Rejection
	for _, known := range r.byKind {
		all = append(all, *known)
	}
	slices.SortFunc(all, func(a, b Rejection) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// quoted are the parts of reasons that are of one record: what is quoted, ids and numbers.
var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"|\b[0-9a-fA-F-]*[0-9][0-9a-fA-F.:-]*`)

// reasonKind returns what reasons of one kind have in common.
func reasonKind(status int, reason string) string {
	kind := quoted.ReplaceAllLiteralString(cut(reason, maxReasonLen), "…")
	return strconv.Itoa(status) + " " + kind
}

// cut returns the beginning of a text, of whole characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
