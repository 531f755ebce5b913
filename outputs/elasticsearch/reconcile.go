package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var (
	_ pipeline.Reconciler = (*Output)(nil)
	_ pipeline.Idempotent = (*Output)(nil)
)

// maxSearchIDs bounds the ids of a search and maxHits its hits: an id may be in several indices.
const (
	maxSearchIDs = 500
	maxHits      = 3 * maxSearchIDs
)

// Stored implements pipeline.Reconciler. An index accepts no id twice, so it needs no search. A
// data stream that has rolled over does, and so does an alias: there the ids are searched for.
func (o *Output) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	if !o.ids {
		return fmt.Errorf("document_ids is false: %w", pipeline.ErrUnknowable)
	}
	copies, err := o.copiesOf(ctx, body, o.findBatch, func(t *indexItems) (*indexItems, error) {
		rolls, err := o.rollover.check(ctx, o, t.index)
		if !rolls {
			t = nil
		}
		return t, err
	})
	for i, n := range copies {
		if n > 0 {
			stored[i] = true
			o.metrics.reconciled.Inc()
		}
	}
	return err
}

// RepeatsAreHarmless implements pipeline.Idempotent: an index refuses an id that it has. Which
// names are indices is known from the last question.
func (o *Output) RepeatsAreHarmless(body *pipeline.Body) bool {
	if !o.ids {
		return false
	}
	now := time.Now()
	var last []byte
	for i := range body.Items {
		action, _, ok := bytes.Cut(body.Item(i), []byte(`,"_id":`))
		switch {
		case !ok:
			return false
		case last != nil && bytes.Equal(action, last):
			continue
		case !o.rollover.isIndex(action, now):
			return false
		}
		last = action
	}
	return true
}

// A batchSearch adds to copies what is stored of some ids of an index.
type batchSearch func(ctx context.Context, t *indexItems, ids []string, copies []int) error

// copiesOf returns the copies of each item, by a search in the indices that in returns for those of
// the body; nil is skipped.
func (o *Output) copiesOf(ctx context.Context, body *pipeline.Body, search batchSearch,
	in func(*indexItems) (*indexItems, error)) ([]int, error) {
	targets, err := groupByIndex(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", pipeline.ErrUnknowable, err)
	}
	copies := make([]int, len(body.Items))
	for _, t := range targets {
		if t, err = in(t); err == nil && t != nil {
			err = o.searchIndex(ctx, t, search, copies)
		}
		if err != nil {
			return nil, err
		}
	}
	return copies, nil
}

func (o *Output) searchIndex(ctx context.Context, t *indexItems, search batchSearch, copies []int) error {
	if err := o.refresh(ctx, t.index); err != nil {
		return err
	}
	for batch := range slices.Chunk(t.sortedIDs(), maxSearchIDs) {
		if err := search(ctx, t, batch, copies); err != nil {
			return err
		}
	}
	return nil
}

// indexItems is an index name and the items of a body for it, by id.
type indexItems struct {
	index string
	items map[string]int
}

// groupByIndex reads the action lines of a body.
func groupByIndex(body *pipeline.Body) ([]*indexItems, error) {
	var all []*indexItems
	byName := map[string]*indexItems{}
	for i := range body.Items {
		line, _, _ := bytes.Cut(body.Item(i), []byte("\n"))
		var action struct {
			Create struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			}
		}
		if err := json.Unmarshal(line, &action); err != nil {
			return nil, fmt.Errorf("reading the action of a record: %w", err)
		}
		t := byName[action.Create.Index]
		if t == nil {
			t = &indexItems{index: action.Create.Index, items: map[string]int{}}
			byName[t.index] = t
			all = append(all, t)
		}
		t.items[action.Create.ID] = i
	}
	return all, nil
}

func (t *indexItems) sortedIDs() []string { return slices.Sorted(maps.Keys(t.items)) }

