package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

// requestTimeout bounds a request that the engine answers at once.
const requestTimeout = 30 * time.Second

type dialer = dockerapi.Dialer

// An engine is the Docker Engine as this input asks it.
type engine struct {
	*dockerapi.Engine
	slots chan struct{} // bounds concurrent requests

	before23    atomic.Bool                   // older than 23.0 (API 1.42)
	clockOffset atomic.Pointer[time.Duration] // of its clock from ours; nil if unknown
}

func newEngine(c *Config) *engine {
	return &engine{
		Engine: &dockerapi.Engine{Host: dockerapi.Host(c.Host), TLS: c.TLS}, slots: make(chan struct{}, 16),
	}
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
	ping, err := e.Connect(ctx)
	if err != nil {
		return engineInfo{}, err
	}
	c := e.Client()
	e.before23.Store(versions.LessThan(cmp.Or(ping.APIVersion, c.ClientVersion()), "1.42"))
	info, err := c.Info(ctx)
	if errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err) {
		return engineInfo{}, nil // a socket proxy may allow only some requests
	}
	if err != nil {
		return engineInfo{}, e.WithAdvice(err)
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
	if strings.HasPrefix(e.Host, "unix://") {
		return time.Now().UnixNano()
	}
	return 0
}

// list returns all containers, and whether each is running.
func (e *engine) list(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	containers, err := e.Client().ContainerList(ctx, container.ListOptions{All: true})
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
	body, err := e.Client().ContainerLogs(ctx, id, options)
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
	c, err := e.Client().ContainerInspect(ctx, id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.Config == nil) {
		err = errors.New("the engine's answer lacks the container's state or config")
	}
	return c, err
}
