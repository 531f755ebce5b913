package docker

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
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// requestTimeout bounds a request that the engine answers at once.
const requestTimeout = 30 * time.Second

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// An engine is the Docker Engine and the connections to it.
type engine struct {
	config    *Config
	host      string
	transport *http.Transport
	slots     chan struct{} // bounds concurrent requests
	dial      dialer        // for tests; nil otherwise

	tls         atomic.Pointer[tls.Config] // of the files when the engine was last reached; nil without TLS
	podman      atomic.Bool
	before23    atomic.Bool                   // older than 23.0 (API 1.42)
	clockOffset atomic.Pointer[time.Duration] // of its clock from ours; nil if unknown

	// client is made anew on each connection, as a new engine may speak another version.
	client atomic.Pointer[client.Client]
}

func newEngine(c *Config) *engine {
	return &engine{config: c, host: c.host(), slots: make(chan struct{}, 16)}
}

func (c *Config) host() string {
	if c.Host != "" {
		return c.Host
	}
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return host
	}
	return client.DefaultDockerHost
}

// engineInfo is what the engine says of itself. Its fields are zero if it may not be asked.
type engineInfo struct {
	name string    // of its host
	time time.Time // by its clock
}

// connect reaches the engine and negotiates the API version.
func (e *engine) connect(ctx context.Context) (engineInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := e.newClient()
	if err != nil {
		return engineInfo{}, fmt.Errorf("preparing the connection to the Docker Engine at %s: %w", e.host, err)
	}
	ping, err := c.Ping(ctx)
	if err != nil {
		return engineInfo{}, e.withAdvice(err)
	}
	c.NegotiateAPIVersionPing(ping)
	e.before23.Store(versions.LessThan(cmp.Or(ping.APIVersion, c.ClientVersion()), "1.42"))
	e.client.Store(c)
	info, err := c.Info(ctx)
	if errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err) {
		return engineInfo{}, nil // a socket proxy may allow only some requests
	}
	if err != nil {
		return engineInfo{}, e.withAdvice(err)
	}
	systemTime, _ := time.Parse(time.RFC3339Nano, info.SystemTime)
	if !systemTime.IsZero() {
		ahead := time.Until(systemTime)
		e.clockOffset.Store(&ahead)
	}
	return engineInfo{name: info.Name, time: systemTime}, nil
}

// clock returns the engine's time, Unix nanoseconds, or 0 if unknown.
func (e *engine) clock() int64 {
	if ahead := e.clockOffset.Load(); ahead != nil {
		return time.Now().Add(*ahead).UnixNano()
	}
	if strings.HasPrefix(e.host, "unix://") {
		return time.Now().UnixNano()
	}
	return 0
}

// isPlainSocket reports whether a read returns all that has arrived. TLS returns a record, which is
// one line, and other connections perhaps one write.
func (e *engine) isPlainSocket() bool {
	return e.dial == nil && e.tls.Load() == nil && !strings.HasPrefix(e.host, "npipe://")
}

// newClient makes a client from the settings and, where those are empty, the usual environment. All
// clients share their connections.
func (e *engine) newClient() (*client.Client, error) {
	if err := checkHost(e.host); err != nil { // it may be the environment's
		return nil, err
	}
	if err := e.config.tlsFiles().check(); err != nil {
		return nil, err
	}
	tls := client.WithTLSClientConfigFromEnv()
	if t := e.config.TLS; t != (TLS{}) {
		tls = client.WithTLSClientConfig(t.CA, t.Cert, t.Key)
	}
	host := e.host
	for _, scheme := range []string{"http://", "https://"} {
		if rest, found := strings.CutPrefix(host, scheme); found {
			host = "tcp://" + rest
		}
	}
	return client.NewClientWithOpts(tls, client.WithHost(host), e.shareTransport,
		client.WithVersionFromEnv(), client.WithAPIVersionNegotiation())
}

// shareTransport puts the engine's transport into a client, allowing only reads.
func (e *engine) shareTransport(c *client.Client) error {
	h := c.HTTPClient()
	t, ok := h.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("unexpected transport %T", h.Transport)
	}
	scheme := "http"
	if t.TLSClientConfig != nil || strings.HasPrefix(e.host, "https://") {
		scheme = "https"
		e.tls.Store(cmp.Or(t.TLSClientConfig, &tls.Config{}))
	}
	if e.transport == nil {
		t.DisableCompression = true // which would delay lines
		t.WriteBufferSize = 1 << 10 // requests are short
		t.MaxResponseHeaderBytes = 256 << 10
		if e.dial != nil {
			t.DialContext = e.dial
		}
		if scheme == "https" {
			t.DialTLSContext = e.dialTLS(t.DialContext)
		}
		e.transport = t
	}
	h.Transport = readOnlyTransport{e}
	return errors.Join(client.WithHTTPClient(h)(c), client.WithScheme(scheme)(c))
}

// dialTLS connects with the current certificates, as they may be renewed while the agent runs.
func (e *engine) dialTLS(dial dialer) dialer {
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

// A readOnlyTransport sends only GET requests, and bounds the answers. The client would ping by
// HEAD, which proxies may reject.
type readOnlyTransport struct{ engine *engine }

func (g readOnlyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	if r.Method != http.MethodGet {
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

func (e *engine) close() {
	if e.transport != nil {
		e.transport.CloseIdleConnections()
	}
}

// list returns all containers, and whether each is running.
func (e *engine) list(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	containers, err := e.client.Load().ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	running := make(map[string]bool, len(containers))
	for _, c := range containers {
		running[c.ID] = c.State == "running" || c.State == "paused"
	}
	return running, nil
}

// lastTime returns the time of the newest message of a container's log, or 0 if there is none.
func (e *engine) lastTime(ctx context.Context, id string) (int64, error) {
	return e.tailTime(ctx, id, 1, "")
}

// tailTime returns the time of the first of the last n messages of a container's log up to a time
// ("" for all), or 0 if there is none.
func (e *engine) tailTime(ctx context.Context, id string, n int, until string) (int64, error) {
	ctx, done, err := e.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	options := container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Until: until, Tail: strconv.Itoa(n),
	}
	body, err := e.client.Load().ContainerLogs(ctx, id, options)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	head, err := io.ReadAll(io.LimitReader(body, int64(logformat.HeadLen)))
	return logformat.FirstTime(head), err
}

// acquire waits for one of the slots. The context that it returns bounds the request.
func (e *engine) acquire(ctx context.Context) (_ context.Context, done func(), err error) {
	select {
	case e.slots <- struct{}{}:
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		return ctx, func() { cancel(); <-e.slots }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (e *engine) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	ctx, done, err := e.acquire(ctx)
	if err != nil {
		return container.InspectResponse{}, err
	}
	defer done()
	c, err := e.client.Load().ContainerInspect(ctx, id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.Config == nil) {
		err = errors.New("the engine's answer lacks the container's state or config")
	}
	return c, err
}

// withAdvice explains why the engine cannot be reached, and what to do.
func (e *engine) withAdvice(err error) error {
	path, isUnix := strings.CutPrefix(e.host, "unix://")
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
		return fmt.Errorf("TLS with the Docker Engine at %s failed: %s (%w)", e.host, advice, rootCause(err))
	}
	if os.Getenv(client.EnvOverrideAPIVersion) != "" && strings.Contains(err.Error(), "client version") {
		return fmt.Errorf("the Docker Engine at %s does not speak the version that %s asks for: unset that "+
			"variable (%w)",
			e.host, client.EnvOverrideAPIVersion, err)
	}
	return fmt.Errorf("asking the Docker Engine at %s: %w", e.host, err)
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