// findBatch finds which ids are stored. It repeats while an answer is full of duplicates.
func (o *Output) findBatch(ctx context.Context, t *indexItems, ids []string, copies []int) error {
	for len(ids) > 0 {
		shown, err := o.hits(ctx, t.index, ids)
		if err != nil {
			return err
		}
		t.add(shown, copies)
		remaining := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return copies[t.items[id]] > 0 })
		if len(shown) < maxHits || len(remaining) == len(ids) {
			return nil
		}
		ids = remaining
	}
	return nil
}

// countBatch searches for fewer ids at a time if an answer is full of duplicates; those of a single
// id need not be counted further.
func (o *Output) countBatch(ctx context.Context, t *indexItems, ids []string, copies []int) error {
	shown, err := o.hits(ctx, t.index, ids)
	if err != nil {
		return err
	}
	if len(shown) >= maxHits && len(ids) > 1 {
		half := len(ids) / 2
		if err := o.countBatch(ctx, t, ids[:half], copies); err != nil {
			return err
		}
		return o.countBatch(ctx, t, ids[half:], copies)
	}
	t.add(shown, copies)
	return nil
}

// add adds what a search has shown.
func (t *indexItems) add(shown []string, copies []int) {
	for _, id := range shown {
		if i, ours := t.items[id]; ours {
			copies[i]++
		}
	}
}

// refresh makes visible what was stored until now. An API key that may search need not be allowed
// to refresh; then the index's own refresh must do, by default every second.
func (o *Output) refresh(ctx context.Context, index string) error {
	resp, body, err := o.query(ctx, http.MethodPost, "/"+index+"/_refresh?filter_path=_shards.failed", nil)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		return retryLater("refreshing "+index, resp, body)
	}
	return nil
}

