// Package kubernetesevents reads the events of a Kubernetes cluster: what its parts say of pods,
// nodes and other objects. One agent of a cluster reads them.
//
// # Decisions
//
//   - The position is the resource version, a number that ascends with every change in the cluster.
//     So a restart goes on behind what was delivered, and an event that occurs again is a record
//     again, with its new count.
//   - Where the server has forgotten the changes since then (410), what there is is listed, and
//     what was not delivered of it is sent: nothing twice. What came and went in between is gone.
//   - A version that is lower than what was read is another cluster's, or an older backup's: all
//     begins anew, as another source.
package kubernetesevents

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/longshore/longshore/inputs/kubernetes/kubeapi"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "kubernetes_events",
		Summary: "Reads the events of a Kubernetes cluster.",
		// A busy cluster changes some hundred times a second. The API keeps events for an hour.
		Traits: pipeline.Traits{ReserveAhead: 10_000, Ephemeral: true},
		New:    func() any { return new(Config) },
	}
}

// Config holds the settings of the input.
type Config struct {
	Namespace string         `yaml:"namespace" doc:"Namespace whose events are read; by default those of all." example:"shop"`
	ReadFrom  string         `yaml:"read_from" doc:"Where to begin at the very first start: with the events that the API still has, an hour's by default, or with those to come." default:"beginning" enum:"beginning|end"`
	API       kubeapi.Config `yaml:"api" doc:"The Kubernetes API."`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.API.Check("api")
	if strings.ContainsAny(c.Namespace, "/?# ") {
		problems = append(problems, pipeline.Problem{Path: "namespace", Message: "is not the name of a namespace"})
	}
	return problems
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return &input{config: *c, env: env}, nil
}

var _ pipeline.Examiner = (*input)(nil)

type input struct {
	config Config
	env    pipeline.Env
}

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	client, err := in.config.API.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	r := &reader{feed: feed, env: in.env, skip: in.config.ReadFrom == "end"}
	if known := feed.Known(); len(known) > 0 {
		r.id, r.next = known[0].ID, known[0].Cursor.Pos
		r.skip = r.skip && r.next == 0
	}
	if err := r.open(); err != nil {
		return err
	}
	defer func() { feed.Close(r.src, false) }()
	version := ""
	if r.next > 0 {
		version = strconv.FormatUint(r.next-1, 10)
	}
	in.env.Found("the events of a cluster")
	if err := client.Watch(ctx, in.kind(), version, r); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Examine implements pipeline.Examiner: it lists the events once.
func (in *input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	found := pipeline.Finding{What: "Kubernetes API"}
	n, err := in.count(ctx)
	if err != nil {
		found.State, found.Says = pipeline.FoundBroken, err.Error()
		found.Advice = "give it the role of docs/kubernetes.md (list and watch of events), or set api.url, " +
			"api.token_file and api.ca_file"
	} else {
		found.Says = "has " + pipeline.Count(n, "event") + " now"
	}
	tell(found)
}

func (in *input) count(ctx context.Context) (int, error) {
	client, err := in.config.API.Client()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.Count(ctx, in.kind())
}

func (in *input) kind() kubeapi.Kind {
	if in.config.Namespace != "" {
		return kubeapi.Kind{Path: "/api/v1/namespaces/" + in.config.Namespace + "/events"}
	}
	return kubeapi.Kind{Path: "/api/v1/events"}
}

// A reader makes records of events. It is a kubeapi.Handler.
type reader struct {
	feed   pipeline.Feed
	env    pipeline.Env
	id     event.SourceID
	src    *event.Source
	next   uint64 // the first version that was not sent
	skip   bool   // what the first list has
	failed bool
}

func (r *reader) open() (err error) {
	labels := []event.Label{{Name: event.LabelService, Value: "kubernetes-events"}}
	if r.src, err = r.feed.Open(r.id, "events", labels); err != nil {
		return fmt.Errorf("opening the source of events: %w", err)
	}
	r.id = r.src.ID
	return nil
}

// versionOf reads a version. The API promises no more than that it is a text; every API server
// there is writes a number.
func versionOf(text string) (uint64, error) {
	version, err := strconv.ParseUint(text, 10, 62)
	if err != nil {
		return 0, fmt.Errorf("the Kubernetes API gives the resource version %q, which is no number", text)
	}
	return version, nil
}

// List implements kubeapi.Handler.
func (r *reader) List(ctx context.Context, items []json.RawMessage, version string) error {
	now, err := versionOf(version)
	if err != nil {
		return err
	}
	if now+1 < r.next {
		r.env.Log.Warn("the cluster is another than before, or was set back: its events are read from the beginning",
			"version", now, "before", r.next-1)
		r.feed.Close(r.src, true)
		r.id, r.next = 0, 0
		if err := r.open(); err != nil {
			return err
		}
	}
	var records []record
	for _, item := range items {
		if rec, ok := r.read(item); ok && rec.version >= r.next && !r.skip {
			records = append(records, rec)
		}
	}
	r.skip = false
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(a.version, b.version) })
	for part := range slices.Chunk(records, batchRecords) {
		if err := r.send(ctx, part, part[len(part)-1].version+1); err != nil {
			return err
		}
	}
	if now+1 > r.next {
		return r.send(ctx, nil, now+1)
	}
	return nil
}

// batchRecords is how many events of a list become one batch.
const batchRecords = 200

// Change implements kubeapi.Handler.
func (r *reader) Change(ctx context.Context, what string, object json.RawMessage) error {
	rec, ok := r.read(object)
	if !ok || what == kubeapi.Deleted || rec.version < r.next {
		return nil // the API forgets an event after an hour
	}
	return r.send(ctx, []record{rec}, rec.version+1)
}

// Trouble implements kubeapi.Handler.
func (r *reader) Trouble(err error) {
	r.env.Health(err)
	if err != nil && !r.failed {
		r.env.Log.Warn("the events of the cluster cannot be read; will try again", "error", err)
	}
	r.failed = err != nil
}

func (r *reader) send(ctx context.Context, records []record, to uint64) error {
	b := r.feed.Batch(r.src)
	for _, rec := range records {
		b.Add(rec.version, rec.time, b.Put(rec.line))
	}
	b.From, b.To = r.next, to
	b.Cursor = append(b.Cursor[:0], stateVersion)
	if err := r.feed.Send(ctx, b); err != nil {
		return err
	}
	r.next = to
	return nil
}

// stateVersion is all that is stored with a position: which kind of state it is.
const stateVersion = 1

// A record is an event as it is sent.
type record struct {
	version uint64
	time    int64
	line    []byte
}

// read reads an event. What is none is left out, with a message.
func (r *reader) read(object json.RawMessage) (record, bool) {
	var e apiEvent
	err := json.Unmarshal(object, &e)
	version := uint64(0)
	if err == nil {
		version, err = versionOf(e.Metadata.ResourceVersion)
	}
	at := e.time()
	line, failed := json.Marshal(e.line(at)) // of a year that JSON's time does not have
	if err = cmp.Or(err, failed); err != nil {
		r.env.Log.Warn("an event cannot be understood", "error", err)
		return record{}, false
	}
	rec := record{version: version, line: line}
	if !at.IsZero() {
		rec.time = at.UnixNano()
	}
	return rec, true
}
