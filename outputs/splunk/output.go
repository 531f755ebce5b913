package splunk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
)

// maxBytes bounds a body: Splunk takes more, and gains nothing by it.
const maxBytes = 1 << 20

// An Output sends batches of events to a collector. Config makes it.
type Output struct {
	client     *httpclient.Client
	collector  *url.URL
	query      string // of the configured URL
	encode     encoder
	compressor compressor
	channel    string // "" without acknowledgement
	ackTimeout time.Duration
	fixedIndex bool // it does not depend on the record
	log        *slog.Logger
}

var (
	_ pipeline.Output   = (*Output)(nil)
	_ pipeline.Prober   = (*Output)(nil)
	_ pipeline.Examiner = (*Output)(nil)
	_ pipeline.Encoder  = (*encoder)(nil)
)

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	e := o.encode
	return &e
}

// Limits implements pipeline.Output: Splunk orders events by their times.
func (o *Output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: maxBytes} }

// Original implements pipeline.Output.
func (o *Output) Original(body *pipeline.Body, i int) []byte { return original(body.Item(i)) }

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.client.CloseIdleConnections()
	return nil
}

// Send implements pipeline.Output.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	if len(body.Items) == 0 {
		return nil
	}
	content, done, err := o.compressor.compress(body.Bytes)
	if err != nil {
		return &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	}
	payload := &httpclient.Payload{}
	resp, text, failure := o.post(ctx, "event", content, payload, !o.compressor.off)
	if payload.Free() {
		done()
	}
	if failure != nil {
		return failure
	}
	said, known := readAnswer(text)
	if resp.StatusCode != http.StatusOK || !known || said.code() != 0 {
		return o.failure(resp, text, len(body.Items))
	}
	if o.channel == "" {
		return nil
	}
	if said.AckID == nil {
		return &pipeline.SendError{Outcome: pipeline.Hold, Uncertain: true,
			Reason: httpclient.Location(resp.Request.URL) + ": it does not acknowledge; enable indexer " +
				"acknowledgement of the token, or set acknowledge: false"}
	}
	if failure := o.awaitAck(ctx, *said.AckID); failure != nil {
		return failure
	}
	return nil
}

// post sends a request to a path of the collector, and reads the answer.
func (o *Output) post(ctx context.Context, path string, content []byte, payload *httpclient.Payload, packed bool) (
	*http.Response, []byte, *pipeline.SendError,
) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	req, err := o.request(ctx, http.MethodPost, path)
	if err != nil {
		return nil, nil, httpclient.RequestError(err)
	}
	payload.Attach(req, content)
	req.Header.Set("Content-Type", "application/json")
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return nil, nil, httpclient.RequestError(err)
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil {
		return nil, nil, httpclient.RequestError(err)
	}
	return resp, text, nil
}

func (o *Output) request(ctx context.Context, method, path string) (*http.Request, error) {
	at := o.collector.JoinPath(path)
	at.RawQuery = o.query
	req, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return nil, err
	}
	if o.channel != "" {
		req.Header.Set("X-Splunk-Request-Channel", o.channel)
	}
	return req, nil
}

const (
	// Pauses between two questions for an acknowledgement: Splunk gives it when its buffers are
	// written, which may take minutes where little comes.
	firstAckPause, longestAckPause = 250 * time.Millisecond, 5 * time.Second
)

// awaitAck waits until the indexers have what was acknowledged under an id. Events that they do not
// have in time may be lost, or late.
func (o *Output) awaitAck(ctx context.Context, id int64) *pipeline.SendError {
	ctx, cancel := context.WithTimeout(ctx, o.ackTimeout)
	defer cancel()
	var pauses backoff.Failures
	var last *pipeline.SendError
	for backoff.Sleep(ctx, pauses.Next(firstAckPause, longestAckPause), nil) == nil {
		is, failure := o.acked(ctx, id)
		if is {
			return nil
		}
		if failure != nil {
			last = failure
		}
		if failure != nil && failure.Outcome == pipeline.Hold {
			break
		}
	}
	if last != nil {
		last.Uncertain = true
		return last
	}
	return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true,
		Reason: fmt.Sprintf("%s: the indexers have not acknowledged events within %v; they are sent again",
			httpclient.Location(o.collector), o.ackTimeout)}
}

// acked reports whether the indexers have what was acknowledged under an id. That is told once.
func (o *Output) acked(ctx context.Context, id int64) (bool, *pipeline.SendError) {
	content := fmt.Appendf(nil, `{"acks":[%d]}`, id)
	resp, text, failure := o.post(ctx, "ack", content, &httpclient.Payload{}, false)
	if failure != nil {
		return false, failure
	}
	var said struct{ Acks map[string]bool }
	if resp.StatusCode != http.StatusOK || json.Unmarshal(text, &said) != nil || said.Acks == nil {
		return false, o.failure(resp, text, 0)
	}
	return said.Acks[strconv.FormatInt(id, 10)], nil
}

// A compressor packs requests, with a buffer for each in flight.
type compressor struct {
	off   bool
	level int
	pool  sync.Pool // of *packed
}

type packed struct {
	out bytes.Buffer
	gz  *gzip.Writer
}

// compress returns the compressed body, whose memory is the compressor's again after done.
func (c *compressor) compress(body []byte) (content []byte, done func(), err error) {
	if c.off {
		return bytes.Clone(body), func() {}, nil // a transport may read it even after the answer
	}
	s, ok := c.pool.Get().(*packed)
	if !ok {
		s = &packed{}
		if s.gz, err = gzip.NewWriterLevel(&s.out, c.level); err != nil {
			return nil, nil, fmt.Errorf("compressing: %w", err)
		}
	}
	s.out.Reset()
	s.gz.Reset(&s.out)
	if _, err := s.gz.Write(body); err != nil {
		return nil, nil, fmt.Errorf("compressing: %w", err)
	}
	if err := s.gz.Close(); err != nil {
		return nil, nil, fmt.Errorf("compressing: %w", err)
	}
	return s.out.Bytes(), func() { c.pool.Put(s) }, nil
}
