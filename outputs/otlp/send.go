package otlp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/otlplog"
)

// Send implements pipeline.Output. It makes one request, or several while the receiver rejects
// records without saying which.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	var items []pipeline.ItemError // that are rejected
	for from := 0; from < len(body.Items); {
		to := from + o.isolation.next(len(body.Items)-from)
		rejected, failure := o.request(ctx, body, from, to)
		if failure != nil {
			if to-from == len(body.Items) {
				return failure
			}
			if to-from > 1 && (failure.Outcome == pipeline.Bisect || failure.Outcome == pipeline.Split) {
				o.isolation.rejected(4 * (to - from)) // halves
				continue
			}
			return rest(failure, items, from, to, len(body.Items))
		}
		items = append(items, o.rejections(rejected, from, to)...)
		from = to
	}
	if len(items) == 0 {
		return nil
	}
	return &pipeline.SendError{Outcome: pipeline.Reject, Items: items, Reason: items[0].Reason}
}

// rest returns what the failure of a request of the items [from, to) means for a body of n, of
// which those before it are done, but for those that were rejected.
func rest(e *pipeline.SendError, items []pipeline.ItemError, from, to, n int) *pipeline.SendError {
	outcome := e.Outcome
	switch outcome {
	case pipeline.Bisect, pipeline.Split:
		outcome = pipeline.Reject // it is alone
	}
	for i := from; i < n; i++ {
		this := outcome
		if i >= to && this == pipeline.Reject {
			this = pipeline.Retry
		}
		items = append(items, pipeline.ItemError{Index: i, Outcome: this, Status: e.Status, Reason: e.Reason})
	}
	e.Items, e.Outcome = items, pipeline.Retry
	return e
}

// rejections returns the errors of the items [from, to), of which the receiver rejected some.
func (o *Output) rejections(partial otlplog.PartialSuccess, from, to int) []pipeline.ItemError {
	n := to - from
	if partial.Rejected <= 0 {
		o.isolation.accepted(n)
		if partial.Message != "" {
			o.log.Warn("the receiver has taken records with a warning", "url", o.Location(),
				"warning", httpclient.Clean(partial.Message))
		}
		return nil
	}
	reason := fmt.Sprintf("%s: rejected by the receiver: %s", o.Location(), httpclient.Clean(partial.Message))
	if partial.Rejected < int64(n) {
		o.isolation.rejected(n)
		o.metrics.unattributed.Add(float64(n))
		reason = fmt.Sprintf("%s: the receiver rejected %d of the %d records of a request, and does not say which; "+
			"the others are stored there: %s", o.Location(), partial.Rejected, n, httpclient.Clean(partial.Message))
	}
	items := make([]pipeline.ItemError, n)
	for i := range items {
		items[i] = pipeline.ItemError{Index: from + i, Outcome: pipeline.Reject, Status: http.StatusOK, Reason: reason}
	}
	return items
}

// request sends the items [from, to) of a body as one request.
func (o *Output) request(ctx context.Context, body *pipeline.Body, from, to int) (
	otlplog.PartialSuccess, *pipeline.SendError,
) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	f := o.frames.Get().(*frame)
	var payload httpclient.Payload
	defer func() {
		if payload.Free() {
			o.release(f)
		}
	}()
	message, err := o.pack(f, body, from, to)
	if err != nil {
		return otlplog.PartialSuccess{}, &pipeline.SendError{Reason: err.Error(), Err: err}
	}
	resp, text, err := o.post(ctx, message, body.Uncertain, &payload)
	if err != nil {
		return otlplog.PartialSuccess{}, o.requestError(err)
	}
	return o.classify(resp, text)
}

// post makes a request with a message that pack made, and reads the answer.
func (o *Output) post(
	ctx context.Context, message []byte, uncertain bool, payload *httpclient.Payload,
) (*http.Response, []byte, error) {
	req, err := o.newRequest(ctx)
	if err != nil {
		return nil, nil, err
	}
	if o.identity && uncertain {
		req.Header.Set(otlplog.UncertainHeader, "true")
	}
	payload.Attach(req, message)
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil {
		return nil, nil, &httpclient.Error{URL: o.Location(), Sent: true, Err: err}
	}
	o.answered.Store(true)
	o.noteReceiver(resp.Header)
	return resp, text, nil
}

// newRequest makes a request without a body.
func (o *Output) newRequest(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	setUser(req, o.url.User)
	if o.identity {
		req.Header.Set(otlplog.SenderHeader, o.sender)
	}
	encoding := "Content-Encoding"
	switch {
	case o.grpc:
		req.Header.Set("Content-Type", otlplog.GRPCType)
		req.Header.Set("Te", "trailers")
		encoding = "Grpc-Encoding"
	case o.json:
		req.Header.Set("Content-Type", "application/json")
	default:
		req.Header.Set("Content-Type", protobufType)
	}
	if o.compression != "none" {
		req.Header.Set(encoding, o.compression)
	}
	return req, nil
}

const protobufType = "application/x-protobuf"

// setUser identifies us by the user that the URL names.
func setUser(req *http.Request, user *url.Userinfo) {
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
}

// noteReceiver says once that the receiver is a Longshore, which would like to know more.
func (o *Output) noteReceiver(h http.Header) {
	if o.identity || h.Get(otlplog.ReceiverHeader) != otlplog.ReceiverIs || o.noted.Swap(true) {
		return
	}
	o.log.Warn("the receiver is a Longshore and is not told whose the records are: what is sent again it may store "+
		"twice; set identity: true", "url", o.Location())
}
