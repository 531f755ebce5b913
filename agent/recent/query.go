package recent

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultLimit and MaxLimit are how many records an answer has.
	DefaultLimit, MaxLimit = 200, 1000
	// maxAnswer bounds the bytes of an answer, but for its last record.
	maxAnswer = 8 << 20
	// maxReaders is how many queries are answered at a time.
	maxReaders = 2
)

// A Query asks for the newest records that a filter takes.
type Query struct {
	Filter Filter
	Before Cursor // of the answer before, for older ones; the zero value is the newest
	Limit  int    // of records; 0 is DefaultLimit
}

// A Cursor is a place between records, which are in the order of their times.
type Cursor struct{ place }

// place is that of a record: by its time, and of equal times by its number.
type place struct {
	time   int64
	number uint64
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.time, o.time), cmp.Compare(p.number, o.number))
}

// String returns the cursor as ParseCursor reads it, "" for the zero value.
func (c Cursor) String() string {
	if c.place == (place{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", c.time, c.number)
}

// ParseCursor reads a cursor.
func ParseCursor(text string) (c Cursor, err error) {
	if text == "" {
		return c, nil
	}
	at := strings.LastIndexByte(text, '-')
	if at < 0 {
		return c, errors.New("before: is no cursor of an answer")
	}
	var wrong [2]error
	c.time, wrong[0] = strconv.ParseInt(text[:at], 10, 64)
	c.number, wrong[1] = strconv.ParseUint(text[at+1:], 10, 64)
	if errors.Join(wrong[:]...) != nil {
		return Cursor{}, errors.New("before: is no cursor of an answer")
	}
	return c, nil
}

// A Page is the answer to a query.
type Page struct {
	Records [][]byte // as JSON, oldest first
	Before  Cursor   // for older ones; zero where there are none
	Oldest  time.Time
}

// Query returns the newest records that a query asks for. It reads no more files than it must.
func (s *Store) Query(ctx context.Context, q Query) (Page, error) {
	select {
	case s.readers <- struct{}{}:
		defer func() { <-s.readers }()
	case <-ctx.Done():
		return Page{}, ctx.Err()
	}
	found := newest{limit: q.Limit, before: place{math.MaxInt64, math.MaxUint64}}
	if found.limit <= 0 {
		found.limit = DefaultLimit
	}
	found.limit = min(found.limit, MaxLimit)
	if q.Before != (Cursor{}) {
		found.before = q.Before.place
	}
	between := q.Filter.between()
	between.last = min(between.last, found.before.time)
	buffer := segmentBuffers.Get().(*[]byte)
	defer segmentBuffers.Put(buffer)
	for _, g := range slices.Backward(s.all()) {
		if err := ctx.Err(); err != nil {
			return Page{}, err
		}
		if g.last < between.first || g.first > between.last || g.last < found.floor() {
			continue
		}
		eachFrame(g.load(buffer), func(f *frame) {
			if q.Filter.matches(f) {
				found.add(f)
			}
		})
		found.own()
	}
	page := Page{Records: found.records(), Oldest: s.Oldest()}
	if found.more {
		page.Before = Cursor{found.lowest}
	}
	return page, nil
}

// newest are the newest records of those that are added; a heap, the oldest on top.
type newest struct {
	limit  int
	before place
	all    []candidate
	bytes  int
	more   bool  // there are, or may be, older ones
	lowest place // nothing before it is taken, once there are more
}

// A candidate is a record that may be part of the answer.
type candidate struct {
	place
	json    []byte
	message part // in json, where that is the memory of a segment
	flags   byte
	owned   bool
	size    int
}

// floor returns a time; what is before it cannot be part of the answer any more.
func (n *newest) floor() int64 {
	if !n.full() {
		return math.MinInt64
	}
	return n.all[0].time
}

func (n *newest) full() bool { return n.more || len(n.all) == n.limit }

func (n *newest) add(f *frame) {
	at := place{f.time, f.number}
	if at.compare(n.before) >= 0 || n.more && at.compare(n.lowest) < 0 {
		return
	}
	size := len(f.json) + int(f.message.len)
	heap.Push(n, candidate{place: at, json: f.json, message: f.message, flags: f.flags, size: size})
	n.bytes += size
	for len(n.all) > n.limit || n.bytes > maxAnswer && len(n.all) > 1 {
		n.bytes -= heap.Pop(n).(candidate).size
		n.more, n.lowest = true, n.all[0].place
	}
}

// own copies the records found in a segment, whose memory is used again.
func (n *newest) own() {
	for i := range n.all {
		if c := &n.all[i]; !c.owned {
			f := frame{number: c.number, json: c.json, message: c.message, flags: c.flags}
			c.json, c.owned = f.appendRecord(nil), true
		}
	}
}

func (n *newest) records() [][]byte {
	if len(n.all) == n.limit { // segments may have been left out
		n.more, n.lowest = true, n.all[0].place
	}
	slices.SortFunc(n.all, func(a, b candidate) int { return a.compare(b.place) })
	records := make([][]byte, len(n.all))
	for i := range n.all {
		records[i] = n.all[i].json
	}
	return records
}

// Len implements heap.Interface, as do the following.
func (n *newest) Len() int           { return len(n.all) }
func (n *newest) Less(i, j int) bool { return n.all[i].compare(n.all[j].place) < 0 }
func (n *newest) Swap(i, j int)      { n.all[i], n.all[j] = n.all[j], n.all[i] }
func (n *newest) Push(c any)         { n.all = append(n.all, c.(candidate)) }

// Pop implements heap.Interface.
func (n *newest) Pop() any {
	last := len(n.all) - 1
	c := n.all[last]
	n.all[last] = candidate{}
	n.all = n.all[:last]
	return c
}
