// Package dockerapi reaches a Docker Engine, for all that asks one: by which address and
// certificates, with GET requests alone unless the user wants more, and with bounded answers.
package dockerapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"

	"github.com/longshore/longshore/pipeline"
)

// requestTimeout bounds the handshake of TLS.
const requestTimeout = 30 * time.Second

// A Dialer connects, as net.Dialer.DialContext does.
type Dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// An Engine is a Docker Engine and the connections to it. Its fields are set before the first call.
type Engine struct {
	Host string // as Host returns it
	TLS  TLS
	Dial Dialer // for tests; nil otherwise
	// May says which requests beside GET may be sent; nil for none.
	May func(r *http.Request) bool

	transport *http.Transport
	tls       atomic.Pointer[tls.Config] // of the files when the engine was last reached; nil without TLS
	podman    atomic.Bool

	// client is made anew on each connection, as a new engine may speak another version.
	client atomic.Pointer[client.Client]
}

// Host returns the address of the engine that a setting means: where it is empty, that of the
// environment, or else the usual one.
func Host(setting string) string {
	return cmp.Or(setting, os.Getenv(client.EnvOverrideHost), client.DefaultDockerHost)
}

// Check finds what is wrong in the settings host and tls of a component.
func Check(host string, files TLS) (problems []pipeline.Problem) {
	if host != "" {
		if err := CheckHost(host); err != nil {
			problems = append(problems, pipeline.Problem{Path: "host", Message: err.Error()})
		}
	}
	if (files.Cert == "") != (files.Key == "") {
		const message = "cert_file and key_file belong together; set both or none"
		problems = append(problems, pipeline.Problem{Path: "tls", Message: message})
	}
	return problems
}

// CheckHost returns an error for what is no address of an engine.
func CheckHost(host string) error {
	scheme, _, found := strings.Cut(host, "://")
	if scheme == "ssh" {
		return fmt.Errorf("%q cannot be used: ssh is not supported; unix, tcp, http and https are. Forward the "+
			"engine's socket (ssh -L /run/docker-remote.sock:/var/run/docker.sock HOST) and set "+
			"unix:///run/docker-remote.sock", host)
	}
	if !found || !slices.Contains([]string{"unix", "tcp", "http", "https", "npipe"}, scheme) {
		return fmt.Errorf("%q is not an address of a Docker Engine; "+
			"write it like unix:///var/run/docker.sock or tcp://192.0.2.1:2376", host)
	}
	if _, err := client.ParseHostURL(host); err != nil {
		return fmt.Errorf("%q is not an address of a Docker Engine: %w", host, err)
	}
	if scheme != "unix" && scheme != "npipe" && strings.Contains(host, "?") {
		return fmt.Errorf("%q has a query, which the address of a Docker Engine cannot have", host)
	}
	return nil
}

// Connect reaches the engine and negotiates the API version.
func (e *Engine) Connect(ctx context.Context) (types.Ping, error) {
	c, err := e.newClient()
	if err != nil {
		return types.Ping{}, fmt.Errorf("preparing the connection to the Docker Engine at %s: %w", e.Host, err)
	}
	ping, err := c.Ping(ctx)
	if err != nil {
		return types.Ping{}, e.WithAdvice(err)
	}
	c.NegotiateAPIVersionPing(ping)
	e.client.Store(c)
	return ping, nil
}

// Client returns the client of the last connection; nil before the first one.
func (e *Engine) Client() *client.Client { return e.client.Load() }

// IsPodman reports whether what answered last was Podman.
func (e *Engine) IsPodman() bool { return e.podman.Load() }

// Close gives up connections that are idle.
func (e *Engine) Close() {
	if e.transport != nil {
		e.transport.CloseIdleConnections()
	}
}

// IsPlainSocket reports whether a read returns all that has arrived. TLS returns a record, which is
// one line, and other connections perhaps one write.
func (e *Engine) IsPlainSocket() bool {
	return e.Dial == nil && e.tls.Load() == nil && !strings.HasPrefix(e.Host, "npipe://")
}

// newClient makes a client from the settings and, where those are empty, the usual environment. All
// clients share their connections.
func (e *Engine) newClient() (*client.Client, error) {
	if err := CheckHost(e.Host); err != nil { // it may be the environment's
		return nil, err
	}
	if err := e.TLS.orOfEnvironment().check(); err != nil {
		return nil, err
	}
	tls := client.WithTLSClientConfigFromEnv()
	if t := e.TLS; t != (TLS{}) {
		tls = client.WithTLSClientConfig(t.CA, t.Cert, t.Key)
	}
	host := e.Host
	for _, scheme := range []string{"http://", "https://"} {
		if rest, found := strings.CutPrefix(host, scheme); found {
			host = "tcp://" + rest
		}
	}
	return client.NewClientWithOpts(tls, client.WithHost(host), e.shareTransport,
		client.WithVersionFromEnv(), client.WithAPIVersionNegotiation())
}

