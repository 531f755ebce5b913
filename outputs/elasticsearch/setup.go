package elasticsearch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	managedBy = "longshore"
	// setupVersion is raised whenever what is installed changes.
	setupVersion = 1
	// templatePriority is above Elasticsearch's own "logs" (100) and below those of Elastic Agent's
	// integrations (200): equal priorities of overlapping templates are rejected.
	templatePriority = 150
)

// A setup installs the index template, and the lifecycle policy if the server supports those,
// before the first record is sent. What exists and was not made by longshore is left as it is.
type setup struct {
	wire      *wire
	log       *slog.Logger
	index     *index
	schema    event.Schema
	retention time.Duration

	done atomic.Bool
	lock chan struct{} // holds one element while unlocked
}

func newSetup(w *wire, log *slog.Logger, x *index, schema event.Schema, retention pipeline.Duration) *setup {
	s := &setup{wire: w, log: log, index: x, schema: schema, retention: time.Duration(retention),
		lock: make(chan struct{}, 1)}
	s.lock <- struct{}{}
	return s
}

// ensure installs what is missing, once.
func (s *setup) ensure(ctx context.Context) error {
	if s.done.Load() {
		return nil
	}
	select {
	case <-s.lock:
	case <-ctx.Done():
		return &pipeline.SendError{Outcome: pipeline.Retry,
			Reason: "waiting for the index template: " + ctx.Err().Error(), Err: ctx.Err()}
	}
	defer func() { s.lock <- struct{}{} }()
	if s.done.Load() {
		return nil
	}
	if err := s.install(ctx); err != nil {
		return err
	}
	s.done.Store(true)
	return nil
}

func (s *setup) install(ctx context.Context) error {
	streams, err := s.hasDataStreams(ctx)
	if err != nil {
		return err
	}
	if !streams && !s.index.dated {
		s.log.Warn("the server has no data streams; the index template makes a plain index, which grows without end",
			"hint", "put a date such as {yyyy.MM.dd} into index")
	}
	policy, err := s.installPolicy(ctx, streams && !s.index.dated)
	if err != nil {
		return err
	}
	template := s.template(streams && !s.index.dated, policy)
	return s.put(ctx, "/_index_template/"+s.name(), template, s.templateMeta)
}

// name is that of the template and of the policy.
func (s *setup) name() string {
	return managedBy + "-" + strings.ReplaceAll(s.index.pattern(), "*", "any")
}

// hasDataStreams asks the server; one without them does not know the path.
func (s *setup) hasDataStreams(ctx context.Context) (bool, error) {
	resp, body, err := s.request(ctx, http.MethodGet, "/_data_stream/"+s.index.pattern(), nil)
	if err != nil {
		return false, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
		return true, nil
	case http.StatusBadRequest, http.StatusMethodNotAllowed:
		return false, nil
	}
	return false, s.setupError("looking for data streams", resp, body)
}

// installPolicy returns the name of the lifecycle policy, or "" if there is none.
func (s *setup) installPolicy(ctx context.Context, rollover bool) (string, error) {
	if !rollover && s.retention == 0 {
		return "", nil
	}
	path := "/_ilm/policy/" + s.name()
	resp, body, err := s.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	// Elasticsearch answers 404 for a missing policy, others for an unknown path.
	p, _ := readProblem(body)
	switch {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode == http.StatusNotFound && p.errorType == "resource_not_found_exception":
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusMethodNotAllowed,
		resp.StatusCode == http.StatusNotFound:
		s.warnNoLifecycle()
		return "", nil
	default:
		return "", s.setupError("looking for the lifecycle policy "+s.name(), resp, body)
	}
	return s.name(), s.put(ctx, path, s.policy(rollover), s.policyMeta)
}

func (s *setup) warnNoLifecycle() {
	if s.retention != 0 {
		s.log.Warn("the server has no lifecycle policies; retention is not in force, nothing is deleted",
			"hint", "on OpenSearch, make an ISM policy for "+s.index.pattern())
	}
}

type object = map[string]any

// policy rolls an index over at a manageable size, and deletes it only if there is a retention.
func (s *setup) policy(rollover bool) object {
	phases := object{}
	hot := object{}
	if rollover {
		hot["rollover"] = object{"max_age": "30d", "max_primary_shard_size": "50gb"}
	}
	phases["hot"] = object{"min_age": "0ms", "actions": hot}
	if s.retention != 0 {
		phases["delete"] = object{
			"min_age": fmt.Sprintf("%ds", int64(s.retention/time.Second)),
			"actions": object{"delete": object{}},
		}
	}
	return object{"policy": object{"phases": phases}}
}

