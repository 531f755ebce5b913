package loki

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// bodyBytes bounds a body. Loki's distributors pass it on by gRPC, whose limit is 4 MiB.
const bodyBytes = 1 << 20

const tenantHeader = "X-Scope-OrgID"

// An Output sends to one Loki as one tenant.
type Output struct {
	url     *url.URL
	base    *url.URL // with the path before /loki/api/v1
	tenant  string
	client  *httpclient.Client
	log     *slog.Logger
	metrics *metrics
	limiter *limiter
	labels  []label
	raw     bool
	schema  event.Schema // of lines that are not raw
	maxLine int
	late    bool
	querier *querier // nil with reconcile: off
	target  lokiTarget
	health  streamHealth
	// metadataOff is set if no structured metadata is sent: by configuration, or because Loki
	// rejected it.
	metadataOff      atomic.Bool
	memory           *memory
	recalled         *sync.Once
	shifts           *shifts
	clockAhead       atomic.Int64 // Loki's clock of ours, in nanoseconds
	warnedIncomplete atomic.Bool
}

var _ pipeline.Prober = (*Output)(nil)

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	return &Encoder{output: o, sources: map[*event.Source]*source{}}
}

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits {
	return pipeline.Limits{Bytes: bodyBytes, InOrder: true}
}

// Original implements pipeline.Output: it returns the entry's line.
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
	if err := o.memory.sync(); err != nil {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: err.Error(), Err: err}
	}
	o.recall()
	failure := o.sendBody(ctx, body)
	if failure != nil {
		failure = o.sendAhead(ctx, body, failure)
	}
	if failure == nil {
		return nil // not a nil *SendError in an error
	}
	return failure
}

// sendBody sends a body, in as many requests as it takes.
func (o *Output) sendBody(ctx context.Context, body *pipeline.Body) *pipeline.SendError {
	var failure *pipeline.SendError
	if risky := o.health.risky(body); len(risky) > 0 {
		failure = o.sendIsolated(ctx, body, risky)
	} else {
		failure = o.sendRequest(ctx, body)
	}
	if failure != nil && o.late {
		failure = o.sendLate(ctx, body, failure)
	}
	return failure
}

// sendRequest sends a body as one request.
func (o *Output) sendRequest(ctx context.Context, body *pipeline.Body) *pipeline.SendError {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	resp, text, err := o.post(ctx, body)
	if err != nil {
		return httpclient.RequestError(err)
	}
	if stored(resp.StatusCode, text) {
		o.health.update(body, nil)
		return nil
	}
	o.noteClock(resp)
	failure, rejectsMetadata := classify(resp, text, body)
	o.health.update(body, failure)
	if rejectsMetadata {
		o.disableMetadata()
	}
	return failure
}

// post sends the request and reads the answer.
func (o *Output) post(ctx context.Context, body *pipeline.Body) (*http.Response, []byte, error) {
	f := frames.Get().(*frame)
	if o.metadataOff.Load() {
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
			f.release()
		}
	}()
	req.Header.Set("Content-Type", "application/x-protobuf")
	setAuth(req, o.tenant, o.url.User)
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil && resp.StatusCode != http.StatusNoContent {
		return nil, nil, &httpclient.Error{URL: httpclient.Location(o.url), Sent: true, Err: err}
	}
	return resp, text, nil
}

// setAuth identifies us to Loki and to what stands in front of it.
func setAuth(req *http.Request, tenant string, user *url.Userinfo) {
	if tenant != "" {
		req.Header.Set(tenantHeader, tenant)
	}
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
}

// stored reports whether Loki has stored all it was sent. It answers 204; others that speak its
// protocol, 200 without a word. Words are of someone else, who may have passed nothing on.
func stored(status int, text []byte) bool {
	return status == http.StatusNoContent || status == http.StatusOK && len(bytes.TrimSpace(text)) == 0
}

func (o *Output) disableMetadata() {
	if o.metadataOff.Swap(true) {
		return
	}
	o.metrics.metadataOff.Set(1)
	o.log.Warn("Loki rejects structured metadata; none is sent from now on, and trace_id is in the line only",
		"url", httpclient.Location(o.url),
		"hint", "set limits_config.allow_structured_metadata in Loki, or structured_metadata: off here")
}

type metrics struct {
	replaced        *prometheus.CounterVec
	truncated       prometheus.Counter
	metadataOff     prometheus.Gauge
	late            prometheus.Counter
	ahead           prometheus.Counter
	reconciliations *prometheus.CounterVec
	reconciled      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		replaced: metric.CounterVec(reg, "longshore_loki_label_values_replaced_total",
			"Label sets in which a label had too many values and became \"other\".", "label"),
		truncated: metric.Counter(reg, "longshore_loki_truncated_lines_total",
			"Lines that were longer than max_line_size and were truncated."),
		metadataOff: metric.Gauge(reg, "longshore_loki_structured_metadata_disabled",
			"1 once Loki has rejected structured metadata, so that none is sent."),
		late: metric.Counter(reg, "longshore_loki_late_records_total",
			"Records that were too far behind their stream and were stored in one with late=\"1\"."),
		ahead: metric.Counter(reg, "longshore_loki_ahead_records_total",
			"Records that were ahead of Loki's clock and were stored with another time, marked as time_rejected."),
		reconciliations: metric.CounterVec(reg, "longshore_loki_reconciliations_total",
			"Times that Loki was asked what it has stored of a request: complete, incomplete (it cannot show all "+
				"entries with old times), rejected, or failed (asked again later).", "result"),
		reconciled: metric.Counter(reg, "longshore_loki_reconciled_records_total",
			"Records that Loki turned out to have stored, and that were not sent again."),
	}
}
