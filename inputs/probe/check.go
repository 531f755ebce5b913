package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

// A result is what one check of one target has found.
type result struct {
	target    string
	err       error // why it is not well
	container string
	took      time.Duration
	unknown   bool // it cannot be said yet
}

// A checker checks all targets of a probe. An error is that it could not look.
type checker func(ctx context.Context) ([]result, error)

// checker returns what the config asks for. name is the target, where there is one.
func (c *Config) checker(name string, engine *dockerapi.Engine) checker {
	single := func(check func(ctx context.Context) error) checker {
		return func(ctx context.Context) ([]result, error) {
			began := time.Now()
			err := check(ctx)
			return []result{{target: name, err: err, took: time.Since(began)}}, nil
		}
	}
	switch {
	case c.HTTP.URL != "":
		return single(c.HTTP.check)
	case c.TCP != "":
		return single(func(ctx context.Context) error { return checkTCP(ctx, c.TCP) })
	case len(c.Containers.Names) > 0:
		return func(ctx context.Context) ([]result, error) { return c.Containers.check(ctx, engine) }
	}
	return single(func(context.Context) error { return c.Process.check() })
}

const maxBody = 64 << 10

func (h *HTTP) check(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return errors.New("its URL cannot be asked")
	}
	request.Header.Set("User-Agent", "longshore-probe")
	for name, value := range h.Headers {
		if request.Header.Set(name, value.Reveal()); strings.EqualFold(name, "host") {
			request.Host = value.Reveal()
		}
	}
	trust := h.TLS
	trust.InsecureSkipVerify = trust.InsecureSkipVerify || h.SkipVerify // the user's choice
	conf, err := trust.Config()
	if err != nil {
		return fmt.Errorf("it is not asked: %w", err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true, MaxResponseHeaderBytes: maxBody, TLSClientConfig: conf,
		DialTLSContext: trust.Dialer((&net.Dialer{}).DialContext),
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	answer, err := client.Do(request)
	if err != nil {
		return cause(err)
	}
	defer answer.Body.Close()
	if !h.isGood(answer.StatusCode) {
		return fmt.Errorf("it answers %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	if h.Contains == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return fmt.Errorf("reading its answer: %w", cause(err))
	}
	if !bytes.Contains(body, []byte(h.Contains)) {
		return errors.New("its answer lacks what it should contain")
	}
	return nil
}

func (h *HTTP) isGood(status int) bool {
	if len(h.Status) > 0 {
		return slices.Contains(h.Status, status)
	}
	return status >= 200 && status < 400
}

// cause leaves out the URL of an error: it may have a secret in it.
func cause(err error) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it does not answer in time")
	}
	return err
}

func checkTCP(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return cause(err)
	}
	return conn.Close()
}

var errNoProcess = errors.New("there is no such process")

func (p *Process) check() error {
	if p.PIDFile != "" {
		text, err := pipeline.ReadFile(p.PIDFile, 1<<10)
		if err != nil {
			return fmt.Errorf("reading its pid_file: %w", err)
		}
		pid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 31)
		if err != nil {
			return fmt.Errorf("%s has no number of a process in it", p.PIDFile)
		}
		if !isAlive(filepath.Join(p.Proc, strconv.FormatUint(pid, 10))) {
			return errNoProcess
		}
		return nil
	}
	entries, err := os.ReadDir(p.Proc)
	if err != nil {
		return fmt.Errorf("looking for processes: %w", err)
	}
	for _, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 31); err != nil {
			continue
		}
		dir := filepath.Join(p.Proc, e.Name())
		if name, err := pipeline.ReadFile(filepath.Join(dir, "comm"), 1<<10); err == nil &&
			strings.TrimSpace(string(name)) == p.Name[:min(len(p.Name), maxComm)] && isAlive(dir) {
			return nil
		}
	}
	return errNoProcess
}

// maxComm is how much of a program's name the kernel keeps.
const maxComm = 15

// isAlive reports whether a process is there, and more than its exit code that nobody has taken.
func isAlive(dir string) bool {
	stat, err := pipeline.ReadFile(filepath.Join(dir, "stat"), 4<<10)
	if err != nil {
		return false
	}
	rest := strings.TrimSpace(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return rest != "" && rest[0] != 'Z' && rest[0] != 'X'
}

// maxContainers bounds the targets of one probe.
const maxContainers = 1000

// check looks at the containers that run and have a health check. One that does not run is no
// target: whether it should is what its restart policy says.
func (c *Containers) check(ctx context.Context, engine *dockerapi.Engine) ([]result, error) {
	client, err := connected(ctx, engine)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	list, err := client.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", cause(err))
	}
	var results []result
	for _, one := range list {
		name := c.nameOf(one)
		if name == "" || len(results) >= maxContainers {
			continue
		}
		r := result{target: name, container: one.ID, took: time.Since(began)}
		switch {
		case strings.HasSuffix(one.Status, "(unhealthy)"):
			r.err = errors.New("its health check fails")
		case strings.HasSuffix(one.Status, "(health: starting)"):
			r.unknown = true
		case !strings.HasSuffix(one.Status, "(healthy)"):
			continue // it has no check
		}
		results = append(results, r)
	}
	return results, nil
}

// nameOf returns the name of a container that is asked for, or "".
func (c *Containers) nameOf(one container.Summary) string {
	for _, name := range one.Names {
		name = strings.TrimPrefix(name, "/")
		if slices.ContainsFunc(c.Names, func(glob string) bool { return pipeline.Match(glob, name) }) {
			return name
		}
	}
	return ""
}
