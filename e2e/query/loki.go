// Package query asks the servers of end-to-end tests what they have stored. It shares no code with
// Longshore's outputs, so that a mistake of theirs cannot hide itself.
package query

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Loki asks a Grafana Loki.
type Loki struct {
	URL    string // without a path
	Tenant string // of a Loki with auth_enabled
	// Page is how many entries to ask for at a time, 0 for as many as Loki gives. Of
	// more than about 4 MB Loki gives none, and says nothing.
	Page int
}

// An Entry is one line of one stream. Labels are those of the stream, with service_name where Loki
// has added it.
type Entry struct {
	Time     time.Time
	Line     string
	Labels   map[string]string
	Metadata map[string]string // structured metadata
}

const pageSize = 5000 // the most that Loki gives by default

// Entries returns all entries of a selector, such as {host="a"}, from one time until just before
// another, oldest first. Loki leaves out repeats of a time and line here: only Count tells that
// something was stored twice.
func (l Loki) Entries(ctx context.Context, selector string, from, to time.Time) ([]Entry, error) {
	var all []Entry
	size := cmp.Or(l.Page, pageSize)
	for {
		page, err := l.page(ctx, selector, from, to)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < size {
			return all, nil
		}
		// The page may have ended in the midst of the entries of its last instant, so that instant
		// is asked for again.
		last := page[len(page)-1].Time
		if !last.After(from) {
			const format = "paging %s: Loki cannot show all of the %d or more entries at %s"
			return nil, fmt.Errorf(format, selector, size, last)
		}
		whole := slices.IndexFunc(all, func(e Entry) bool { return !e.Time.Before(last) })
		all, from = all[:whole], last
	}
}

func (l Loki) page(ctx context.Context, selector string, from, to time.Time) ([]Entry, error) {
	params := url.Values{
		"query":     {selector},
		"start":     {strconv.FormatInt(from.UnixNano(), 10)},
		"end":       {strconv.FormatInt(to.UnixNano(), 10)},
		"limit":     {strconv.Itoa(cmp.Or(l.Page, pageSize))},
		"direction": {"forward"},
	}
	var streams []struct {
		Stream map[string]string
		Values []entryJSON
	}
	if err := l.get(ctx, "/loki/api/v1/query_range", params, "streams", &streams); err != nil {
		return nil, err
	}
	var page []Entry
	for _, s := range streams {
		for _, v := range s.Values {
			page = append(page, Entry{Time: time.Unix(0, v.time), Line: v.line, Labels: s.Stream, Metadata: v.metadata})
		}
	}
	slices.SortStableFunc(page, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return page, nil
}

// Count returns how many entries a selector has from one time until just before another, as Loki's
// count_over_time sees it: it counts repeats that log queries leave out. The times must be whole
// milliseconds apart, the finest of LogQL.
func (l Loki) Count(ctx context.Context, selector string, from, to time.Time) (int, error) {
	span := to.Sub(from)
	if span%time.Millisecond != 0 {
		return 0, fmt.Errorf("counting %s: LogQL has no range of %s", selector, span)
	}
	// count_over_time looks at (at-range, at]; entries are at whole nanoseconds.
	params := url.Values{
		"query": {fmt.Sprintf("sum(count_over_time(%s[%dms]))", selector, span.Milliseconds())},
		"time":  {strconv.FormatInt(to.UnixNano()-1, 10)},
	}
	var samples []struct{ Value [2]any }
	if err := l.get(ctx, "/loki/api/v1/query", params, "vector", &samples); err != nil {
		return 0, err
	}
	if len(samples) == 0 {
		return 0, nil
	}
	text, ok := samples[0].Value[1].(string)
	if !ok {
		return 0, fmt.Errorf("counting %s: Loki's answer is not a number: %v", selector, samples[0].Value)
	}
	return strconv.Atoi(text)
}

// Flush makes Loki write what its ingester holds in memory to its store.
func (l Loki) Flush(ctx context.Context) error {
	_, err := do(ctx, http.MethodPost, l.URL+"/flush", l.header(), nil)
	return err
}

// get asks a query, and decodes a result of that type into result.
// Results returns how many streams or series a query has over a time, at a step of a minute.
func (l Loki) Results(ctx context.Context, expr string, from, to time.Time) (int, error) {
	params := url.Values{
		"query": {expr}, "start": {fmt.Sprint(from.UnixNano())}, "end": {fmt.Sprint(to.UnixNano())}, "step": {"60s"},
	}
	return countResults(ctx, l.URL+"/loki/api/v1/query_range?"+params.Encode(), l.header())
}

func (l Loki) get(ctx context.Context, path string, params url.Values, resultType string, result any) error {
	text, err := do(ctx, http.MethodGet, l.URL+path+"?"+params.Encode(), l.header(), nil)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", path, err)
	}
	if answer.Data.ResultType != resultType {
		return fmt.Errorf("%s answers %s, not %s", path, answer.Data.ResultType, resultType)
	}
	if err := json.Unmarshal(answer.Data.Result, result); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", path, err)
	}
	return nil
}

func (l Loki) header() http.Header {
	h := http.Header{
		"Cache-Control": {"no-cache"},
		// Without it structured metadata comes as labels.
		"X-Loki-Response-Encoding-Flags": {"categorize-labels"},
	}
	if l.Tenant != "" {
		h.Set("X-Scope-OrgID", l.Tenant)
	}
	return h
}

// entryJSON is ["nanoseconds", "line", {"structuredMetadata": {…}}], the last only where there is
// any.
type entryJSON struct {
	time     int64
	line     string
	metadata map[string]string
}

func (e *entryJSON) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return errors.New("an entry without a line")
	}
	var stamp string
	if err := json.Unmarshal(parts[0], &stamp); err != nil {
		return err
	}
	var err error
	if e.time, err = strconv.ParseInt(stamp, 10, 64); err != nil {
		return err
	}
	if err := json.Unmarshal(parts[1], &e.line); err != nil {
		return err
	}
	if len(parts) < 3 {
		return nil
	}
	var more struct{ StructuredMetadata map[string]string }
	if err := json.Unmarshal(parts[2], &more); err != nil {
		return err
	}
	e.metadata = more.StructuredMetadata
	return nil
}
