package loki

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Output)(nil)

// Examine implements pipeline.Examiner. Whether we may write it learns from a push of nothing.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.base.JoinPath(buildInfoPath).String(), nil)
	if err != nil {
		tell(pipeline.Finding{What: "url", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	setAuth(req, o.tenant, o.base.User)
	resp, body, ok := o.client.Examine(req, tell)
	if !ok {
		return
	}
	server := pipeline.Finding{What: "server", Says: serverName(body)}
	if resp.StatusCode != http.StatusOK || server.Says == "" {
		server.State, server.Says = pipeline.FoundUnknown, "it answers, and does not say which Loki it is"
	}
	tell(server)
	o.examineWriting(ctx, tell)
}

// examineWriting pushes a request without a stream: 204, or words of Loki's that it misses some,
// are the answer to who may write.
func (o *Output) examineWriting(ctx context.Context, tell func(pipeline.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url.String(),
		bytes.NewReader(s2.EncodeSnappy(nil, nil)))
	if err != nil {
		tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	setAuth(req, o.tenant, o.url.User)
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken, Says: httpclient.RequestError(err).Reason})
		return
	}
	body, err := httpclient.ReadBody(resp)
	if err != nil {
		tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken, Says: "the answer breaks off"})
		return
	}
	misses := resp.StatusCode == http.StatusUnprocessableEntity || resp.StatusCode == http.StatusBadRequest
	may := stored(resp.StatusCode, body) || misses && strings.Contains(string(body), "stream")
	httpclient.TellAnswer("writing", resp, body, may, tell)
}
