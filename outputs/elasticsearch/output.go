package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/outputs/elasticsearch/mapping"
	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// maxBytes bounds a body: more gains nothing, and one is held for each request in flight.
const maxBytes = 1 << 20

// An Output sends bulk requests to a cluster. Config makes it.
type Output struct {
	wire       *wire
	gzip       *compressor // nil for none
	setup      *setup      // nil if nothing is to be installed
	indexNames *indexNames
	rollover   rolloverCache
	metrics    *metrics
	pipeline   string
	ids        bool
	schema     event.Schema
	log        *slog.Logger
	// warnedFailures is set once it is told that records are in a failure store.
	warnedFailures atomic.Bool
}

var (
	_ pipeline.Prober  = (*Output)(nil)
	_ pipeline.Encoder = (*encoder)(nil)
)

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	return o.encoder(o.ids, o.indexNames)
}

func (o *Output) encoder(ids bool, names *indexNames) *encoder {
	// The template that is installed detects no dates.
	return &encoder{ids: ids, schema: o.schema, namer: indexNamer{names: names}, fitter: mapping.New(o.setup == nil)}
}

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: maxBytes} }

// Original implements pipeline.Output: the document, without its action.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	_, document, _ := bytes.Cut(body.Item(i), []byte("\n"))
	return bytes.TrimSuffix(document, []byte("\n"))
}

// Close implements pipeline.Output.
func (o *Output) Close() error { return o.wire.close() }

// Send implements pipeline.Output.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	if len(body.Items) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.wire.timeout())
	defer cancel()
	if o.setup != nil {
		if err := o.setup.ensure(ctx); err != nil {
			return err
		}
	}
	payload, header, done, err := o.payload(body)
	if err != nil {
		return err
	}
	defer done()
	ctx, trip := withTrip(ctx, payload)
	defer trip.release()
	return o.bulk(ctx, trip, body, header)
}

// payload returns the request's body, and the headers that describe it.
func (o *Output) payload(body *pipeline.Body) (payload []byte, header http.Header, done func(), err error) {
	header = http.Header{"Content-Type": {"application/x-ndjson"}}
	if o.gzip == nil {
		return body.Bytes, header, func() {}, nil
	}
	header.Set("Content-Encoding", "gzip")
	payload, done, err = o.gzip.compress(body.Bytes)
	return payload, header, done, err
}

// bulk sends the request and reads the answer.
func (o *Output) bulk(ctx context.Context, trip *trip, body *pipeline.Body, header http.Header) error {
	request := esapi.BulkRequest{
		Body:       http.NoBody, // carrier puts the payload in its place
		Pipeline:   o.pipeline,
		FilterPath: []string{"errors", "items.*.error", "items.*.status", "items.*.failure_store"},
		Header:     header,
	}
	resp, err := request.Do(ctx, o.wire.transport)
	if err != nil {
		return httpclient.RequestError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || httpclient.IsHTML(resp.Header) {
		return o.rejected(trip, resp)
	}
	return o.readItems(trip, resp, body)
}

// rejected returns the error of a request that was rejected as a whole.
func (o *Output) rejected(trip *trip, resp *esapi.Response) error {
	answer := &http.Response{
		StatusCode: resp.StatusCode,
		Header:     resp.Header,
		Body:       resp.Body,
		Request:    &http.Request{URL: trip.to},
	}
	text, _ := httpclient.ReadBody(answer)
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		o.wire.nodes.MarkFailed(trip.to.Host)
	}
	return requestError(answer, text)
}

// readItems reads the items of an answer. Unless it accounts for every record it counts for none.
func (o *Output) readItems(trip *trip, resp *esapi.Response, body *pipeline.Body) error {
	result := bulkResult{ids: o.ids}
	if err := readAnswer(resp.Body, len(body.Items), result.add); err != nil {
		return o.unreadable(trip, err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // to its end, so that the connection can be used again
	o.metrics.duplicates.Add(float64(result.duplicates))
	o.countFailures(result.failureStore)
	return result.err(httpclient.Location(trip.to), httpclient.RetryAfter(resp.Header, time.Now()))
}

// countFailures counts records in a failure store, and tells of the first: they are stored, but a
// search of the data stream does not show them.
func (o *Output) countFailures(n int) {
	if n == 0 {
		return
	}
	o.metrics.failureStore.Add(float64(n))
	if !o.warnedFailures.Swap(true) {
		o.log.Warn("the server puts records that do not fit a data stream's mapping into its failure store, where a "+
			"search of the stream does not show them", "records", n,
			"hint", "search NAME::failures for the reasons; longshore_elasticsearch_failure_store_records_total "+
				"counts them")
	}
}

// unreadable is the error of an answer that could not be read.
func (o *Output) unreadable(trip *trip, err error) *pipeline.SendError {
	var network *httpclient.Error
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		failure := httpclient.RequestError(err)
		failure.Reason = httpclient.Location(trip.to) + ": reading the answer: " + failure.Reason
		return failure
	}
	failure := &pipeline.SendError{
		Outcome:   pipeline.Retry,
		Uncertain: true,
		Status:    http.StatusOK,
		Reason: fmt.Sprintf("%s: the answer does not say what became of every record: %s",
			httpclient.Location(trip.to), httpclient.Clean(err.Error())),
		Err: err,
	}
	if errors.Is(err, errNotBulk) {
		failure.Outcome = pipeline.Hold
		failure.Reason += notElastic
	}
	return failure
}

type metrics struct {
	overflowed   prometheus.Counter
	failureStore prometheus.Counter
	duplicates   prometheus.Counter
	reconciled   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		overflowed: metric.Counter(reg, "longshore_elasticsearch_rejected_index_names_total",
			"Index names beyond max_indices, whose records went to the overflow index."),
		failureStore: metric.Counter(reg, "longshore_elasticsearch_failure_store_records_total",
			"Records that the server put into a data stream's failure store because they did not fit its mapping."),
		duplicates: metric.Counter(reg, "longshore_elasticsearch_duplicates_total",
			"Records that were already stored: sent again, but not stored twice."),
		reconciled: metric.Counter(reg, "longshore_elasticsearch_reconciled_records_total",
			"Records that turned out to be stored in a data stream or behind an alias, and that were not sent again."),
	}
}