// hits returns the ids that are stored, at most maxHits.
func (o *Output) hits(ctx context.Context, index string, ids []string) ([]string, error) {
	doing := "searching " + index
	query, err := json.Marshal(object{
		"size": maxHits, "_source": false, "track_total_hits": false,
		"query": object{"ids": object{"values": ids}},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	// A shard that does not answer would seem empty.
	path := "/" + index + "/_search?allow_partial_search_results=false" +
		"&filter_path=timed_out,_shards.failed,hits.hits._id"
	resp, body, err := o.query(ctx, http.MethodPost, path, query)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotFound && bytes.Contains(body, []byte("index_not_found_exception")) {
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, queryError(doing, resp, body)
	}
	var answer struct {
		TimedOut *bool                `json:"timed_out"`
		Shards   struct{ Failed int } `json:"_shards"`
		Hits     struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.TimedOut == nil {
		return nil, fmt.Errorf("%w: %s: the answer is not a search's", pipeline.ErrUnknowable, doing)
	}
	if *answer.TimedOut || answer.Shards.Failed > 0 {
		return nil, retryLater(doing, resp, []byte("not all shards have answered"))
	}
	shown := make([]string, 0, len(answer.Hits.Hits))
	for _, hit := range answer.Hits.Hits {
		shown = append(shown, hit.ID)
	}
	return shown, nil
}

// rolloverCache remembers which names stand for several indices.
type rolloverCache struct {
	mu    sync.Mutex
	known map[string]rolloverEntry
}

type rolloverEntry struct {
	rolls bool
	until time.Time
}

const (
	// streamTTL and indexTTL are how long a name is taken for a data stream or alias, and for an
	// index: the first record may create one.
	streamTTL = time.Hour
	indexTTL  = time.Minute
	// maxRolloverNames bounds the memory; a forgotten name costs two requests.
	maxRolloverNames = 10_000
)

// check reports whether a name is that of a data stream or an alias.
func (r *rolloverCache) check(ctx context.Context, o *Output, name string) (bool, error) {
	now := time.Now()
	r.mu.Lock()
	known, ok := r.known[name]
	r.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.rolls, nil
	}
	yes, err := o.queryRollover(ctx, name)
	if err != nil {
		return false, err
	}
	stay := indexTTL
	if yes {
		stay = streamTTL
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxRolloverNames {
		r.known = map[string]rolloverEntry{}
	}
	r.known[name] = rolloverEntry{yes, now.Add(stay)}
	return yes, nil
}

// isIndex reports whether the index that the head of an action names is known to be a plain one.
func (r *rolloverCache) isIndex(action []byte, now time.Time) bool {
	var name string
	quoted := bytes.TrimPrefix(action, []byte(`{"create":{"_index":`))
	if json.Unmarshal(quoted, &name) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.known[name]
	return ok && !known.rolls && now.Before(known.until)
}

// queryRollover asks the server. One without data streams answers 400 or 405.
func (o *Output) queryRollover(ctx context.Context, name string) (bool, error) {
	for _, path := range []string{
		"/_data_stream/" + name + "?filter_path=data_streams.name",
		"/_alias/" + name + "?filter_path=*.aliases",
	} {
		resp, body, err := o.query(ctx, http.MethodGet, path, nil)
		if err != nil {
			return false, err
		}
		switch resp.StatusCode {
		case http.StatusOK:
			if string(bytes.TrimSpace(body)) != "{}" {
				return true, nil
			}
		case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed:
		default:
			return false, queryError("looking for "+path, resp, body)
		}
	}
	return false, nil
}

// query makes a request that stores nothing; if it fails, its records stay uncertain.
func (o *Output) query(ctx context.Context, method, path string, body []byte) (
	resp *http.Response, answer []byte, err error,
) {
	httpclient.Again(ctx, func() bool {
		ctx, cancel := context.WithTimeout(ctx, o.wire.timeout())
		defer cancel()
		resp, answer, err = o.wire.do(ctx, method, path, body)
		return httpclient.FailedOnTheWay(resp, err)
	})
	if err == nil {
		return resp, answer, nil
	}
	failure := httpclient.RequestError(err)
	failure.Uncertain = true
	return nil, nil, failure
}

// queryError distinguishes a permanent failure from one that will pass.
func queryError(doing string, resp *http.Response, body []byte) error {
	if e := requestError(resp, body); e.Outcome != pipeline.Retry {
		return fmt.Errorf("%w: %s: %w", pipeline.ErrUnknowable, doing, e)
	}
	return retryLater(doing, resp, body)
}

func retryLater(doing string, resp *http.Response, body []byte) error {
	e := requestError(resp, body)
	e.Outcome, e.Uncertain = pipeline.Retry, true
	e.Reason = doing + ", to learn what is stored: " + e.Reason
	return e
}

var _ pipeline.Auditor = (*Output)(nil)

// Audit implements pipeline.Auditor. Ids do not tell how old a document is, so since is not used.
func (o *Output) Audit(time.Time) pipeline.Audit { return audit{o} }

type audit struct{ output *Output }

// Presence implements pipeline.Audit: it searches for the ids, as one may be in several indices
// after a rollover.
func (a audit) Presence(ctx context.Context, body *pipeline.Body, presence []pipeline.Presence) error {
	o := a.output
	if !o.ids {
		return fmt.Errorf("document_ids is false: %w", pipeline.ErrUnknowable)
	}
	copies, err := o.copiesOf(ctx, body, o.countBatch, func(t *indexItems) (*indexItems, error) {
		return o.searchTarget(t, body), nil
	})
	for i, n := range copies {
		presence[i].Copies = n
	}
	return err
}

// searchTarget widens a dated index name for records without a time of their own: they may be in
// the index of any day.
func (o *Output) searchTarget(t *indexItems, body *pipeline.Body) *indexItems {
	one := t.items[t.sortedIDs()[0]] // all are of one day
	_, document, _ := bytes.Cut(body.Item(one), []byte("\n"))
	if o.indexNames.template.dated && bytes.HasPrefix(document, []byte(untimed)) {
		return &indexItems{index: o.indexNames.template.pattern(), items: t.items}
	}
	return t
}

// untimed begins a document whose time is below pipeline.UntimedUntil.
const untimed = `{"@timestamp":"1970-01-01T`
