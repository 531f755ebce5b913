package receiver

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// mostEntries is limits_config.max_entries_limit_per_query.
	mostEntries = 5000
	// mostBytes is what one Loki process takes from another over gRPC. Of more,
	// a real one gives none, and does not say so.
	mostBytes = 4 << 20
)

// query answers /loki/api/v1/query: counts over the time up to, and including, an instant.
func (l *Loki) query(r *http.Request) reply {
	if strings.HasPrefix(strings.TrimSpace(r.FormValue("query")), "{") {
		return text(http.StatusBadRequest, "log queries are not supported as an instant query type, please "+
			"change your query to a range query type")
	}
	c, err := parseCount(r.FormValue("query"))
	if err != nil {
		return text(http.StatusBadRequest, err.Error())
	}
	at, err := parseTime(r.FormValue("time"), time.Now())
	if err != nil {
		return text(http.StatusBadRequest, err.Error())
	}
	from, refusal := l.of(r)
	if from == nil {
		return refusal
	}
	counts, err := from.count(c, at)
	if err != nil {
		return text(http.StatusInternalServerError, err.Error())
	}
	type sample struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	result := []sample{}
	for _, n := range counts {
		result = append(result, sample{n.labels, [2]any{float64(at/1e6) / 1e3, strconv.Itoa(n.n)}})
	}
	return success("vector", result, nil)
}

type counted struct {
	labels map[string]string
	n      int
}

// count counts the entries in (at-span, at], repeats too. What has none is not in the result.
func (s *store) count(c count, at int64) ([]counted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := map[string]*counted{}
	for _, st := range s.streams {
		if !c.selector.matches(st.labels) {
			continue
		}
		refs, err := st.between(at-int64(c.span)+1, at+1)
		if err != nil {
			return nil, err
		}
		n, err := c.stages.count(s.visible(refs), st)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		labels := c.group(st.labels)
		key := fmt.Sprint(labels)
		if sums[key] == nil {
			sums[key] = &counted{labels: labels}
		}
		sums[key].n += n
	}
	var all []counted
	for _, key := range sortedKeys(sums) {
		all = append(all, *sums[key])
	}
	return all, nil
}

func (c *count) group(labels []label) map[string]string {
	kept := map[string]string{}
	for _, l := range labels {
		if !c.sum || slices.Contains(c.by, l.name) {
			kept[l.name] = l.value
		}
	}
	return kept
}

// queryRange answers /loki/api/v1/query_range: the entries from start until
// just before end. Repeats of a time and line are left out.
func (l *Loki) queryRange(r *http.Request) reply {
	q, err := parseLogQuery(r.FormValue("query"))
	if err != nil {
		return text(http.StatusBadRequest, err.Error())
	}
	now := time.Now()
	start, err := parseTime(r.FormValue("start"), now.Add(-time.Hour))
	if err != nil {
		return text(http.StatusBadRequest, err.Error())
	}
	end, err := parseTime(r.FormValue("end"), now)
	if err != nil {
		return text(http.StatusBadRequest, err.Error())
	}
	limit, err := strconv.Atoi(cmp.Or(r.FormValue("limit"), "100"))
	direction := strings.ToLower(cmp.Or(r.FormValue("direction"), "backward"))
	switch {
	case err != nil || limit <= 0:
		return text(http.StatusBadRequest, "limit must be a positive value")
	case limit > l.mostEntries():
		return text(http.StatusBadRequest, fmt.Sprintf("max entries limit per query exceeded, limit > "+
			"max_entries_limit_per_query (%d > %d)", limit, l.mostEntries()))
	case end <= start:
		return text(http.StatusBadRequest, "end timestamp must not be before or equal to start time")
	case direction != "forward" && direction != "backward":
		return text(http.StatusBadRequest, "invalid direction")
	}
	from, refusal := l.of(r)
	if from == nil {
		return refusal
	}
	found, err := from.find(&q, start, end, limit, direction == "forward")
	if err != nil {
		return text(http.StatusInternalServerError, err.Error())
	}
	categorize := strings.Contains(r.Header.Get("X-Loki-Response-Encoding-Flags"), "categorize-labels")
	return found.reply(categorize)
}

