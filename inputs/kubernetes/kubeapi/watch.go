package kubeapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline/backoff"
)

const (
	maxPage   = 64 << 20 // of one answer to a list
	maxEvent  = 8 << 20  // of one change; etcd takes no object larger than 1.5 MiB
	maxError  = 4 << 10
	pageItems = 500
	// watchFor is how long the server is asked to keep a watch up.
	watchFor = 5 * time.Minute

	pauseMin = 500 * time.Millisecond
	pauseMax = 30 * time.Second
)

// A Kind of objects to be watched.
type Kind struct {
	Path          string // /api/v1/pods
	FieldSelector string
	// MetadataOnly has the server leave out all but the objects' metadata.
	MetadataOnly bool
}

// A Handler gets what is watched. Its methods are called one after the other; an error of them ends
// the watch.
type Handler interface {
	// List is called with all objects that there are at a version.
	List(ctx context.Context, items []json.RawMessage, version string) error
	// Change is called with an object that was added, modified or deleted.
	Change(ctx context.Context, what string, object json.RawMessage) error
	// Trouble is called with why the API cannot be asked, and with nil when it can be again.
	Trouble(err error)
}

// The kinds of changes.
const (
	Added    = "ADDED"
	Modified = "MODIFIED"
	Deleted  = "DELETED"
)

// A handlerError is an error of a Handler.
type handlerError struct{ error }

func (e handlerError) Unwrap() error { return e.error }

// errExpired says that the server does not know a version any more.
var errExpired = errors.New("the API server has forgotten the changes since then")

// Watch lists objects and then watches them until ctx ends or the handler fails. With a version it
// begins with the changes after that, if the server still has them.
func (c *Client) Watch(ctx context.Context, kind Kind, version string, h Handler) error {
	var failures backoff.Failures
	for ctx.Err() == nil {
		var err error
		if version == "" {
			version, err = c.list(ctx, kind, h)
			if err == nil {
				h.Trouble(nil)
			}
		}
		began := time.Now()
		if err == nil {
			version, err = c.watch(ctx, kind, version, h)
		}
		var failed handlerError
		if _, is := errors.AsType[refusal](err); is {
			version = ""
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &failed):
			return failed.error
		case errors.Is(err, errExpired):
			version = ""
		case err != nil:
			h.Trouble(err)
		}
		if err == nil || time.Since(began) > watchFor/2 {
			failures.Reset()
		}
		if err != nil && !errors.Is(err, errExpired) || time.Since(began) < pauseMin {
			if backoff.Sleep(ctx, failures.Next(pauseMin, pauseMax), nil) != nil {
				return nil
			}
		}
	}
	return nil
}

// List has the handler know all objects, once.
func (c *Client) List(ctx context.Context, kind Kind, h Handler) error {
	_, err := c.list(ctx, kind, h)
	return err
}

// Count returns how many objects a list has.
func (c *Client) Count(ctx context.Context, kind Kind) (int, error) {
	var n counter
	err := c.List(ctx, kind, &n)
	return int(n), err
}

type counter int

func (c *counter) List(_ context.Context, items []json.RawMessage, _ string) error {
	*c += counter(len(items))
	return nil
}
func (*counter) Change(context.Context, string, json.RawMessage) error { return nil }
func (*counter) Trouble(error)                                         {}

type listAnswer struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// list has the handler know all objects, and returns the version that they are of.
func (c *Client) list(ctx context.Context, kind Kind, h Handler) (version string, err error) {
	var items []json.RawMessage
	query := kind.query()
	query.Set("limit", strconv.Itoa(pageItems))
	for {
		var page listAnswer
		if err := c.get(ctx, kind.Path, query, kind.accept("PartialObjectMetadataList"), &page); err != nil {
			return "", err
		}
		items = append(items, page.Items...)
		version = page.Metadata.ResourceVersion
		if page.Metadata.Continue == "" {
			break
		}
		query.Set("continue", page.Metadata.Continue)
	}
	if err := h.List(ctx, items, version); err != nil {
		return "", handlerError{err}
	}
	return version, nil
}

