package loki

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
)

const (
	// longestSearch bounds the time range of a query. Loki's max_query_length is a month by
	// default, often a few days.
	longestSearch = int64(24 * time.Hour)
	// pageBytes bounds an answer: instead of one of 4 MiB or more, Loki returns an empty one, as
	// success (seen with 3.7.8).
	pageBytes = 2 << 20
	// entryOverhead is what an answer has for each entry beside its line and metadata.
	entryOverhead = 100
	// headRunes is how much of a line is fetched to compare it. A few long lines of another source
	// in the stream would exceed Loki's limit.
	headRunes = 512
)

// headFormat makes Loki return lines as appendHead writes them.
var headFormat = fmt.Sprintf(" | line_format `{{printf \"%%d %%.%ds\" (len __line__) __line__}}`", headRunes)

// appendHead appends the part of a line that is compared.
func appendHead(dst, line []byte) []byte {
	dst = append(strconv.AppendInt(dst, int64(len(line)), 10), ' ')
	end := 0
	for range headRunes {
		if end == len(line) {
			break
		}
		_, n := utf8.DecodeRune(line[end:])
		end += n
	}
	return append(dst, line[:end]...)
}

// A search looks for entries of one stream within longestSearch.
type search struct {
	querier  *querier
	selector string
	labels   map[string]string
	body     *pipeline.Body
	found    []bool        // of the body's items
	wanted   []wantedEntry // by time
	size     int           // estimated bytes of all in an answer
	seed     maphash.Seed

	countedWindow window // the last one, with its count
	lastCount     int
	timeouts      int
}

// A wantedEntry is an item of the body, as it may be stored.
type wantedEntry struct {
	at   int64
	hash uint64 // of its line's head
	item int
	// unlikely is set for a form that only an unusual Loki has stored it in.
	unlikely bool
}

// searches returns the searches for a body's items.
func (o *Output) searches(body *pipeline.Body, found []bool) []*search {
	seed := maphash.MakeSeed()
	streams := make([]search, len(body.Groups))
	var head []byte
	for i := range body.Items {
		e := readEntry(body.Item(i))
		head = appendHead(head[:0], e.line)
		s := &streams[body.Items[i].Group]
		w := wantedEntry{at: e.time, hash: hashText(seed, head), item: i}
		s.wanted = append(s.wanted, w)
		if e.apart > 0 { // a Loki may have taken no metadata
			w.at, w.unlikely = w.at+e.apart, true
			s.wanted = append(s.wanted, w)
		}
		s.size += jsonSize(head) + 2*(len(body.Item(i))-len(e.line)) + entryOverhead
	}
	var all []*search
	for g := range streams {
		s := &streams[g]
		if len(s.wanted) == 0 {
			continue
		}
		s.querier, s.body, s.found, s.seed = o.querier, body, found, seed
		s.labels = labelsOf(body.Groups[g])
		s.selector = selectorOf(s.labels, o.labels)
		slices.SortStableFunc(s.wanted, func(a, b wantedEntry) int { return cmp.Compare(a.at, b.at) })
		all = append(all, s.splitByTime()...)
	}
	return all
}

// splitByTime splits a search by the longest time range of a query.
func (s *search) splitByTime() []*search {
	var all []*search
	average := s.size / len(s.wanted)
	for rest := s.wanted; len(rest) > 0; {
		n, _ := slices.BinarySearchFunc(rest, rest[0].at+longestSearch,
			func(e wantedEntry, t int64) int { return cmp.Compare(e.at, t) })
		n = max(n, 1) // at the end of all times
		part := *s
		part.wanted, rest = rest[:n], rest[n:]
		part.size = average * n
		all = append(all, &part)
	}
	return all
}

// A window is a time range from a nanosecond on, in LogQL's whole milliseconds.
type window struct{ from, milliseconds int64 }

func (w window) to() int64 { return w.from + w.milliseconds*1e6 }

// remaining returns the window of all entries not yet found from a time on.
func (s *search) remaining(from int64) (w window, ok bool) {
	last := int64(0)
	for _, e := range s.wanted {
		if e.at < from || s.found[e.item] {
			continue
		}
		if !ok {
			w.from, ok = e.at, true
		}
		last = e.at
	}
	w.milliseconds = (last-w.from)/1e6 + 1
	return w, ok
}

