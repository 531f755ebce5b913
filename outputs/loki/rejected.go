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

// rejectedEntries is what an ingester says of the one stream it did not store completely
// (stream.go: errorForFailedEntries):
//
//	entry with timestamp 2026-10-01 00:00:00.5 +0000 UTC ignored, reason: 'entry too far …',
//	user 'fake', total ignored: 1 out of 1000 for stream: {app="a"}
//
// It names at most ten entries (max_returned_stream_errors).
type rejectedEntries struct {
	named        []namedEntry
	count, total int
	labels       string
}

type namedEntry struct {
	time   int64
	reason string
}

var (
	rejectedEntry = regexp.MustCompile(`entry with timestamp (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} ` +
		`\w+) ignored, reason: '(.*?)'(?: for stream: \{.*?\})?,`)
	rejectedTotal = regexp.MustCompile(`total ignored: (\d+) out of (\d+)(?: for stream: (\{.*\}))?`)
)

const (
	msgTooFarBehind = "too far behind"
	goTimeString    = "2006-01-02 15:04:05.999999999 -0700 MST"
)

func parseRejected(message string) (rejectedEntries, bool) {
	tail := rejectedTotal.FindStringSubmatch(message)
	if tail == nil {
		return rejectedEntries{}, false
	}
	var g rejectedEntries
	var err, err2 error
	g.count, err = strconv.Atoi(tail[1])
	g.total, err2 = strconv.Atoi(tail[2])
	if err != nil || err2 != nil {
		return rejectedEntries{}, false
	}
	g.labels = tail[3]
	for _, m := range rejectedEntry.FindAllStringSubmatch(message, -1) {
		at, err := time.Parse(goTimeString, m[1])
		if err != nil {
			return rejectedEntries{}, false
		}
		g.named = append(g.named, namedEntry{at.UnixNano(), m[2]})
	}
	return g, len(g.named) > 0
}

// items returns the rejected items of the body; the rest was stored. sure is false if the answer
// does not identify them.
func (g rejectedEntries) items(
	body *pipeline.Body, outcome pipeline.Outcome, status int,
) (items []pipeline.ItemError, sure bool) {
	members, ok := streamItems(body, g.labels)
	if !ok {
		return nil, false
	}
	indices, ok := g.found(body, members)
	if !ok {
		return nil, false
	}
	for _, i := range indices {
		items = append(items, g.item(body, i, outcome, status))
	}
	return items, true
}

// item returns the outcome of item i. Among entries that come too late, some may have exceeded a
// rate limit, and those can be sent again.
func (g rejectedEntries) item(body *pipeline.Body, i int, outcome pipeline.Outcome, status int) pipeline.ItemError {
	reason, _, _ := strings.Cut(g.named[0].reason, ",") // without that entry's time
	item := pipeline.ItemError{Index: i, Outcome: outcome, Status: status, Reason: reason}
	at := timeOf(body.Item(i))
	for _, n := range g.named {
		if n.time == at {
			item.Reason = n.reason
		}
	}
	if strings.Contains(item.Reason, "rate limit") {
		item.Outcome = pipeline.Retry
	}
	return item
}

func (g rejectedEntries) found(body *pipeline.Body, members []int) ([]int, bool) {
	if g.count == g.total && g.total == len(members) {
		return members, true
	}
	var found []int
	for _, i := range members {
		at := timeOf(body.Item(i))
		if slices.ContainsFunc(g.named, func(n namedEntry) bool { return n.time == at }) {
			found = append(found, i)
		}
	}
	if len(found) == g.count {
		return found, true
	}
	return g.prefix(body, members, found)
}

// prefix finds the entries that came too late if there are more than are named. In a stream sent in
// order of time they are the first: accepting an entry moves Loki's limit to an hour before it,
// which no later entry is behind.
func (g rejectedEntries) prefix(body *pipeline.Body, members, named []int) ([]int, bool) {
	inOrder := slices.IsSortedFunc(members, func(a, b int) int {
		return cmp.Compare(timeOf(body.Item(a)), timeOf(body.Item(b)))
	})
	late := !slices.ContainsFunc(g.named, func(n namedEntry) bool {
		return !strings.Contains(n.reason, msgTooFarBehind)
	})
	if !inOrder || !late || g.total != len(members) || g.count > len(members) || len(named) != len(g.named) {
		return nil, false
	}
	first := members[:g.count]
	return first, named[len(named)-1] <= first[len(first)-1]
}

// streamItems returns the items of a stream that Loki names, perhaps with labels that it added:
// service_name, or a shard's number.
func streamItems(body *pipeline.Body, labels string) (members []int, ok bool) {
	group, ok := groupOf(body, labels)
	if !ok {
		return nil, false
	}
	for i, item := range body.Items {
		if item.Group == group {
			members = append(members, i)
		}
	}
	return members, len(members) > 0
}

// groupOf returns the group with these labels, or else the one with most of them and no other. No
// labels mean the only group there is.
func groupOf(body *pipeline.Body, labels string) (group uint32, ok bool) {
	if labels == "" {
		return body.Items[0].Group, len(groupsOf(body)) == 1
	}
	for g, name := range body.Groups {
		if name == labels {
			return uint32(g), true
		}
	}
	theirs, most := splitLabelSet(labels), 0
	for g, name := range body.Groups {
		ours := splitLabelSet(name)
		foreign := slices.ContainsFunc(ours, func(pair string) bool { return !slices.Contains(theirs, pair) })
		if !foreign && len(ours) > most {
			group, most = uint32(g), len(ours)
		}
	}
	return group, most > 0
}

// splitLabelSet returns the pairs of {a="1", b="2"}; nil for anything else.
func splitLabelSet(set string) []string {
	set, ok := strings.CutPrefix(set, "{")
	if !ok {
		return nil
	}
	var pairs []string
	for {
		name, rest, ok := strings.Cut(set, "=")
		if !ok {
			return nil
		}
		value, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil
		}
		pairs = append(pairs, name+"="+value)
		rest = rest[len(value):]
		if set, ok = strings.CutPrefix(rest, ", "); ok {
			continue
		}
		if rest == "}" {
			return pairs
		}
		return nil
	}
}
