package loki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

const (
	queryPath      = "/loki/api/v1/query"
	queryRangePath = "/loki/api/v1/query_range"
	configPath     = "/config"

	// defaultEntryLimit is Loki's max_entries_limit_per_query.
	defaultEntryLimit = 5000
	// maxAnswer bounds what is read of an answer. Loki's own bound is 4 MiB.
	maxAnswer = 16 << 20
	// maxConfig bounds what is read of Loki's configuration, some 50 KiB.
	maxConfig = 512 << 10
	// maxQueryURL is the longest query sent as a GET, which more gateways allow than POST.
	maxQueryURL = 4 << 10
	// maxQueries bounds the queries in flight.
	maxQueries = 4
)

// A querier asks Loki what it has stored.
type querier struct {
	base   *url.URL // with the path before /loki/api/v1
	tenant string
	client *httpclient.Client
	slots  chan struct{} // holds an element for each query in flight
	// reportedLimit is this Loki's limit of entries in an answer; 0 if it is not known.
	reportedLimit atomic.Int64
	lookback      lookback
}

// pushPath is where Loki itself receives logs. Queries go beside it.
const pushPath = "/loki/api/v1/push"

// newQuerier returns the querier of an output that pushes to push.
func (c *Config) newQuerier(push *url.URL, client *httpclient.Client) (*querier, error) {
	q := &querier{tenant: c.TenantID, client: client, slots: make(chan struct{}, maxQueries)}
	q.lookback.now = time.Now
	q.base = c.baseURL(push)
	if c.Query.separate() {
		client, err := httpclient.New(c.queryHTTP())
		if err != nil {
			return nil, err
		}
		q.client = client
		q.base.User = nil
	}
	if c.Query.URL == "" {
		return q, nil
	}
	queryURL, err := httpclient.ParseURL(c.Query.URL)
	if err != nil {
		return nil, fmt.Errorf("query.url %w", err)
	}
	queryURL.Path = strings.TrimSuffix(queryURL.Path, "/")
	q.base = queryURL
	return q, nil
}

// A queryRejected is a query that will never be answered.
type queryRejected struct{ reason string }

func (r *queryRejected) Error() string { return r.reason }

var errTooLarge = errors.New("the answer is too large")

// count returns how many entries a selector has in some milliseconds from a time on. Duplicates
// count, which log queries may hide.
func (q *querier) count(ctx context.Context, selector string, from, milliseconds int64) (int, error) {
	// A range is open at its start and closed at its end; times are whole nanoseconds.
	params := url.Values{
		"query": {fmt.Sprintf("sum(count_over_time(%s[%dms]))", selector, milliseconds)},
		"time":  {queryTime(from + milliseconds*1e6 - 1)},
	}
	text, err := q.do(ctx, queryPath, params, maxAnswer)
	if err != nil {
		return 0, err
	}
	n, err := readCount(text)
	if err != nil {
		return 0, q.unexpected(queryPath, err)
	}
	return n, nil
}

// page returns the oldest entries of a query in [from, to), at most limit.
func (q *querier) page(ctx context.Context, query string, from, to int64, limit int) ([]queryStream, error) {
	params := url.Values{
		"query":     {query},
		"start":     {queryTime(from)},
		"end":       {queryTime(to)},
		"limit":     {strconv.Itoa(limit)},
		"direction": {"forward"},
	}
	text, err := q.do(ctx, queryRangePath, params, maxAnswer)
	if err != nil {
		return nil, err
	}
	streams, err := readStreams(text)
	if err != nil {
		return nil, q.unexpected(queryRangePath, err)
	}
	return streams, nil
}

// queryTime formats a time for Loki, which takes a number of up to ten digits for seconds.
func queryTime(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func (q *querier) unexpected(path string, err error) error {
	return &queryRejected{httpclient.Location(q.base.JoinPath(path)) + ": the answer is not Loki's: " + err.Error()}
}

// do asks one thing. Its error is a *queryRejected, errTooLarge, or a *SendError for what will
// pass.
func (q *querier) do(ctx context.Context, path string, params url.Values, maxBytes int) ([]byte, error) {
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
	case <-ctx.Done():
		return nil, httpclient.RequestError(ctx.Err())
	}
	var text []byte
	var err error
	httpclient.Again(ctx, func() (failed bool) {
		text, failed, err = q.once(ctx, path, params, maxBytes)
		return failed
	})
	return text, err
}

