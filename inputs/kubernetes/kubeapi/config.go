// Package kubeapi lists and watches objects of a Kubernetes API server, as a pod may do it.
//
// # Decisions
//
//   - It is net/http and encoding/json, and not client-go. Two GETs are all that is needed of the
//     API; client-go with its types takes 20 MiB more of the binary and 10 ms more of every
//     start (0.36, measured), and holds whole objects, of which a few hundred bytes are of use.
//   - A watch that ends begins anew where it was. One whose place the server has forgotten (410)
//     begins with a list.
//   - Certificates and the token are read again when they are needed: a token lives for an hour.
package kubeapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Config says where the API is, and who asks.
type Config struct {
	URL       string `yaml:"url" doc:"URL of the API server; by default that of the cluster that the agent runs in." example:"https://127.0.0.1:6443"`
	TokenFile string `yaml:"token_file" doc:"File of the token to ask with, read again as it is renewed; by default that of the pod's service account."`
	CAFile    string `yaml:"ca_file" doc:"CA certificates that the server's certificate is verified with; by default those of the pod's service account."`
}

// account is where a pod finds what its service account may ask with.
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// ErrNoCluster says that the agent does not run in a cluster, and that no URL is set.
var ErrNoCluster = errors.New("there is no Kubernetes API: KUBERNETES_SERVICE_HOST is not set, as it is in a pod; " +
	"set api.url, or api.mode: off")

// Check returns what is wrong with the config.
func (c *Config) Check(path string) []pipeline.Problem {
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
		return []pipeline.Problem{{Path: path + ".url",
			Message: "is not the URL of an API server; write it like https://127.0.0.1:6443"}}
	}
	if u.Scheme == "http" && c.TokenFile != "" {
		return []pipeline.Problem{{Path: path + ".url", Message: "would send the token unencrypted; write https"}}
	}
	return nil
}

// A Client asks one API server.
type Client struct {
	base  string
	token string // the file's path; "" for none
	http  *http.Client
}

// Bounds of a connection. A watch is silent for as long as nothing changes; what tells a dead
// connection is HTTP/2's ping, or the end of the watch that was asked for.
const (
	dialTimeout   = 10 * time.Second
	headerTimeout = 30 * time.Second
)

// Client returns a client. The files are those of this moment; the token is read with each request.
func (c Config) Client() (*Client, error) {
	base, inCluster, err := c.base()
	if err != nil {
		return nil, err
	}
	client := &Client{base: base, token: c.TokenFile}
	ca := c.CAFile
	if inCluster {
		client.token, ca = cmp.Or(client.token, account+"token"), cmp.Or(ca, account+"ca.crt")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("reading the CA certificates of the Kubernetes API: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate of a CA", ca)
		}
	}
	client.http = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headerTimeout,
			MaxIdleConns: 2, IdleConnTimeout: time.Minute,
			HTTP2: &http.HTTP2Config{SendPingTimeout: dialTimeout, PingTimeout: dialTimeout},
		},
		// The server is asked, and nobody that it names: the token is for it alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client, nil
}

func (c Config) base() (base string, inCluster bool, err error) {
	if c.URL != "" {
		return strings.TrimRight(c.URL, "/"), false, nil
	}
	host := os.Getenv("KUBERNETES_SERVICE_HOST")
	if host == "" {
		return "", false, ErrNoCluster
	}
	port := cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT_HTTPS"), os.Getenv("KUBERNETES_SERVICE_PORT"), "443")
	return "https://" + net.JoinHostPort(host, port), true, nil
}

// InCluster reports whether the agent runs in a pod that may reach the API.
func InCluster() bool { return os.Getenv("KUBERNETES_SERVICE_HOST") != "" }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) request(ctx context.Context, path string, query url.Values, accept string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "longshore")
	if c.token != "" {
		token, err := os.ReadFile(c.token)
		if err != nil {
			return nil, fmt.Errorf("reading the token for the Kubernetes API: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	return req, nil
}
