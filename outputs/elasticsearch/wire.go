package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/longshore/longshore/outputs/httpclient"
)

// A wire carries requests to the cluster: Elastic's transport, which chooses the
// node, over the HTTP client that all outputs share. The transport's own
// retries are off, and so is its check of the product.
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
		elastictransport.WithConnectionPoolFunc(func(conns []*elastictransport.Connection, _ elastictransport.Selector) elastictransport.ConnectionPool {
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

// A trip is one request on its way. It is in the request's context.
type trip struct {
	payload []byte
	body    *lent
	to      *url.URL // the node that was chosen
}

type tripKey struct{}

// begin gives a context for a request with this payload. The memory is the
// caller's again after end.
func begin(ctx context.Context, payload []byte) (context.Context, *trip) {
	t := &trip{payload: payload}
	return context.WithValue(ctx, tripKey{}, t), t
}

func (t *trip) end() {
	if t.body != nil {
		t.body.takeBack()
	}
}

// carrier is where the transport's requests go out. It notes the node, adds the query of its URL, and
// gives the request its body: the interfaces above lose its length and its memory's owner.
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
		t.body = &lent{payload: t.payload}
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

// lent is memory that readers may read until it is taken back. net/http may
// read a request's body on after it has given up on the request; without this
// it would send what the memory is used for next.
type lent struct {
	mu      sync.RWMutex
	payload []byte // nil when it is taken back
}

func (l *lent) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.payload = nil
}

func (l *lent) reader() io.ReadCloser { return &lentReader{lent: l} }

type lentReader struct {
	lent *lent
	at   int
}

// Read implements io.Reader.
func (r *lentReader) Read(p []byte) (int, error) {
	r.lent.mu.RLock()
	defer r.lent.mu.RUnlock()
	switch {
	case r.lent.payload == nil:
		return 0, io.ErrClosedPipe
	case r.at == len(r.lent.payload):
		return 0, io.EOF
	}
	n := copy(p, r.lent.payload[r.at:])
	r.at += n
	return n, nil
}

// Close implements io.Closer.
func (r *lentReader) Close() error { return nil }

// ask makes a small request, whose path may have a query, and gives the status and the head of the answer.
func (w *wire) ask(ctx context.Context, method, path string, body []byte) (*http.Response, []byte, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	ctx, trip := begin(ctx, nil)
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

// timeout is how long one request may take.
func (w *wire) timeout() time.Duration { return w.client.Timeout() }

// close frees connections.
func (w *wire) close() error {
	w.client.CloseIdleConnections()
	if err := w.transport.Close(context.Background()); err != nil {
		return fmt.Errorf("closing the transport: %w", err)
	}
	return nil
}
