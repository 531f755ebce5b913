package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline/backoff"
)

// A wire sends requests to the cluster: Elastic's transport, which chooses the node, over the
// client of all HTTP outputs. The transport's own retries and product check are off.
type wire struct {
	client    *httpclient.Client
	transport *elastictransport.Client
	nodes     *nodes
}

func newWire(urls []*url.URL, client *httpclient.Client) (*wire, error) {
	w := &wire{client: client}
	transport, err := elastictransport.NewClient(
		elastictransport.WithURLs(urls...),
		elastictransport.WithTransport(carrier{client, urls}),
		elastictransport.WithDisableRetry(),
		elastictransport.WithConnectionPoolFunc(func(conns []*elastictransport.Connection,
			_ elastictransport.Selector) elastictransport.ConnectionPool {
			w.nodes = newNodes(conns)
			return w.nodes
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("making the transport to %s: %w", httpclient.Location(urls[0]), err)
	}
	w.transport = transport
	return w, nil
}

// A trip is one request in flight. It is in the request's context.
type trip struct {
	payload []byte
	body    *borrowed
	to      *url.URL // the node that was chosen
}

type tripKey struct{}

// withTrip returns a context for a request with this payload, whose memory is the caller's again
// after release.
func withTrip(ctx context.Context, payload []byte) (context.Context, *trip) {
	t := &trip{payload: payload}
	return context.WithValue(ctx, tripKey{}, t), t
}

func (t *trip) release() {
	if t.body != nil {
		t.body.release()
	}
}

// A carrier sends the transport's requests. It notes the node, adds the query of its URL, and sets
// the body: the interfaces above lose its length and who owns its memory.
type carrier struct {
	client *httpclient.Client
	urls   []*url.URL
}

func (c carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	c.addQuery(req.URL)
	t, ok := req.Context().Value(tripKey{}).(*trip)
	if !ok {
		return c.client.RoundTrip(req)
	}
	t.to = req.URL
	if t.payload != nil {
		t.body = &borrowed{payload: t.payload}
		req.ContentLength = int64(len(t.payload))
		req.GetBody = func() (io.ReadCloser, error) { return t.body.reader(), nil }
		req.Body = t.body.reader()
	}
	return c.client.RoundTrip(req)
}

// addQuery adds the query of the configured URL that a request goes to, which the transport drops.
func (c carrier) addQuery(to *url.URL) {
	query, longest := "", -1
	for _, u := range c.urls {
		if u.Host == to.Host && strings.HasPrefix(to.Path, u.Path+"/") && len(u.Path) > longest {
			query, longest = u.RawQuery, len(u.Path)
		}
	}
	if query != "" {
		to.RawQuery = httpclient.WithQuery(query, to.Query())
	}
}

// borrowed is memory that can be read until it is released. net/http may read a body after it has
// given up on its request; without this it would send what the memory is used for next.
type borrowed struct {
	mu      sync.RWMutex
	payload []byte // nil once released
}

func (l *borrowed) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.payload = nil
}

func (l *borrowed) reader() io.ReadCloser { return &borrowedReader{borrowed: l} }

type borrowedReader struct {
	borrowed *borrowed
	at       int
}

func (r *borrowedReader) Read(p []byte) (int, error) {
	r.borrowed.mu.RLock()
	defer r.borrowed.mu.RUnlock()
	switch {
	case r.borrowed.payload == nil:
		return 0, io.ErrClosedPipe
	case r.at == len(r.borrowed.payload):
		return 0, io.EOF
	}
	n := copy(p, r.borrowed.payload[r.at:])
	r.at += n
	return n, nil
}

func (r *borrowedReader) Close() error { return nil }

// do makes a small request, whose path may have a query, and returns the head of the answer.
func (w *wire) do(ctx context.Context, method, path string, body []byte) (*http.Response, []byte, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	ctx, trip := withTrip(ctx, nil)
	req, err := http.NewRequestWithContext(ctx, method, "http:///", reader)
	if err != nil {
		return nil, nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	req.URL.Path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.transport.Perform(req)
	if err != nil {
		return nil, nil, err
	}
	answer, err := httpclient.ReadBody(resp)
	resp.Request = &http.Request{URL: trip.to}
	return resp, answer, err
}

func (w *wire) timeout() time.Duration { return w.client.Timeout() }

func (w *wire) close() error {
	w.client.CloseIdleConnections()
	if err := w.transport.Close(context.Background()); err != nil {
		return fmt.Errorf("closing the transport: %w", err)
	}
	return nil
}

// A compressor compresses request bodies, with a buffer for each request in flight.
type compressor struct {
	level int
	pool  sync.Pool // of *gzipBuffer
}

type gzipBuffer struct {
	out bytes.Buffer
	gz  *gzip.Writer
}

// compress returns the compressed body, whose memory is the compressor's again after done.
func (c *compressor) compress(body []byte) (compressed []byte, done func(), err error) {
	s, ok := c.pool.Get().(*gzipBuffer)
	if !ok {
		s = &gzipBuffer{}
		if s.gz, err = gzip.NewWriterLevel(&s.out, c.level); err != nil {
			return nil, nil, fmt.Errorf("compressing a request: %w", err)
		}
	}
	s.out.Reset()
	s.gz.Reset(&s.out)
	if _, err = s.gz.Write(body); err == nil {
		err = s.gz.Close()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("compressing a request: %w", err)
	}
	return s.out.Bytes(), func() { c.pool.Put(s) }, nil
}

const (
	// Bounds of the time for which a failed node is left out; it doubles with each failure.
	initialBackoff = time.Second
	maxBackoff     = time.Minute
)

// nodes are the cluster's nodes, in turn. One that failed is left out for a while and then tried
// with a single request. If all have failed, the one due first is tried.
type nodes struct {
	mu   sync.Mutex
	all  []*node
	next int
}

type node struct {
	conn     *elastictransport.Connection
	failures int
	// until is when it may be used again; zero if it works.
	until time.Time
}

var _ elastictransport.ConcurrentSafeConnectionPool = (*nodes)(nil)

func newNodes(conns []*elastictransport.Connection) *nodes {
	n := &nodes{}
	for _, c := range conns {
		n.all = append(n.all, &node{conn: c})
	}
	return n
}

// Next implements elastictransport.ConnectionPool.
func (n *nodes) Next() (*elastictransport.Connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.all) == 0 {
		return nil, errors.New("there is no node to ask")
	}
	now := time.Now()
	first := n.all[n.next%len(n.all)]
	best := first
	for k := range n.all {
		one := n.all[(n.next+k)%len(n.all)]
		if !now.Before(one.until) {
			n.next += k + 1
			one.tried(now)
			return one.conn, nil
		}
		if one.until.Before(best.until) {
			best = one
		}
	}
	n.next++
	return best.conn, nil
}

// tried keeps others away from a node that has not recovered for certain.
func (o *node) tried(now time.Time) {
	if o.failures > 0 {
		o.until = now.Add(o.backoff())
	}
}

func (o *node) backoff() time.Duration {
	return backoff.Doubled(initialBackoff, maxBackoff, o.failures-1)
}

// OnSuccess implements elastictransport.ConnectionPool: the node answered, whatever the answer.
func (n *nodes) OnSuccess(c *elastictransport.Connection) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		if one.conn == c {
			one.failures, one.until = 0, time.Time{}
		}
	}
	return nil
}

// OnFailure implements elastictransport.ConnectionPool.
func (n *nodes) OnFailure(c *elastictransport.Connection) error {
	n.markFailed(func(one *node) bool { return one.conn == c })
	return nil
}

// MarkFailed notes that the node with this address answered that it cannot serve.
func (n *nodes) MarkFailed(host string) {
	n.markFailed(func(one *node) bool { return one.conn.URL.Host == host })
}

func (n *nodes) markFailed(which func(*node) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		if which(one) {
			one.failures++
			one.until = time.Now().Add(one.backoff())
		}
	}
}

// URLs implements elastictransport.ConnectionPool.
func (n *nodes) URLs() []*url.URL {
	var urls []*url.URL
	for _, one := range n.all {
		urls = append(urls, one.conn.URL)
	}
	return urls
}

// ConcurrentSafe implements elastictransport.ConcurrentSafeConnectionPool.
func (n *nodes) ConcurrentSafe() {}
