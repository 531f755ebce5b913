package elasticsearch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/inputs/receive"
)

// readyPath answers load balancers.
const readyPath = "/ready"

type handler struct {
	hub        *receive.Hub
	maxBody    int64
	version    string
	indexLabel string // "" for none
	labels     []labelFrom
	service    string // of documents that name none
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch") // clients go away without it
	w.Header().Set("Content-Type", answerType(r))
	path := strings.Trim(r.URL.Path, "/")
	index, isBulk := strings.CutSuffix(path, "_bulk")
	if index = strings.TrimSuffix(index, "/"); isBulk && !strings.Contains(index, "/") {
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			w.Header().Set("Allow", "POST, PUT")
			fail(w, http.StatusMethodNotAllowed, "illegal_argument_exception", "send documents by POST")
			return
		}
		h.bulk(w, r, index)
		return
	}
	h.about(w, r, path)
}

// answerType is the Content-Type of an answer: what newer clients ask for, they insist on.
func answerType(r *http.Request) string {
	if accept := r.Header.Get("Accept"); strings.HasPrefix(accept, "application/vnd.elasticsearch+json") &&
		!strings.ContainsAny(accept, ",\r\n") {
		return accept
	}
	return "application/json"
}

// bulk answers when all documents of a request are done.
func (h *handler) bulk(w http.ResponseWriter, r *http.Request, index string) {
	began := time.Now()
	body, release, err := h.hub.ReadBody(w, r, h.maxBody)
	if err != nil {
		failed(w, err)
		return
	}
	defer release()
	t := &taker{handler: h, to: h.hub.NewRequest(), index: index}
	t.to.ReleaseOnceHandedOn(release)
	if err := t.take(body); err != nil {
		failed(w, err)
		return
	}
	if err := t.to.Deliver(r.Context()); err != nil {
		failed(w, err)
		return
	}
	wanted := filterOf(r.URL.Query().Get("filter_path"))
	w.Write(t.appendAnswer(nil, time.Since(began), wanted))
}

// failed answers with an error as Elasticsearch has it. It answers nothing where nobody waits any
// more.
func failed(w http.ResponseWriter, err error) {
	status, ok := receive.StatusOf(err)
	if !ok {
		return
	}
	kind := "illegal_argument_exception"
	switch status {
	case http.StatusServiceUnavailable:
		kind = "es_rejected_execution_exception"
		w.Header().Set("Retry-After", strconv.Itoa(receive.RetryAfter))
	case http.StatusRequestEntityTooLarge:
		kind = "content_too_long_exception"
	}
	fail(w, status, kind, err.Error())
}

func fail(w http.ResponseWriter, status int, kind, reason string) {
	w.WriteHeader(status)
	text, _ := json.Marshal(map[string]any{"status": status, "error": map[string]any{
		"type": kind, "reason": reason, "root_cause": []map[string]string{{"type": kind, "reason": reason}},
	}})
	w.Write(text)
}

var errNoBody = receive.Refuse(http.StatusBadRequest, "request body is required")

func badRequest(format string, args ...any) error {
	return receive.Refuse(http.StatusBadRequest, "%s; nothing was taken", fmt.Sprintf(format, args...))
}

// about answers what senders ask before they send, and what they would set up. Nothing is kept.
func (h *handler) about(w http.ResponseWriter, r *http.Request, path string) {
	first, rest, _ := strings.Cut(path, "/")
	look := r.Method == http.MethodGet || r.Method == http.MethodHead
	answer := ""
	switch {
	case path == "" && look:
		answer = fmt.Sprintf(root, h.version)
	case path == "ready" && look:
		answer = `{"status":"ready"}`
	case first == "_license" && look:
		answer = license
	case first == "_xpack" && look:
		answer = xpack
	case path == "_cluster/health" && look:
		answer = health
	case first == "_nodes" && look, path == "_cat/indices" && look:
		answer = fmt.Sprintf(nodes, h.version)
	case isSetup(first, rest) && look:
		answer = existing(first, rest)
	case isSetup(first, rest) && (r.Method == http.MethodPut || r.Method == http.MethodPost):
		answer = `{"acknowledged":true}`
	case strings.Contains(path, "_alias") && look:
		answer = `{}`
	case r.Method == http.MethodHead && !strings.HasPrefix(path, "_"): // does an index exist
		answer = `{}`
	case !strings.Contains(path, "/") && !strings.HasPrefix(path, "_") && r.Method == http.MethodPut:
		answer = `{"acknowledged":true,"shards_acknowledged":true,"index":` + strconv.QuoteToASCII(path) + `}`
	default:
		fail(w, http.StatusBadRequest, "illegal_argument_exception",
			fmt.Sprintf("no handler found for uri [%.200s] and "+
				"method [%s]: this is Longshore, which takes documents by _bulk, and answers no queries",
				r.URL.Path, r.Method))
		return
	}
	io.WriteString(w, answer)
}