// once makes one request, and reports whether it failed on the way.
func (q *querier) once(ctx context.Context, path string, params url.Values, maxBytes int) (
	text []byte, failed bool, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, q.client.Timeout())
	defer cancel()
	req, err := q.request(ctx, path, params)
	if err != nil {
		return nil, false, err
	}
	resp, err := q.client.RoundTrip(req)
	failed = httpclient.FailedOnTheWay(resp, err)
	if err != nil {
		return nil, failed, q.noResponse(err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := httpclient.ReadBody(resp)
		err = q.rejected(resp, text)
		return nil, failed && !errors.Is(err, errTooLarge), err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, int64(maxBytes)+1))
	if err != nil {
		return nil, true, q.noResponse(&httpclient.Error{URL: httpclient.Location(req.URL), Sent: true, Err: err})
	}
	if len(text) > maxBytes {
		return nil, false, errTooLarge
	}
	return text, false, nil
}

func (q *querier) request(ctx context.Context, path string, params url.Values) (*http.Request, error) {
	to := q.base.JoinPath(path)
	form := params.Encode()
	method, body := http.MethodGet, ""
	if len(form) > maxQueryURL {
		method, body = http.MethodPost, form
	} else {
		to.RawQuery = httpclient.WithQuery(q.base.RawQuery, params)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a query: %w", err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Cache-Control", "no-cache")
	// Without it structured metadata comes as labels.
	req.Header.Set("X-Loki-Response-Encoding-Flags", categorizeLabels)
	setAuth(req, q.tenant, q.base.User)
	return req, nil
}

// noResponse is the error of a query without an answer. What only the user can fix must not hold up
// the logs, as pushes may work.
func (q *querier) noResponse(err error) error {
	failure := httpclient.RequestError(err)
	if failure.Outcome == pipeline.Hold {
		return &queryRejected{failure.Reason}
	}
	return retryLater(failure)
}

// retryLater makes a failed query leave its entries uncertain.
func retryLater(failure *pipeline.SendError) error {
	failure.Outcome, failure.Uncertain = pipeline.Retry, true
	failure.Reason = "querying what Loki has stored: " + failure.Reason
	return failure
}

// From pkg/querier/http.go.
var tooManyEntries = regexp.MustCompile(`max entries limit per query exceeded.*\(\d+ > (\d+)\)`)

func (q *querier) rejected(resp *http.Response, text []byte) error {
	failure := httpclient.ResponseError(resp, text)
	if m := tooManyEntries.FindSubmatch(text); m != nil {
		if n, err := strconv.ParseInt(string(m[1]), 10, 64); err == nil && n > 0 && n < int64(q.entryLimit()) {
			q.reportedLimit.Store(n)
			return errTooLarge
		}
	}
	switch {
	case strings.Contains(string(text), msgTooLarge):
		return errTooLarge
	case resp.StatusCode == http.StatusNotImplemented:
		return &queryRejected{failure.Error()}
	case failure.Outcome == pipeline.Retry:
		return retryLater(failure)
	}
	return &queryRejected{failure.Error()}
}

func (q *querier) entryLimit() int {
	if n := q.reportedLimit.Load(); n > 0 {
		return int(n)
	}
	return defaultEntryLimit
}

const (
	// defaultLookback is how far back Loki queries what is not in its store yet, unless configured
	// otherwise: 2h41m as one process, else 3 h.
	defaultLookback = 2*time.Hour + 30*time.Minute
	// unlimitedLookback is that of a Loki whose queries always ask the ingesters.
	unlimitedLookback = time.Duration(1<<63 - 1)
	lookbackTTL       = 10 * time.Minute
)

type lookback struct {
	now func() time.Time

	mu       sync.Mutex
	duration time.Duration
	readAt   time.Time
}

// maxLookback returns how old entries that are not in Loki's store may be to be found. Only Loki's
// configuration tells, which may not be readable.
func (q *querier) maxLookback(ctx context.Context) time.Duration {
	s := &q.lookback
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.duration == 0 || now.Sub(s.readAt) > lookbackTTL {
		s.duration, s.readAt = defaultLookback, now
		if text, err := q.do(ctx, configPath, nil, maxConfig); err == nil {
			s.duration = parseLookback(string(text))
		}
	}
	return s.duration
}

var (
	lookBackSetting = regexp.MustCompile(`(?m)^ +query_store_max_look_back_period: (\S+)$`)
	withinSetting   = regexp.MustCompile(`(?m)^ +query_ingesters_within: (\S+)$`)
)

// parseLookback parses Loki's configuration. The look-back period wins where both are set
// (pkg/querier/querier.go: calculateIngesterMaxLookbackPeriod).
func parseLookback(config string) time.Duration {
	for _, setting := range []*regexp.Regexp{lookBackSetting, withinSetting} {
		m := setting.FindStringSubmatch(config)
		if m == nil {
			return defaultLookback
		}
		d, err := time.ParseDuration(m[1])
		switch {
		case err != nil:
			return defaultLookback
		case d < 0:
			return unlimitedLookback
		case d > 0:
			return d
		}
	}
	return unlimitedLookback
}