func (s *setup) template(stream bool, policy string) object {
	settings := object{
		// A malformed number costs that field, not the document.
		"mapping": object{"ignore_malformed": true},
	}
	if policy != "" {
		settings["lifecycle"] = object{"name": policy}
	}
	template := object{
		"index_patterns": []string{s.index.pattern()},
		"priority":       templatePriority,
		"template": object{
			"settings": object{"index": settings},
			"mappings": s.mappings(),
		},
	}
	if stream {
		template["data_stream"] = object{}
	}
	return template
}

func (s *setup) mappings() object {
	keyword := object{"type": "keyword", "ignore_above": 1024}
	properties := object{
		"@timestamp": object{"type": "date", "ignore_malformed": false},
		"message":    object{"type": "text"},
	}
	own := map[string]object{
		"timestamp": {"type": "date_nanos"},
		"level":     keyword,
		"service":   keyword,
		"trace_id":  keyword,
		"span_id":   keyword,
		"truncated": {"type": "boolean"},
	}
	switch s.schema {
	case event.OTel:
		delete(properties, "message")
		own = map[string]object{
			"body":            {"properties": object{"text": object{"type": "text"}}},
			"severity_text":   keyword,
			"severity_number": {"type": "byte"},
			"trace_id":        keyword,
			"span_id":         keyword,
		}
	case event.ECS:
		own = map[string]object{"error": {"properties": object{
			"message":     object{"type": "text"},
			"stack_trace": object{"type": "text"},
		}}}
	}
	for name, mapping := range own {
		properties[name] = mapping
	}
	return object{
		"date_detection": false, // or a text that once looks like a date would make others fail
		"dynamic_templates": []object{
			{"text": object{"match_mapping_type": "string", "mapping": keyword}},
		},
		"properties": properties,
	}
}

// meta identifies our template and our policy.
type meta struct {
	ManagedBy string `json:"managed_by"`
	Version   int    `json:"version"`
	Config    string `json:"config"` // a hash of the definition
}

// put installs a template or a policy, unless it is up to date or not ours. find returns the meta
// in the server's answer.
func (s *setup) put(ctx context.Context, path string, definition object, find func(answer []byte) (meta, error)) error {
	plain, err := json.Marshal(definition)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	sum := sha256.Sum256(plain)
	want := meta{managedBy, setupVersion, hex.EncodeToString(sum[:8])}
	outdated, err := s.outdated(ctx, path, want, find)
	if err != nil || !outdated {
		return err
	}
	inner := definition
	if policy, ok := definition["policy"].(object); ok {
		inner = policy
	}
	inner["_meta"] = want
	body, err := json.Marshal(definition)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	resp, answer, err := s.request(ctx, http.MethodPut, path, body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return s.setupError("installing "+path, resp, answer)
	}
	return nil
}

// outdated reports whether what exists is to be replaced.
func (s *setup) outdated(ctx context.Context, path string, want meta, find func([]byte) (meta, error)) (bool, error) {
	resp, answer, err := s.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return false, err
	}
	switch resp.StatusCode {
	case http.StatusNotFound:
		return true, nil
	case http.StatusOK:
	default:
		return false, s.setupError("looking for "+path, resp, answer)
	}
	have, err := find(answer)
	if err != nil {
		return false, &pipeline.SendError{Outcome: pipeline.Hold,
			Reason: fmt.Sprintf("looking for %s: the answer cannot be read: %v", path, err), Err: err}
	}
	if have.ManagedBy != managedBy {
		s.log.Warn("it is there already and was not made by longshore; it is left as it is", "path", path)
		return false, nil
	}
	return have.Version < want.Version || have.Version == want.Version && have.Config != want.Config, nil
}

func (s *setup) templateMeta(answer []byte) (meta, error) {
	var found struct {
		Templates []struct {
			Template struct {
				Meta meta `json:"_meta"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return meta{}, err
	}
	if len(found.Templates) == 0 {
		return meta{}, fmt.Errorf("it names no template")
	}
	return found.Templates[0].Template.Meta, nil
}

func (s *setup) policyMeta(answer []byte) (meta, error) {
	var found map[string]struct {
		Policy struct {
			Meta meta `json:"_meta"`
		} `json:"policy"`
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return meta{}, err
	}
	return found[s.name()].Policy.Meta, nil
}

func (s *setup) request(ctx context.Context, method, path string, body []byte) (*http.Response, []byte, error) {
	resp, answer, err := s.wire.do(ctx, method, path, body)
	if err != nil {
		failure := httpclient.RequestError(err)
		failure.Uncertain = false // no record is on its way yet
		return nil, nil, failure
	}
	return resp, answer, nil
}

// setupError is an error that will pass, or one that only the operator can fix.
func (s *setup) setupError(doing string, resp *http.Response, body []byte) *pipeline.SendError {
	e := requestError(resp, body)
	e.Uncertain = false
	if e.Outcome != pipeline.Retry {
		e.Outcome = pipeline.Hold
	}
	e.Reason = doing + ": " + e.Reason
	return e
}
