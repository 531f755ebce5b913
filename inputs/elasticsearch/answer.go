package elasticsearch

import (
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// A filter is what filter_path asks for of an answer.
type filter struct {
	all          bool
	took, errors bool
	items        map[string]bool // members of an item; nil for none
}

// members are those that items have.
var itemMembers = [...]string{"_index", "_id", "_version", "result", "_shards", "_seq_no", "_primary_term",
	"status", "error"}

// filterOf reads filter_path: names with a dot between them, where * stands for any, and commas
// between the paths. What it leaves out (a path that begins with -) is not left out here.
func filterOf(text string) filter {
	if text == "" || len(text) > 1<<10 || strings.HasPrefix(text, "-") || strings.Contains(text, ",-") {
		return filter{all: true}
	}
	f := filter{items: map[string]bool{}}
	for path := range strings.SplitSeq(text, ",") {
		parts := strings.Split(path, ".")
		if parts[0] == "**" && len(parts) > 1 {
			parts = []string{"items", "*", parts[len(parts)-1]}
		}
		f.took = f.took || matches(parts[0], "took")
		f.errors = f.errors || matches(parts[0], "errors")
		if !matches(parts[0], "items") {
			continue
		}
		for _, member := range itemMembers {
			if len(parts) < 3 || matches(parts[2], member) {
				f.items[member] = true
			}
		}
	}
	return f
}

// matches reports whether a name is what a pattern with * in it stands for.
func matches(pattern, name string) bool {
	head, tail, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == name
	}
	tail = strings.TrimLeft(tail, "*")
	return strings.HasPrefix(name, head) && strings.HasSuffix(name, tail) && len(name) >= len(head)+len(tail) ||
		strings.Contains(tail, "*")
}

func (f *filter) wants(member string) bool { return f.all || f.items[member] }

// appendAnswer appends the answer to a request.
func (t *taker) appendAnswer(dst []byte, took time.Duration, f filter) []byte {
	dst = append(dst, '{')
	if f.all || f.took {
		dst = append(dst, `"took":`...)
		dst = strconv.AppendInt(dst, took.Milliseconds(), 10)
		dst = append(dst, ',')
	}
	if f.all || f.errors {
		dst = append(dst, `"errors":`...)
		dst = strconv.AppendBool(dst, t.errors)
		dst = append(dst, ',')
	}
	if f.all || len(f.items) > 0 {
		dst = append(dst, `"items":[`...)
		for i := range t.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = t.items[i].append(dst, f)
		}
		dst = append(dst, ']')
	} else if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// An item is what became of one action of a request.
type item struct {
	action    string
	index, id string
	refused   string // why; "" for taken
	kind      string // of what it is refused for
}

const (
	statusCreated = "201"
	statusBad     = "400"
)

func (i *item) append(dst []byte, f filter) []byte {
	dst = append(dst, `{"`...)
	dst = append(append(dst, i.action...), `":{`...)
	start := len(dst)
	member := func(name, value string) {
		if f.wants(name) {
			dst = append(append(append(append(dst, '"'), name...), `":`...), value...)
			dst = append(dst, ',')
		}
	}
	text := func(name, value string) {
		if f.wants(name) {
			dst = append(append(append(dst, '"'), name...), `":`...)
			dst = append(event.AppendString(dst, value), ',')
		}
	}
	text("_index", i.index)
	text("_id", i.id)
	if i.refused == "" {
		member("_version", "1")
		member("result", `"created"`)
		member("_shards", `{"total":1,"successful":1,"failed":0}`)
		member("_seq_no", "0")
		member("_primary_term", "1")
		member("status", statusCreated)
	} else {
		member("status", statusBad)
		if f.wants("error") {
			dst = append(dst, `"error":{"type":"`+i.kind+`","reason":`...)
			dst = append(event.AppendString(dst, i.refused), "},"...)
		}
	}
	if len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	return append(dst, "}}"...)
}
