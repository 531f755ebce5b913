package resources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

const (
	// maxContainers bounds what one reading costs; those that were created first are left out.
	maxContainers = 1000
	// listInterval is how often all are listed, in case that an event was lost.
	listInterval = 5 * time.Minute
	listTimeout  = 30 * time.Second
	asking       = 8 // requests at a time

	firstPause, longPause = time.Second, 30 * time.Second
)

// A watched container has what is known of one, from its inspection.
type watched struct {
	c      container.InspectResponse
	labels labels
	stale  bool // something has happened to it
	place  place
	byAPI  bool // its files are not to be found
}

// containers knows the containers of an engine, and reads what they use.
type containers struct {
	config config.Watch
	log    *slog.Logger
	engine *dockerapi.Engine
	groups *cgroups
	labels map[string]string // metrics' names of labels by the container's

	mu      sync.Mutex
	known   map[string]*watched
	left    int // containers beyond maxContainers
	up      bool
	problem string // that was logged last

	writing sync.Mutex // of one reading at a time
	noted   func()     // for tests: something new is known; nil otherwise
}

func newContainers(o Options) *containers {
	cs := &containers{
		config: o.Config, log: o.Log, known: map[string]*watched{}, labels: map[string]string{},
		engine: &dockerapi.Engine{
			Host: dockerapi.Host(o.Config.Docker.Host), TLS: o.Config.Docker.TLS, Dial: o.Dial,
		},
		groups: newCgroups(o.Config.Proc, o.Config.Sys), noted: o.Noted,
	}
	taken := map[string]bool{}
	for _, name := range o.Config.Labels {
		if as := labelName(name); !taken[as] {
			taken[as], cs.labels[name] = true, as
		}
	}
	return cs
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// labelName returns cAdvisor's name for a container's label.
func labelName(name string) string {
	return "container_label_" + notInLabels.ReplaceAllString(name, "_")
}

// run follows the engine's events until ctx ends.
func (cs *containers) run(ctx context.Context) {
	var pauses backoff.Failures
	for ctx.Err() == nil {
		began := time.Now()
		err := cs.session(ctx)
		if ctx.Err() != nil {
			return
		}
		cs.away(err)
		if time.Since(began) > time.Minute {
			pauses.Reset()
		}
		_ = backoff.Sleep(ctx, pauses.Next(firstPause, longPause), nil)
	}
}

// away notes that the engine is not there: nothing is known of its containers then.
func (cs *containers) away(err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.up, cs.known = false, map[string]*watched{}
	if err != nil && err.Error() != cs.problem {
		cs.problem = err.Error()
		cs.log.Warn("containers have no metrics for now", "error", err)
	}
}

// follows are the events after which a container is another one. Those of its health checks'
// processes come all the time.
var follows = filters.NewArgs(filters.Arg("type", "container"),
	filters.Arg("event", "create"), filters.Arg("event", "start"), filters.Arg("event", "die"),
	filters.Arg("event", "died"), filters.Arg("event", "destroy"), filters.Arg("event", "remove"),
	filters.Arg("event", "rename"), filters.Arg("event", "pause"), filters.Arg("event", "unpause"),
	filters.Arg("event", "update"), filters.Arg("event", "restart"), filters.Arg("event", "stop"),
	filters.Arg("event", "health_status"))

// session follows one connection to the engine.
func (cs *containers) session(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, listTimeout)
	_, err := cs.engine.Connect(connecting)
	cancel()
	if err != nil {
		return err
	}
	if err := cs.list(ctx); err != nil { // Podman may answer to the next request only when something happens
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	messages, failed := cs.engine.Client().Events(ctx, events.ListOptions{Filters: follows})
	defer func() {
		stop()
		for range failed { // until the client's goroutine has ended
		}
	}()
	if err := cs.list(ctx); err != nil {
		return err
	}
	again := time.NewTicker(listInterval)
	defer again.Stop()
	for {
		select {
		case m := <-messages:
			cs.happened(m.Actor.ID, string(m.Action))
		case <-again.C:
			if err := cs.list(ctx); err != nil {
				return err
			}
		case err := <-failed:
			return fmt.Errorf("following the events of the Docker Engine at %s: %w", cs.engine.Host, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// happened notes that something has happened to a container.
func (cs *containers) happened(id, action string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	w := cs.known[id]
	switch {
	case action == "destroy" || action == "remove":
		delete(cs.known, id)
	case w != nil:
		w.stale = true
	case len(cs.known) < maxContainers:
		cs.known[id] = &watched{stale: true}
	}
	cs.note()
}

// list finds all containers; each is inspected when somebody asks.
func (cs *containers) list(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	all, err := cs.engine.Client().ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return fmt.Errorf("listing the containers of the Docker Engine at %s: %w", cs.engine.Host, err)
	}
	slices.SortFunc(all, func(a, b container.Summary) int { return cmp.Compare(b.Created, a.Created) })
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.left = max(0, len(all)-maxContainers)
	before := cs.known
	cs.known, cs.up, cs.problem = map[string]*watched{}, true, ""
	for _, c := range all[:min(len(all), maxContainers)] {
		w := before[c.ID]
		if w == nil {
			w = &watched{}
		}
		w.stale = true
		cs.known[c.ID] = w
	}
	cs.note()
	return nil
}

func (cs *containers) note() {
	if cs.noted != nil {
		cs.noted()
	}
}

// A view is one container as one reading has it.
type view struct {
	id string
	*watched
	usage usage
}

// write adds the series of all containers.
func (cs *containers) write(ctx context.Context, p *page, now time.Time) {
	cs.writing.Lock()
	defer cs.writing.Unlock()
	cs.mu.Lock()
	up, left := cs.up, cs.left
	var views []*view
	for id, w := range cs.known {
		views = append(views, &view{id: id, watched: w})
	}
	cs.mu.Unlock()
	p.gauge("longshore_watch_engine_up", "1 if the Docker Engine answers that knows the containers, 0 if not.",
		number(up), nil)
	if !up {
		return
	}
	p.gauge("longshore_watch_containers_left_out", "Containers beyond the thousand that have metrics.",
		float64(left), nil)
	slices.SortFunc(views, func(a, b *view) int { return strings.Compare(a.id, b.id) })
	atOnce(views, func(v *view) bool { return cs.isStale(v) }, func(v *view) { cs.inspect(ctx, v) })
	byFiles := 0
	for _, v := range views {
		if cs.readFiles(ctx, v) {
			byFiles++
		}
	}
	atOnce(views, func(v *view) bool { return v.byAPI && v.runs() }, func(v *view) { cs.readAPI(ctx, v) })
	p.gauge("longshore_watch_containers_read_from_files",
		"Containers whose numbers are read from the kernel's files and not by the engine.", float64(byFiles), nil)
	for _, v := range views {
		if v.labels != nil {
			cs.writeContainer(p, v, now)
		}
	}
}

// atOnce does something for some of the views, a few at a time.
func atOnce(views []*view, which func(*view) bool, do func(*view)) {
	slots := make(chan struct{}, asking)
	var running sync.WaitGroup
	for _, v := range views {
		if !which(v) {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			do(v)
			<-slots
		})
	}
	running.Wait()
}

func (cs *containers) isStale(v *view) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return v.stale
}

// inspect asks the engine about a container.
func (cs *containers) inspect(ctx context.Context, v *view) {
	cs.mu.Lock()
	v.stale = false // what happens from now on makes it so again
	cs.mu.Unlock()
	c, err := cs.engine.Client().ContainerInspect(ctx, v.id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.Config == nil || c.HostConfig == nil) {
		err = errors.New("the engine's answer lacks the container's state or config")
	}
	if err != nil {
		cs.mu.Lock()
		defer cs.mu.Unlock()
		v.labels = nil
		if v.stale = true; errdefs.IsNotFound(err) {
			delete(cs.known, v.id)
		}
		return
	}
	v.c, v.place, v.byAPI = c, place{}, cs.config.Mode == "api"
	if v.runs() && !v.byAPI {
		if v.place, err = cs.groups.find(v.id, c.State.Pid); err != nil {
			v.byAPI = cs.config.Mode == "auto"
		}
	}
	v.labels = cs.labelsOf(v)
}

func (v *view) runs() bool { return v.c.ContainerJSONBase != nil && v.c.State.Running }

// labelsOf returns the labels that all series of a container have.
func (cs *containers) labelsOf(v *view) labels {
	namesAndValues := []string{
		"id", cmp.Or(v.place.id, "/docker/"+v.id), "name", strings.TrimPrefix(v.c.Name, "/"), "image", v.c.Config.Image,
	}
	for label, as := range cs.labels {
		if value := v.c.Config.Labels[label]; value != "" {
			namesAndValues = append(namesAndValues, as, value)
		}
	}
	return pairs(namesAndValues...)
}

// readFiles reads the files of a container, and reports whether it did. Where they are gone, it was
// started anew or has ended.
func (cs *containers) readFiles(ctx context.Context, v *view) bool {
	if !v.runs() || v.byAPI || v.place.folders == nil {
		return false
	}
	var err error
	for range 2 {
		if v.usage, err = cs.groups.read(v.place); err == nil {
			err = cs.readNetwork(v)
		}
		if err == nil {
			return true
		}
		cs.inspect(ctx, v)
		if !v.runs() || v.place.folders == nil {
			return false
		}
	}
	return v.usage.cpu != nil
}

// readNetwork reads the network of a container that has one of its own.
func (cs *containers) readNetwork(v *view) (err error) {
	mode := v.c.HostConfig.NetworkMode
	if mode.IsContainer() || mode.IsHost() {
		return nil
	}
	v.usage.network, err = cs.groups.network(v.c.State.Pid)
	return err
}

// states are those that the engine has for a container.
var states = []container.ContainerState{
	container.StateCreated, container.StateRunning, container.StatePaused, container.StateRestarting,
	container.StateRemoving, container.StateExited, container.StateDead,
}