func (k Kind) query() url.Values {
	query := url.Values{}
	if k.FieldSelector != "" {
		query.Set("fieldSelector", k.FieldSelector)
	}
	return query
}

// accept prefers metadata where that is all that is needed.
func (k Kind) accept(as string) string {
	if !k.MetadataOnly {
		return "application/json"
	}
	return "application/json;as=" + as + ";g=meta.k8s.io;v=v1,application/json"
}

func (c *Client) get(ctx context.Context, path string, query url.Values, accept string, into any) error {
	req, err := c.request(ctx, path, query, accept)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the Kubernetes API: %w", err)
	}
	defer resp.Body.Close()
	if err := refused(resp, path); err != nil {
		return err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(into); err != nil {
		return fmt.Errorf("reading what the Kubernetes API answers at %s: %w", path, err)
	}
	return nil
}

// A refusal is an answer that is none. That to a watch may be about its version: a server that was
// set back to a backup does not know one that is to come.
type refusal struct{ error }

// refused returns the error of an answer that is none.
func refused(resp *http.Response, path string) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	if resp.StatusCode == http.StatusGone {
		return errExpired
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // as much as there is
	var status struct {
		Message string `json:"message"`
	}
	says := strings.TrimSpace(string(text))
	if json.Unmarshal(text, &status) == nil && status.Message != "" {
		says = status.Message
	}
	advice := ""
	if resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized {
		advice = "; its service account needs a role to list and watch it (docs/kubernetes.md)"
	}
	return refusal{fmt.Errorf("the Kubernetes API refuses %s: %s: %q%s", path, resp.Status, says, advice)}
}

type change struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

type objectVersion struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Code    int    `json:"code"` // of an error
	Message string `json:"message"`
}

// watch hands on changes until the server ends them, and returns the version that it has come to.
func (c *Client) watch(ctx context.Context, kind Kind, version string, h Handler) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, watchFor+time.Minute) // of a connection that is dead
	defer cancel()
	query := kind.query()
	query.Set("watch", "1")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", version)
	query.Set("timeoutSeconds", strconv.Itoa(int(watchFor/time.Second)))
	req, err := c.request(ctx, kind.Path, query, kind.accept("PartialObjectMetadata"))
	if err != nil {
		return version, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return version, fmt.Errorf("watching by the Kubernetes API: %w", err)
	}
	defer resp.Body.Close()
	if err := refused(resp, kind.Path); err != nil {
		return version, err
	}
	h.Trouble(nil)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if version, err = handle(ctx, lines.Bytes(), version, h); err != nil {
			return version, err
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return version, fmt.Errorf("watching by the Kubernetes API: %w", err)
	}
	return version, nil
}

// handle handles one line of a watch.
func handle(ctx context.Context, line []byte, version string, h Handler) (string, error) {
	var got change
	if len(bytes.TrimSpace(line)) == 0 {
		return version, nil
	}
	if err := json.Unmarshal(line, &got); err != nil {
		return version, fmt.Errorf("reading a change that the Kubernetes API tells of: %w", err)
	}
	var object objectVersion
	if err := json.Unmarshal(got.Object, &object); err != nil {
		return version, fmt.Errorf("reading an object that the Kubernetes API tells of: %w", err)
	}
	switch got.Type {
	case Added, Modified, Deleted:
		if err := h.Change(ctx, got.Type, bytes.Clone(got.Object)); err != nil {
			return version, handlerError{err}
		}
	case "BOOKMARK":
	case "ERROR":
		if object.Code == http.StatusGone {
			return version, errExpired
		}
		return version, fmt.Errorf("the Kubernetes API ends the watch: %d: %q", object.Code, object.Message)
	default:
		return version, nil // of a later version of the API
	}
	if v := object.Metadata.ResourceVersion; v != "" {
		version = v
	}
	return version, nil
}
