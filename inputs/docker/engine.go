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

// askTime bounds a request that the engine answers at once.
const requestTimeout = 30 * time.Second

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// An engine is the Docker Engine, and the connections to it.
type engine struct {
	config    *Config
	host      string // its address
	transport *http.Transport
	slots     chan struct{} // holds as many as may ask at a time
	dial      dialer        // instead of the host's own, if not nil

	tls         atomic.Pointer[tls.Config]    // of the files as they were when the engine was last reached
	podman      atomic.Bool                   // the engine is Podman
	clockOffset atomic.Pointer[time.Duration] // its clock against ours, if it told the time

	// now is the client for the engine that was there last. A new engine may
	// speak another version, so each connection has a client of its own.
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

// about is what the engine says of itself.
type engineInfo struct {
	name string    // of its host; "" if it may not be asked
	time time.Time // its clock; zero if it may not be asked
}

// connect reaches the engine and agrees on an API version.
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
	e.client.Store(c)
	info, err := c.Info(ctx)
	if errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err) {
		return engineInfo{}, nil // a proxy before the socket lets only some requests through
	}
	if err != nil {
		return engineInfo{}, e.withAdvice(err)
	}
	then, _ := time.Parse(time.RFC3339Nano, info.SystemTime)
	if !then.IsZero() {
		ahead := time.Until(then)
		e.clockOffset.Store(&ahead)
	}
	return engineInfo{name: info.Name, time: then}, nil
}

// clock gives the engine's time, Unix nanoseconds; 0 if it is not known.
func (e *engine) clock() int64 {
	if ahead := e.clockOffset.Load(); ahead != nil {
		return time.Now().Add(*ahead).UnixNano()
	}
	if strings.HasPrefix(e.host, "unix://") {
		return time.Now().UnixNano()
	}
	return 0
}

// hasty tells whether the engine may end the stream of a container that stops
// before its last lines: before 23.0 (API 1.42) the one raced the other.
func (e *engine) before23() bool { return versions.LessThan(e.client.Load().ClientVersion(), "1.42") }

// buffers tells whether a read gives all that has come, as from a plain socket. TLS gives a record, which is one line,
// other connections perhaps one write.
func (e *engine) isPlainSocket() bool {
	return e.dial == nil && e.tls.Load() == nil && !strings.HasPrefix(e.host, "npipe://")
}

// newClient makes a client of the settings and, where those are silent, of the
// usual environment. All clients share their connections.
func (e *engine) newClient() (*client.Client, error) {
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

// share puts the engine's transport into a client, behind a guard.
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
		t.DisableCompression = true // it would hold lines back
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

// dialTLS makes connections with the certificates of now: they are renewed
// while this program runs.
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

// A guard lets only GET requests out, and bounds what comes back. The client would
// ping by HEAD, which proxies that allow only reading may refuse.
type readOnlyTransport struct{ e *engine }

func (g readOnlyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	if r.Method != http.MethodGet {
		return nil, fmt.Errorf("refusing to send %s %s: only GET requests are made", r.Method, r.URL.Path)
	}
	resp, err := g.e.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	g.e.podman.Store(isPodman(resp.Header))
	switch {
	case strings.HasSuffix(r.URL.Path, "/logs") && resp.StatusCode == http.StatusOK:
	case strings.HasSuffix(r.URL.Path, "/events"):
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxEvent, renew: true}
	default:
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, nil
}

// What the engine may answer: to a question, which it does at once, and in one event.
const (
	maxAnswer = 32 << 20
	maxEvent  = 4 << 20
)

// errEndless is what a body that is too long ends with.
var errAnswerTooLong = errors.New("the engine's answer does not end")

// bounded reads a body up to a length, or up to that length from newline to
// newline.
type limitedBody struct {
	io.ReadCloser
	left  int
	renew bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswerTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	if b.renew && bytes.IndexByte(p[:n], '\n') >= 0 {
		b.left = maxEvent
	}
	return n, err
}

func (e *engine) close() {
	if e.transport != nil {
		e.transport.CloseIdleConnections()
	}
}

// list names all containers and tells which run.
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

// lastTime gives the time of the newest message of a container's log; 0 if there is none.
func (e *engine) lastTime(ctx context.Context, id string) (int64, error) {
	done, err := e.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := e.client.Load().ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Tail: "1"})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	head, err := io.ReadAll(io.LimitReader(body, int64(logformat.HeadLen)))
	return logformat.FirstTime(head), err
}

// ask waits until there is room for another question.
func (e *engine) acquire(ctx context.Context) (done func(), err error) {
	select {
	case e.slots <- struct{}{}:
		return func() { <-e.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *engine) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	done, err := e.acquire(ctx)
	if err != nil {
		return container.InspectResponse{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := e.client.Load().ContainerInspect(ctx, id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.Config == nil) {
		err = errors.New("the engine's answer lacks the container's state or config")
	}
	return c, err
}

// explain says what is wrong with the way to the engine, and what to do.
func (e *engine) withAdvice(err error) error {
	path, isUnix := strings.CutPrefix(e.host, "unix://")
	switch {
	case isUnix && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("permission denied on %s: %s", path, joinGroup(path))
	case isUnix && isMissing(path):
		return fmt.Errorf("there is no Docker socket at %s: start Docker, mount the socket into this container (-v %s:%s:ro), or set host", path, path, path)
	case isUnix && client.IsErrConnectionFailed(err):
		return fmt.Errorf("nobody answers on the Docker socket %s: is the Docker Engine running? (%w)", path, rootCause(err))
	}
	if advice := e.adviseTLS(err); advice != "" {
		return fmt.Errorf("no trust between this program and the Docker Engine at %s: %s (%w)", e.host, advice, rootCause(err))
	}
	return fmt.Errorf("asking the Docker Engine at %s: %w", e.host, err)
}

func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// joinGroup tells how to get access to a socket.
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

// rootCause spares the reader what each layer says of the same thing.
func rootCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Err
	}
	return err
}
