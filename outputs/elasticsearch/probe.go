package elasticsearch

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/longshore/longshore/outputs/httpclient"
)

// Location implements pipeline.Prober.
func (o *Output) Location() string {
	var all []string
	for _, u := range o.wire.nodes.URLs() {
		all = append(all, httpclient.Location(u))
	}
	return strings.Join(all, ", ")
}

// Probe implements pipeline.Prober.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.wire.timeout())
	defer cancel()
	resp, text, err := o.wire.do(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return "", httpclient.RequestError(err)
	}
	if err := httpclient.Unanswered(resp, text); err != nil {
		return "", err
	}
	return serverName(text), nil
}

// serverName returns the name and version in the answer to GET /: that of OpenSearch, which has a
// distribution, or of Elasticsearch. It is empty where a server that takes bulk requests, too, says
// something else.
func serverName(text []byte) string {
	var info struct {
		Version struct{ Number, Distribution string }
	}
	if json.Unmarshal(text, &info) != nil || info.Version.Number == "" {
		return ""
	}
	name := "Elasticsearch"
	if info.Version.Distribution == "opensearch" {
		name = "OpenSearch"
	}
	return name + " " + httpclient.Clean(info.Version.Number)
}