// shareTransport puts the engine's transport into a client, with its guard.
func (e *Engine) shareTransport(c *client.Client) error {
	h := c.HTTPClient()
	t, ok := h.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("unexpected transport %T", h.Transport)
	}
	scheme := "http"
	if t.TLSClientConfig != nil || strings.HasPrefix(e.Host, "https://") {
		scheme = "https"
		e.tls.Store(cmp.Or(t.TLSClientConfig, &tls.Config{}))
	}
	if e.transport == nil {
		t.DisableCompression = true // which would delay lines
		t.WriteBufferSize = 1 << 10 // requests are short
		t.MaxResponseHeaderBytes = 256 << 10
		if e.Dial != nil {
			t.DialContext = e.Dial
		}
		if scheme == "https" {
			t.DialTLSContext = e.dialTLS(t.DialContext)
		}
		e.transport = t
	}
	h.Transport = guardedTransport{e}
	return errors.Join(client.WithHTTPClient(h)(c), client.WithScheme(scheme)(c))
}

// dialTLS connects with the current certificates, as they may be renewed while the agent runs.
func (e *Engine) dialTLS(dial Dialer) Dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		config := e.tls.Load().Clone()
		if host, _, err := net.SplitHostPort(addr); err == nil && config.ServerName == "" {
			config.ServerName = host
		}
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		return conn, nil
	}
}

// A guardedTransport sends only what may be sent, and bounds the answers. The client would ping by
// HEAD, which proxies may reject.
type guardedTransport struct{ engine *Engine }

func (g guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	if may := g.engine.May; r.Method != http.MethodGet && (may == nil || !may(r)) {
		return nil, fmt.Errorf("not sending %s %s: only GET requests are allowed", r.Method, r.URL.Path)
	}
	resp, err := g.engine.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	g.engine.podman.Store(isPodman(resp.Header))
	switch {
	case strings.HasSuffix(r.URL.Path, "/logs") && resp.StatusCode == http.StatusOK:
	case strings.HasSuffix(r.URL.Path, "/events"):
		resp.Body = &limitedBody{ReadCloser: resp.Body, remaining: maxEvent, perLine: true}
	default:
		resp.Body = &limitedBody{ReadCloser: resp.Body, remaining: maxAnswer}
	}
	return resp, nil
}

// The largest answer and the largest event.
const (
	maxAnswer = 32 << 20
	maxEvent  = 4 << 20
)

var errAnswerTooLong = errors.New("the engine's answer is too long")

// A limitedBody fails after a number of bytes, with perLine after a line of maxEvent.
type limitedBody struct {
	io.ReadCloser
	remaining int
	perLine   bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.remaining <= 0 {
		return 0, errAnswerTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.remaining)])
	b.remaining -= n
	if b.perLine && bytes.IndexByte(p[:n], '\n') >= 0 {
		b.remaining = maxEvent
	}
	return n, err
}

// WithAdvice explains why the engine cannot be reached, and what to do.
func (e *Engine) WithAdvice(err error) error {
	path, isUnix := strings.CutPrefix(e.Host, "unix://")
	switch {
	case isUnix && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("permission denied on %s: %s", path, joinGroup(path))
	case isUnix && isMissing(path):
		return fmt.Errorf("there is no Docker socket at %[1]s: "+
			"start Docker, mount the socket into this container (-v %[1]s:%[1]s:ro), or set host", path)
	case isUnix && client.IsErrConnectionFailed(err):
		return fmt.Errorf("no answer on the Docker socket %s: is the Docker Engine running? (%w)",
			path, rootCause(err))
	}
	if advice := e.adviseTLS(err); advice != "" {
		return fmt.Errorf("TLS with the Docker Engine at %s failed: %s (%w)", e.Host, advice, rootCause(err))
	}
	if os.Getenv(client.EnvOverrideAPIVersion) != "" && strings.Contains(err.Error(), "client version") {
		return fmt.Errorf("the Docker Engine at %s does not speak the version that %s asks for: unset that "+
			"variable (%w)",
			e.Host, client.EnvOverrideAPIVersion, err)
	}
	return fmt.Errorf("asking the Docker Engine at %s: %w", e.Host, err)
}

func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// joinGroup explains how to get access to a socket.
func joinGroup(path string) string {
	gid, ok := groupOf(path)
	if !ok {
		return "run as a user who may read and write it"
	}
	id := strconv.Itoa(gid)
	if gid == 0 {
		return "it belongs to root alone (gid 0): run as root, or give the socket a group of its own"
	}
	name := "of the socket"
	if group, err := user.LookupGroupId(id); err == nil {
		name = group.Name
	}
	return fmt.Sprintf("add the user to group %s (gid %s), or run the container with --group-add %s", name, id, id)
}

// rootCause strips what each layer adds to an error.
func rootCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Err
	}
	return err
}

// isPodman reports whether an answer has Podman's headers.
func isPodman(h http.Header) bool {
	return h.Get("Libpod-Api-Version") != "" || strings.HasPrefix(h.Get("Server"), "Libpod/")
}
