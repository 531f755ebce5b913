package splunk

import (
	"context"
	"net/http"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// Location implements pipeline.Prober.
func (o *Output) Location() string { return httpclient.Location(o.collector) }

// Probe implements pipeline.Prober: it asks for the collector's health.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	req, err := o.request(ctx, http.MethodGet, "health")
	if err != nil {
		return "", err
	}
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return "", httpclient.RequestError(err)
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil {
		return "", httpclient.RequestError(err)
	}
	if err := httpclient.Unanswered(resp, text); err != nil {
		return "", err
	}
	if said, known := readAnswer(text); known && said.code() == codeHealthy {
		return "Splunk", nil
	}
	return "", nil
}

// Examine implements pipeline.Examiner: the way there, and whether the token is known, by a request
// without an event, which is refused for that.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	req, err := o.request(ctx, http.MethodGet, "health")
	if err != nil {
		tell(pipeline.Finding{What: "HTTP", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	resp, text, ok := o.client.Examine(req, tell)
	if !ok {
		return
	}
	server := pipeline.Finding{What: "server", Says: "a collector that is healthy"}
	if said, known := readAnswer(text); !known || said.code() != codeHealthy || resp.StatusCode != http.StatusOK {
		server.State, server.Says = pipeline.FoundUnknown, "it answers, and does not say that it is a healthy collector"
	}
	tell(server)
	o.examineWriting(ctx, tell)
}

func (o *Output) examineWriting(ctx context.Context, tell func(pipeline.Finding)) {
	resp, text, failure := o.post(ctx, "event", nil, &httpclient.Payload{}, false)
	if failure != nil {
		tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken, Says: failure.Reason})
		return
	}
	said, known := readAnswer(text)
	if known && (said.code() == codeNoData || said.code() == 0) {
		tell(pipeline.Finding{What: "writing", Says: "the token is known; to which indexes it may write is not told"})
		return
	}
	tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken, Says: o.failure(resp, text, 0).Reason,
		Advice: "see the token under Settings, Data inputs, HTTP Event Collector"})
}
