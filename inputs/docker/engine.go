package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// askTime bounds a request that the engine answers at once.
const askTime = 30 * time.Second

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// An engine is the Docker Engine, and the connections to it.
type engine struct {
	config *Config
	host   string // its address
	roads  *http.Transport
	asking chan struct{} // holds as many as may ask at a time
	dial   dialer        // instead of the host's own, if not nil

	// now is the client for the engine that was there last. A new engine may
	// speak another version, so each connection has a client of its own.
	now atomic.Pointer[client.Client]
}

func newEngine(c *Config) *engine {
	return &engine{config: c, host: c.host(), asking: make(chan struct{}, 16)}
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
type about struct {
	name string    // of its host; "" if it may not be asked
	time time.Time // its clock; zero if it may not be asked
}

// connect reaches the engine and agrees on an API version.
func (e *engine) connect(ctx context.Context) (about, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := e.newClient()
	if err != nil {
		return about{}, fmt.Errorf("preparing the connection to the Docker Engine at %s: %w", e.host, err)
	}
	ping, err := c.Ping(ctx)
	if err != nil {
		return about{}, e.explain(err)
	}
	c.NegotiateAPIVersionPing(ping)
	e.now.Store(c)
	info, err := c.Info(ctx)
	if errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err) {
		return about{}, nil // a proxy before the socket lets only some requests through
	}
	if err != nil {
		return about{}, e.explain(err)
	}
	then, _ := time.Parse(time.RFC3339Nano, info.SystemTime)
	return about{name: info.Name, time: then}, nil
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
	return client.NewClientWithOpts(tls, client.WithHost(host), e.share,
		client.WithVersionFromEnv(), client.WithAPIVersionNegotiation())
}

// share puts the engine's transport into a client, behind a guard that lets
// only GET requests out.
func (e *engine) share(c *client.Client) error {
	h := c.HTTPClient()
	t, ok := h.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("unexpected transport %T", h.Transport)
	}
	if e.roads == nil {
		t.DisableCompression = true // it would hold lines back
		t.WriteBufferSize = 1 << 10 // requests are short
		if e.dial != nil {
			t.DialContext = e.dial
		}
		e.roads = t
	}
	scheme := "http"
	if t.TLSClientConfig != nil || strings.HasPrefix(e.host, "https://") {
		scheme = "https"
	}
	h.Transport = getOnly{e.roads}
	return errors.Join(client.WithHTTPClient(h)(c), client.WithScheme(scheme)(c))
}

// getOnly lets only GET requests out. The client would ping by HEAD, which
// proxies that allow only reading may refuse.
type getOnly struct{ next http.RoundTripper }

func (g getOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	if r.Method != http.MethodGet {
		return nil, fmt.Errorf("refusing to send %s %s: only GET requests are made", r.Method, r.URL.Path)
	}
	return g.next.RoundTrip(r)
}

func (e *engine) close() {
	if e.roads != nil {
		e.roads.CloseIdleConnections()
	}
}

// list names all containers and tells which run.
func (e *engine) list(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	containers, err := e.now.Load().ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	running := make(map[string]bool, len(containers))
	for _, c := range containers {
		running[c.ID] = c.State == "running" || c.State == "paused"
	}
	return running, nil
}

func (e *engine) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	select {
	case e.asking <- struct{}{}:
		defer func() { <-e.asking }()
	case <-ctx.Done():
		return container.InspectResponse{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := e.now.Load().ContainerInspect(ctx, id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.Config == nil) {
		err = errors.New("the engine's answer lacks the container's state or config")
	}
	return c, err
}

// explain says what is wrong with the way to the engine, and what to do.
func (e *engine) explain(err error) error {
	path, isUnix := strings.CutPrefix(e.host, "unix://")
	switch {
	case isUnix && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("permission denied on %s: %s", path, joinGroup(path))
	case isUnix && notThere(path):
		return fmt.Errorf("there is no Docker socket at %s: start Docker, mount the socket into this container (-v %s:%s:ro), or set host", path, path, path)
	case isUnix && client.IsErrConnectionFailed(err):
		return fmt.Errorf("nobody answers on the Docker socket %s: is the Docker Engine running? (%w)", path, rootCause(err))
	}
	return fmt.Errorf("asking the Docker Engine at %s: %w", e.host, err)
}

func notThere(path string) bool {
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
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