// run sets found. Each page gets beyond the first entry that was not found, so there are at most as
// many pages as entries.
func (s *search) run(ctx context.Context) error {
	w, ok := s.remaining(s.wanted[0].at)
	if !ok {
		return nil
	}
	n, err := s.count(ctx, w)
	if err != nil || n == 0 {
		return err
	}
	maxPage := max(1, min(n+1, pageBytes/max(1, s.size/len(s.wanted))))
	for limit := maxPage; ok; {
		limit = min(limit, s.querier.entryLimit())
		page, whole, err := s.page(ctx, w, limit)
		switch {
		case err != nil:
			return err
		case !whole && limit > 1:
			limit /= 2
			continue
		case len(page) < limit:
			s.markFound(page)
			return nil
		}
		w, ok = s.remaining(s.markFoundFull(page))
		if !whole {
			limit = maxPage
		}
	}
	return nil
}

// count returns the number of entries in a window. It remembers the last one.
func (s *search) count(ctx context.Context, w window) (int, error) {
	if w == s.countedWindow {
		return s.lastCount, nil
	}
	n, err := s.querier.count(ctx, s.selector, w.from, w.milliseconds)
	if err != nil {
		return 0, tooLarge(err)
	}
	s.countedWindow, s.lastCount = w, n
	return n, nil
}

// page returns entries of a window. whole is false if Loki counts more than it returns of the time
// covered: some partial answers were too large and came empty. A smaller page may return them.
func (s *search) page(ctx context.Context, w window, limit int) (page []shownEntry, whole bool, err error) {
	page, err = s.ask(ctx, w, limit)
	if limit > 1 && (errors.Is(err, errTooLarge) || s.timedOut(ctx, err)) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, tooLarge(err)
	}
	covered := w
	if len(page) >= limit {
		covered.milliseconds = (page[len(page)-1].at - w.from) / 1e6
	}
	if covered.milliseconds == 0 {
		return page, true, nil
	}
	n, err := s.count(ctx, covered)
	shown, _ := slices.BinarySearchFunc(page, covered.to(),
		func(e shownEntry, t int64) int { return cmp.Compare(e.at, t) })
	return page, shown >= n, err
}

// maxTimeouts bounds the queries that time out before the search is given up.
const maxTimeouts = 3

// timedOut reports whether the answer may have been too large to be passed between Loki's
// components, which then leaves the client waiting (seen with 3.7.8, just over 4 MiB).
func (s *search) timedOut(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	s.timeouts++
	return s.timeouts <= maxTimeouts
}

// tooLarge turns an answer that is too large even in parts into a *queryRejected.
func tooLarge(err error) error {
	if errors.Is(err, errTooLarge) {
		return &queryRejected{"its answers are too large, even for one entry"}
	}
	return err
}

// A shownEntry is an entry that Loki returned. It is ours unless its stream only resembles ours.
type shownEntry struct {
	queryEntry
	ours bool
}

// ask returns entries in order of time, and none from outside the window, whatever the answer has.
func (s *search) ask(ctx context.Context, w window, limit int) ([]shownEntry, error) {
	streams, err := s.querier.page(ctx, s.selector+headFormat, w.from, w.to(), limit)
	if err != nil {
		return nil, err
	}
	var page []shownEntry
	for _, stream := range streams {
		ours := s.isOurs(&stream)
		for _, e := range stream.entries {
			if e.at < w.from || e.at >= w.to() {
				continue
			}
			if stream.mixed {
				e.metadata = stream.labels
			}
			page = append(page, shownEntry{e, ours})
		}
	}
	slices.SortStableFunc(page, func(a, b shownEntry) int { return cmp.Compare(a.at, b.at) })
	return page, nil
}

// markFoundFull handles a page that was cut by its limit, perhaps among the entries of one instant.
// That instant is left to the next page, unless the page has no other.
func (s *search) markFoundFull(page []shownEntry) (next int64) {
	last := page[len(page)-1].at
	whole := slices.IndexFunc(page, func(e shownEntry) bool { return e.at == last })
	if whole > 0 {
		s.markFound(page[:whole])
		return last
	}
	s.markFound(page)
	return last + 1
}

