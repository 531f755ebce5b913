package otlp

import (
	"bytes"
	"context"
	"net/http"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/otlplog"
)

var (
	_ pipeline.Prober   = (*Output)(nil)
	_ pipeline.Examiner = (*Output)(nil)
)

// Probe implements pipeline.Prober: it sends a request without records. Receivers do not say who
// they are.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	resp, text, err := o.postNothing(ctx)
	if err != nil {
		return "", o.requestError(err)
	}
	_, failure := o.classify(resp, text)
	if failure == nil || failure.Outcome == pipeline.Bisect {
		return "", nil // some take no request without records
	}
	return "", failure
}

// emptyRequest is a request without records, as it is sent: with gRPC's head, or as JSON.
func (o *Output) emptyRequest() []byte {
	switch {
	case o.grpc:
		return make([]byte, otlplog.HeadSize)
	case o.json:
		return []byte(`{"resourceLogs":[]}`)
	}
	return nil
}

// newEmptyRequest makes a request without records. It is not compressed.
func (o *Output) newEmptyRequest(ctx context.Context) (*http.Request, error) {
	req, err := o.newRequest(ctx)
	if err != nil {
		return nil, err
	}
	req.Header.Del("Content-Encoding")
	body := o.emptyRequest()
	var payload httpclient.Payload
	payload.Attach(req, body)
	if len(body) == 0 {
		req.Body, req.GetBody = http.NoBody, nil
	}
	return req, nil
}

func (o *Output) postNothing(ctx context.Context) (*http.Response, []byte, error) {
	req, err := o.newEmptyRequest(ctx)
	if err != nil {
		return nil, nil, err
	}
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil {
		return nil, nil, &httpclient.Error{URL: o.Location(), Sent: true, Err: err}
	}
	return resp, bytes.Clone(text), nil
}

// Examine implements pipeline.Examiner. Whether we may write it learns from a request without
// records.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	req, err := o.newEmptyRequest(ctx)
	if err != nil {
		tell(pipeline.Finding{What: "url", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	resp, text, ok := o.client.Examine(req, tell)
	if !ok {
		return
	}
	finding := pipeline.Finding{What: "writing", Says: "it takes logs by OTLP"}
	if _, failure := o.classify(resp, text); failure != nil && failure.Outcome != pipeline.Bisect {
		finding.State, finding.Says = pipeline.FoundBroken, failure.Reason
	}
	tell(finding)
}