// isSetup reports whether a path is of what senders set up: nothing of it is needed here.
func isSetup(first, rest string) bool {
	switch first {
	case "_ilm", "_ingest":
		kind, name, _ := strings.Cut(rest, "/")
		return (kind == "policy" || kind == "pipeline") && !strings.Contains(name, "/")
	case "_index_template", "_template", "_component_template", "_data_stream", "_alias":
		return true
	}
	return false
}

// existing answers that something is set up, as it needs no setting up.
func existing(first, rest string) string {
	name := rest[strings.LastIndexByte(rest, '/')+1:]
	quoted, err := json.Marshal(name)
	if err != nil || name == "" || len(name) > 512 || first == "_alias" {
		return `{}`
	}
	switch first {
	case "_index_template":
		return fmt.Sprintf(`{"index_templates":[{"name":%s,"index_template":{"index_patterns":[]}}]}`, quoted)
	case "_component_template":
		return fmt.Sprintf(`{"component_templates":[{"name":%s,"component_template":{"template":{}}}]}`, quoted)
	case "_data_stream":
		return fmt.Sprintf(`{"data_streams":[{"name":%s}]}`, quoted)
	case "_ilm":
		return fmt.Sprintf(`{%s:{"version":1,"policy":{"phases":{}}}}`, quoted)
	}
	return fmt.Sprintf(`{%s:{}}`, quoted)
}

// What a small cluster with the basic license says of itself.
const (
	root = `{"name":"longshore","cluster_name":"longshore","cluster_uuid":"bG9uZ3Nob3JlLWlucHV0cw","version":` +
		`{"number":"%s","build_flavor":"default","build_type":"docker",` +
		`"build_hash":"0000000000000000000000000000000000000000",` +
		`"build_date":"2024-12-11T12:08:05.663969764Z","build_snapshot":false,"lucene_version":"9.12.0",` +
		`"minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},` +
		`"tagline":"You Know, for Search"}`
	license = `{"license":{"status":"active","uid":"00000000-0000-0000-0000-000000000000","type":"basic",` +
		`"issue_date":"2024-01-01T00:00:00.000Z","issue_date_in_millis":1704067200000,"max_nodes":1000,` +
		`"issued_to":"longshore","issuer":"longshore","start_date_in_millis":-1}}`
	xpack = `{"build":{"hash":"0000000000000000000000000000000000000000","date":"2024-12-11T12:08:05.663969764Z"},` +
		`"license":{"uid":"00000000-0000-0000-0000-000000000000","type":"basic","mode":"basic","status":"active"},` +
		`"features":{"ilm":{"available":true,"enabled":true},"security":{"available":true,"enabled":false},` +
		`"monitoring":{"available":true,"enabled":false},"logstash":{"available":false,"enabled":true}},` +
		`"tagline":"You know, for X"}`
	health = `{"cluster_name":"longshore","status":"green","timed_out":false,"number_of_nodes":1,` +
		`"number_of_data_nodes":1,` +
		`"active_primary_shards":0,"active_shards":0,"relocating_shards":0,"initializing_shards":0,` +
		`"unassigned_shards":0,` +
		`"delayed_unassigned_shards":0,"number_of_pending_tasks":0,"number_of_in_flight_fetch":0,` +
		`"task_max_waiting_in_queue_millis":0,"active_shards_percent_as_number":100.0}`
	// nodes has no addresses: who looks for other nodes keeps to this one.
	nodes = `{"_nodes":{"total":1,"successful":1,"failed":0},"cluster_name":"longshore","nodes":{"longshore":` +
		`{"name":"longshore","version":"%s","roles":["data","ingest","master"]}}}`
)

var errNoDocument = errors.New("the last action has no document behind it")