// markFound sets found for the entries of a page, one item for each.
func (s *search) markFound(page []shownEntry) {
	for _, e := range page {
		if !e.ours {
			continue
		}
		sum := hashText(s.seed, []byte(e.line))
		k, _ := slices.BinarySearchFunc(s.wanted, e.at,
			func(x wantedEntry, t int64) int { return cmp.Compare(x.at, t) })
		for ; k < len(s.wanted) && s.wanted[k].at == e.at; k++ {
			x := s.wanted[k]
			same, _ := sameSource(s.body.Item(x.item), e.metadata)
			if x.hash == sum && !s.found[x.item] && same {
				s.found[x.item] = true
				break
			}
		}
	}
}

// eachPair calls each with the structured metadata of an item.
func eachPair(item []byte, each func(name, value []byte)) {
	_, fields, _, _ := readField(item)
	eachFieldPair(fields, each)
}

// eachFieldPair is eachPair for the fields of an entry.
func eachFieldPair(fields []byte, each func(name, value []byte)) {
	for len(fields) > 0 {
		tag, pair, rest, ok := readField(fields)
		if !ok {
			return
		}
		if fields = rest; tag != tagEntryMetadata {
			continue
		}
		_, name, pair, ok1 := readField(pair)
		_, value, _, ok2 := readField(pair)
		if ok1 && ok2 {
			each(name, value)
		}
	}
}

// metadataNames are what we send as structured metadata.
var metadataNames = []string{"container_id", "stream", sourceID, timeRejected, "detected_level", "level", "trace_id",
	"span_id"}

// isOurs reports whether a stream is the one that was sent to, or its late stream. Loki may add a
// service_name. A stream with other labels is another's, even if its lines are equal.
func (s *search) isOurs(stream *queryStream) bool {
	for name := range stream.labels {
		_, sent := s.labels[name]
		added := name == serviceName || name == lateLabel || strings.HasPrefix(name, "__") ||
			stream.mixed && slices.Contains(metadataNames, name)
		if !sent && !added {
			return false
		}
	}
	return true
}

func labelsOf(set string) map[string]string {
	labels := map[string]string{}
	for _, pair := range splitLabelSet(set) {
		name, quoted, _ := strings.Cut(pair, "=")
		if value, err := strconv.Unquote(quoted); err == nil {
			labels[name] = value
		}
	}
	return labels
}

// selectorOf returns the LogQL for a stream and its late stream. Labels that the output may set and
// this stream does not have must be absent.
func selectorOf(stream map[string]string, configured []label) string {
	var b strings.Builder
	b.WriteByte('{')
	for _, name := range slices.Sorted(maps.Keys(stream)) {
		b.WriteString(name + "=" + strconv.Quote(stream[name]) + ", ")
	}
	for _, l := range configured {
		if _, has := stream[l.name]; !has && l.name != serviceName {
			b.WriteString(l.name + `="", `)
		}
	}
	if _, has := stream[lateLabel]; !has {
		b.WriteString(lateLabel + `=~"|` + lateValue + `", `)
	}
	return strings.TrimSuffix(b.String(), ", ") + "}"
}

// hashText hashes a text as JSON carries it.
func hashText(seed maphash.Seed, text []byte) uint64 { return maphash.Bytes(seed, asJSONText(text)) }

// asJSONText returns a text as JSON carries it: invalid UTF-8 comes back as U+FFFD, one or several.
func asJSONText(text []byte) []byte {
	if utf8.Valid(text) && !bytes.ContainsRune(text, utf8.RuneError) {
		return text
	}
	plain := bytes.ReplaceAll(text, []byte("\ufffd"), []byte{0xff})
	return bytes.ToValidUTF8(plain, []byte("\ufffd"))
}

// jsonSize estimates the length of bytes as JSON by Loki.
func jsonSize(p []byte) int {
	n := len(p)
	for _, c := range p {
		switch {
		case c == '"', c == '\\', c == '\n', c == '\t', c == '\r':
			n++
		case c < ' ', c == '<', c == '>', c == '&':
			n += 5
		}
	}
	return n
}
