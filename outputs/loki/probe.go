package loki

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/longshore/longshore/outputs/httpclient"
)

// buildInfoPath is where Loki says its version; others that take its pushes may not know it.
const buildInfoPath = "/loki/api/v1/status/buildinfo"

// Location implements pipeline.Prober.
func (o *Output) Location() string { return httpclient.Location(o.base) }

// Probe implements pipeline.Prober.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.base.JoinPath(buildInfoPath).String(), nil)
	if err != nil {
		return "", fmt.Errorf("asking for Loki's version: %w", err)
	}
	setAuth(req, o.tenant, o.base.User)
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return "", httpclient.RequestError(err)
	}
	text, err := httpclient.ReadBody(resp)
	if err != nil {
		return "", &httpclient.Error{URL: httpclient.Location(req.URL), Sent: true, Err: err}
	}
	if err := httpclient.Unanswered(resp, text); err != nil {
		return "", err
	}
	return serverName(text), nil
}

// serverName returns the name and version in Loki's answer, or "".
func serverName(text []byte) string {
	var info struct{ Version string }
	if json.Unmarshal(text, &info) != nil || info.Version == "" {
		return ""
	}
	return "Loki " + httpclient.Clean(info.Version)
}

// baseURL returns the push URL without the path that is Loki's or the config's.
func (c *Config) baseURL(push *url.URL) *url.URL {
	base := *push
	base.Path = strings.TrimSuffix(strings.TrimSuffix(push.Path, c.Path), pushPath)
	return &base
}
