package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// maxBytes suits the destination and our own memory: with more the server gains
// nothing, and a body is held for each request in flight.
const maxBytes = 1 << 20

// An Output sends bulk requests to a cluster. Config makes it.
type Output struct {
	wire     *wire
	gzip     *compressor // nil for none
	setup    *setup      // nil if nothing is to be installed
	indices  *indices
	rolling  rolling
	metrics  *metrics
	pipeline string
	ids      bool
	schema   event.Schema
}

var (
	_ pipeline.Output  = (*Output)(nil)
	_ pipeline.Encoder = (*encoder)(nil)
)

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	return &encoder{ids: o.ids, schema: o.schema, naming: naming{indices: o.indices}}
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
		if err := o.setup.ready(ctx); err != nil {
			return err
		}
	}
	payload, header, done, err := o.payload(body)
	if err != nil {
		return err
	}
	defer done()
	ctx, trip := begin(ctx, payload)
	defer trip.end()
	return o.bulk(ctx, trip, body, header)
}

// payload gives the request's body, and the headers that describe it.
func (o *Output) payload(body *pipeline.Body) (payload []byte, header http.Header, done func(), err error) {
	header = http.Header{"Content-Type": {"application/x-ndjson"}}
	if o.gzip == nil {
		return body.Bytes, header, func() {}, nil
	}
	header.Set("Content-Encoding", "gzip")
	payload, done, err = o.gzip.compress(body.Bytes)
	return payload, header, done, err
}

// bulk makes the request and reads what became of the records.
func (o *Output) bulk(ctx context.Context, trip *trip, body *pipeline.Body, header http.Header) error {
	request := esapi.BulkRequest{
		Body:       http.NoBody, // carrier puts the payload in its place
		Pipeline:   o.pipeline,
		FilterPath: []string{"errors", "items.*.error", "items.*.status", "items.*.failure_store"},
		Header:     header,
	}
	resp, err := request.Do(ctx, o.wire.transport)
	if err != nil {
		return httpclient.Failed(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || httpclient.IsPage(resp.Header) {
		return o.refused(trip, resp)
	}
	return o.stored(trip, resp, body)
}

// refused says what it means that the request as a whole was not taken.
func (o *Output) refused(trip *trip, resp *esapi.Response) error {
	answer := &http.Response{
		StatusCode: resp.StatusCode,
		Header:     resp.Header,
		Body:       resp.Body,
		Request:    &http.Request{URL: trip.to},
	}
	kept, _ := httpclient.ReadBody(answer)
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		o.wire.nodes.Ill(trip.to.Host)
	}
	return wholeOutcome(answer, kept)
}

// stored reads the items of an answer. An answer that does not account for
// every record counts for none.
func (o *Output) stored(trip *trip, resp *esapi.Response, body *pipeline.Body) error {
	result := tally{ids: o.ids}
	if err := readAnswer(resp.Body, len(body.Items), result.add); err != nil {
		return o.unread(trip, err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // to its end, so that the connection can be used again
	o.metrics.conflicts.Add(float64(result.conflicts))
	o.metrics.failureStore.Add(float64(result.failureStore))
	return result.err(httpclient.Location(trip.to), httpclient.RetryAfter(resp.Header, time.Now()))
}

// unread is the error of an answer that cannot be made sense of.
func (o *Output) unread(trip *trip, err error) *pipeline.SendError {
	var network *httpclient.Error
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		failure := httpclient.Failed(err)
		failure.Reason = httpclient.Location(trip.to) + ": reading the answer: " + failure.Reason
		return failure
	}
	return &pipeline.SendError{
		Outcome:   pipeline.Retry,
		Uncertain: true,
		Status:    http.StatusOK,
		Reason:    fmt.Sprintf("%s: the answer does not say what became of every record: %v", httpclient.Location(trip.to), err),
		Err:       err,
	}
}