func (l *Loki) mostEntries() int {
	if l.config == nil {
		return mostEntries
	}
	return l.config.Limits.MostEntries
}

type foundEntry struct {
	stream *stream
	entry
}

type foundEntries []foundEntry

// find gives the first (or last) entries of all matching streams.
func (s *store) find(q *logQuery, start, end int64, limit int, forward bool) (foundEntries, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all foundEntries
	for _, key := range sortedKeys(s.streams) {
		st := s.streams[key]
		if !q.selector.matches(st.labels) {
			continue
		}
		refs, err := st.between(start, end)
		if err != nil {
			return nil, err
		}
		some, err := st.first(s.visible(refs), q.stages, limit, forward)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b foundEntry) int {
		if forward {
			return cmp.Compare(a.time, b.time)
		}
		return cmp.Compare(b.time, a.time)
	})
	all = all[:min(limit, len(all))]
	for i := range all {
		line, err := q.apply(all[i].line)
		if err != nil {
			return nil, err
		}
		all[i].line = line
	}
	return all, nil
}

func (st *stream) first(refs []ref, stages stages, limit int, forward bool) (found foundEntries, err error) {
	for i := range refs {
		r := refs[i]
		if !forward {
			r = refs[len(refs)-1-i]
		}
		if len(found) == limit {
			return found, nil
		}
		e, err := r.read()
		if err != nil {
			return nil, err
		}
		if stages.keep(&e, st) && !found.has(&e) {
			found = append(found, foundEntry{st, e})
		}
	}
	return found, nil
}

// has reports whether an entry, with its metadata, is one of those that have its time and were
// found last.
func (f foundEntries) has(e *entry) bool {
	for i := len(f) - 1; i >= 0 && f[i].time == e.time; i-- {
		if string(f[i].raw) == string(e.raw) {
			return true
		}
	}
	return false
}

type streamJSON struct {
	Stream map[string]string `json:"stream"`
	Values [][]any           `json:"values"`
}

func (f foundEntries) reply(categorize bool) reply {
	groups := map[string]*streamJSON{}
	for _, e := range f {
		labels := map[string]string{}
		for _, l := range e.stream.labels {
			labels[l.name] = l.value
		}
		value := []any{strconv.FormatInt(e.time, 10), string(e.line)}
		metadata := map[string]string{}
		for _, m := range e.metadata {
			metadata[m.name] = m.value
			if !categorize {
				labels[m.name] = m.value
			}
		}
		if categorize && len(metadata) > 0 {
			value = append(value, map[string]any{"structuredMetadata": metadata})
		} else if categorize {
			value = append(value, map[string]any{})
		}
		key := fmt.Sprint(labels)
		if groups[key] == nil {
			groups[key] = &streamJSON{Stream: labels}
		}
		groups[key].Values = append(groups[key].Values, value)
	}
	result := []*streamJSON{}
	for _, key := range sortedKeys(groups) {
		result = append(result, groups[key])
	}
	var flags []string
	if categorize {
		flags = []string{"categorize-labels"}
	}
	full := success("streams", result, flags)
	if len(full.body) > mostBytes {
		return success("streams", []*streamJSON{}, flags)
	}
	return full
}

func success(kind string, result any, flags []string) reply {
	data := map[string]any{"resultType": kind, "result": result, "stats": map[string]any{}}
	if flags != nil {
		data["encodingFlags"] = flags
	}
	body, err := json.Marshal(map[string]any{"status": "success", "data": data})
	if err != nil {
		return text(http.StatusInternalServerError, err.Error())
	}
	return reply{status: http.StatusOK, header: map[string]string{"Content-Type": "application/json; charset=UTF-8"},
		body: body}
}

// parseTime reads a time as Loki takes it: seconds with a fraction,
// nanoseconds if it has more than ten digits, or RFC 3339.
func parseTime(value string, fallback time.Time) (int64, error) {
	if value == "" {
		return fallback.UnixNano(), nil
	}
	if strings.Contains(value, ".") {
		if sec, err := strconv.ParseFloat(value, 64); err == nil {
			return int64(sec * 1e9), nil
		}
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		if len(value) <= 10 {
			return n * 1e9, nil
		}
		return n, nil
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid timestamp", value)
	}
	return t.UnixNano(), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
