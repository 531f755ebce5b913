package loki

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// bodyBytes bounds a body. Loki hands it to its ingesters by gRPC, whose limit
// is 4 MiB for what may be several bodies' worth of labels and shards.
const bodyBytes = 1 << 20

const tenantHeader = "X-Scope-OrgID"

// An Output sends to one Loki as one tenant.
type Output struct {
	url     *url.URL
	tenant  string
	client  *httpclient.Client
	log     *slog.Logger
	metrics *metrics
	guard   *guard
	labels  []label
	raw     bool
	schema  event.Schema // of lines that are not raw
	maxLine int
	late    bool
	querier *querier // nil with reconcile: off
	place   place
	// standings tell which streams may go together.
	standings standings
	// bare is set when no structured metadata is sent: the user wants none, or
	// Loki takes none.
	bare atomic.Bool
	// toldIncomplete is set when it was said that Loki cannot show all.
	toldIncomplete atomic.Bool
}

var _ pipeline.Output = (*Output)(nil)

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	return &Encoder{output: o, sources: map[*event.Source]*source{}}
}

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits {
	return pipeline.Limits{Bytes: bodyBytes, InOrder: true}
}

// Original implements pipeline.Output: it gives the entry's line.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	return readEntry(body.Item(i)).line
}

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.client.CloseIdleConnections()
	if o.querier != nil {
		o.querier.client.CloseIdleConnections()
	}
	return nil
}

// Send implements pipeline.Output.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	if len(body.Items) == 0 {
		return nil
	}
	var failure *pipeline.SendError
	if risky := o.standings.risky(body); len(risky) > 0 {
		failure = o.sendApart(ctx, body, risky)
	} else {
		failure = o.sendTogether(ctx, body)
	}
	if failure != nil && o.late {
		failure = o.sendLate(ctx, body, failure)
	}
	if failure == nil {
		return nil // not a nil *SendError in an error
	}
	return failure
}

// sendTogether sends a body as one request.
func (o *Output) sendTogether(ctx context.Context, body *pipeline.Body) *pipeline.SendError {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	resp, text, err := o.post(ctx, body)
	if err != nil {
		return httpclient.Failed(err)
	}
	if stored(resp) {
		o.standings.note(body, nil)
		return nil
	}
	failure, refusesMetadata := judge(resp, text, body)
	o.standings.note(body, failure)
	if refusesMetadata {
		o.stopMetadata()
	}
	return failure
}

// post makes the request and reads the answer.
func (o *Output) post(ctx context.Context, body *pipeline.Body) (*http.Response, []byte, error) {
	f := frames.Get().(*frame)
	if o.bare.Load() {
		body = f.withoutMetadata(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url.String(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("making the request: %w", err)
	}
	var payload httpclient.Payload
	payload.Attach(req, f.pack(body))
	defer func() {
		if payload.Free() {
			f.free()
		}
	}()
	req.Header.Set("Content-Type", "application/x-protobuf")
	dress(req, o.tenant, o.url.User)
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil && !stored(resp) {
		return nil, nil, &httpclient.Error{URL: httpclient.Location(o.url), Sent: true, Err: err}
	}
	return resp, text, nil
}

// dress says who we are, to Loki and to what stands in front of it.
func dress(req *http.Request, tenant string, user *url.Userinfo) {
	if tenant != "" {
		req.Header.Set(tenantHeader, tenant)
	}
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
}

// stored says whether Loki has stored all it was sent: it answers 204, and 200
// comes from what speaks its protocol. 260 means blocked ingestion, and a page of
// HTML comes from something that is no Loki.
func stored(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusNoContent:
		return true
	case http.StatusOK:
		return !httpclient.IsPage(resp.Header)
	}
	return false
}

func (o *Output) stopMetadata() {
	if o.bare.Swap(true) {
		return
	}
	o.metrics.bare.Set(1)
	o.log.Warn("Loki refuses structured metadata; it is sent none from now on, and trace_id is in the line only",
		"url", httpclient.Location(o.url),
		"hint", "set limits_config.allow_structured_metadata in Loki, or structured_metadata: off here")
}
