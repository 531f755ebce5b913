package elasticsearch

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// A cluster keeps templates and policies as the real ones do, and stores all records.
type cluster struct {
	noStreams, noLifecycle bool
	reject                 map[string]int // status by path

	mu   sync.Mutex
	puts []string
	kept map[string]json.RawMessage
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if status := c.reject[r.Method+" "+r.URL.Path]; status != 0 {
		says(status, `{"error":{"type":"security_exception","reason":"not for you"}}`)(w, r)
		return
	}
	unknown := says(400, `{"error":"no handler found for uri [`+r.URL.Path+`]"}`)
	switch path := r.URL.Path; {
	case path == "/_bulk":
		says(200, items(created))(w, r)
	case strings.HasPrefix(path, "/_data_stream/") && c.noStreams, strings.HasPrefix(path, "/_ilm/") && c.noLifecycle:
		unknown(w, r)
	case strings.HasPrefix(path, "/_data_stream/"):
		says(404, `{"error":{"type":"index_not_found_exception","reason":"no such index"}}`)(w, r)
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		if c.kept == nil {
			c.kept = map[string]json.RawMessage{}
		}
		c.kept[path] = body
		c.puts = append(c.puts, path)
		says(200, `{"acknowledged":true}`)(w, r)
	case c.kept[path] == nil:
		says(404, `{"error":{"type":"resource_not_found_exception","reason":"not found"}}`)(w, r)
	case strings.HasPrefix(path, "/_ilm/"):
		says(200, `{"`+path[len("/_ilm/policy/"):]+`":`+string(c.kept[path])+`}`)(w, r)
	default:
		says(200, `{"index_templates":[{"name":"x","index_template":`+string(c.kept[path])+`}]}`)(w, r)
	}
}

func (c *cluster) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	puts := c.puts
	c.puts = nil
	return puts
}

// installing returns an output that installs, and what it logs.
func installing(t *testing.T, url string, config Config) (*Output, *strings.Builder) {
	t.Helper()
	config.URLs, config.InstallTemplate = []string{url}, true
	o := output(t, config)
	var log strings.Builder
	o.setup.log = slog.New(slog.NewTextHandler(&log, nil))
	return o, &log
}

func TestInstall(t *testing.T) {
	t.Parallel()
	const (
		template = "/_index_template/longshore-logs-longshore-default"
		policy   = "/_ilm/policy/longshore-logs-longshore-default"
		dated    = "longshore-logs-any"
	)
	tests := []struct {
		name    string
		cluster *cluster
		config  Config
		puts    []string
		log     string
	}{
		{"a data stream with a policy", &cluster{}, Config{}, []string{policy, template}, ""},
		{"a data stream without policies", &cluster{noLifecycle: true}, Config{}, []string{template}, ""},
		{"retention without policies", &cluster{noLifecycle: true}, Config{Retention: 1e9}, []string{template},
			"retention is not in force"},
		{"neither", &cluster{noLifecycle: true, noStreams: true}, Config{}, []string{template}, "no data streams"},
		{"dated indices", &cluster{}, Config{Index: "logs-{yyyy}"}, []string{"/_index_template/" + dated}, ""},
		{"dated indices with retention", &cluster{}, Config{Index: "logs-{yyyy}", Retention: 1e9},
			[]string{"/_ilm/policy/" + dated, "/_index_template/" + dated}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, tt.cluster.ServeHTTP)
			for run := range 2 {
				o, log := installing(t, url, tt.config)
				for range 2 {
					if e := send(t, o, 1); e != nil {
						t.Fatal(e)
					}
				}
				want := tt.puts
				if run > 0 {
					want = nil // it is all there
				}
				if diff := cmp.Diff(want, tt.cluster.taken()); diff != "" {
					t.Errorf("run %d: put (-want +got):\n%s", run, diff)
				}
				if tt.log == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.log) {
					t.Errorf("the log says %s", log)
				}
			}
		})
	}
}

func TestWhatIsInstalled(t *testing.T) {
	t.Parallel()
	c := &cluster{}
	o, _ := installing(t, serve(t, c.ServeHTTP), Config{Retention: pipeline.Duration(48 * 3600e9), Schema: "ecs"})
	if e := send(t, o, 1); e != nil {
		t.Fatal(e)
	}
	var template struct {
		Patterns []string        `json:"index_patterns"`
		Stream   json.RawMessage `json:"data_stream"`
		Meta     meta            `json:"_meta"`
		Template struct {
			Settings struct {
				Index struct{ Lifecycle struct{ Name string } }
			}
		}
	}
	if err := json.Unmarshal(c.kept["/_index_template/longshore-logs-longshore-default"], &template); err != nil {
		t.Fatal(err)
	}
	if template.Patterns[0] != "logs-longshore-default" || template.Stream == nil ||
		template.Meta.ManagedBy != "longshore" ||
		template.Template.Settings.Index.Lifecycle.Name != "longshore-logs-longshore-default" {
		t.Errorf("the template is %+v", template)
	}
	policy := string(c.kept["/_ilm/policy/longshore-logs-longshore-default"])
	for _, part := range []string{`"delete":{"actions":{"delete":{}},"min_age":"172800s"}`,
		`"rollover":{"max_age":"30d"`, `"managed_by":"longshore"`} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
}

func TestNothingIsDeletedUnasked(t *testing.T) {
	t.Parallel()
	c := &cluster{}
	o, _ := installing(t, serve(t, c.ServeHTTP), Config{})
	if e := send(t, o, 1); e != nil {
		t.Fatal(e)
	}
	if policy := string(c.kept["/_ilm/policy/longshore-logs-longshore-default"]); strings.Contains(policy, "delete") {
		t.Errorf("the policy is %s", policy)
	}
}

func TestWhatIsThereAlready(t *testing.T) {
	t.Parallel()
	const path = "/_index_template/longshore-logs-longshore-default"
	tests := []struct {
		name, there string
		put         bool
		log         string
	}{
		{"someone else's", `{"index_patterns":["a"]}`, false, "not made by longshore"},
		{"of other settings", `{"_meta":{"managed_by":"longshore","version":1,"config":"other"}}`, true, ""},
		{"an old one", `{"_meta":{"managed_by":"longshore","version":0}}`, true, ""},
		{"a newer one", `{"_meta":{"managed_by":"longshore","version":99}}`, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{noLifecycle: true, kept: map[string]json.RawMessage{path: json.RawMessage(tt.there)}}
			o, log := installing(t, serve(t, c.ServeHTTP), Config{})
			if e := send(t, o, 1); e != nil {
				t.Fatal(e)
			}
			if put := len(c.taken()) > 0; put != tt.put {
				t.Errorf("put: %t", put)
			}
			if tt.log == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.log) {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

func TestInstallIsTriedAgain(t *testing.T) {
	t.Parallel()
	const path = "/_index_template/longshore-logs-longshore-default"
	tests := []struct {
		rejected string
		status   int
		outcome  pipeline.Outcome
	}{
		{"GET /_data_stream/logs-longshore-default", 403, pipeline.Hold},
		{"GET /_ilm/policy/longshore-logs-longshore-default", 403, pipeline.Hold},
		{"PUT " + path, 403, pipeline.Hold},
		{"PUT " + path, 400, pipeline.Hold},
		{"GET " + path, 503, pipeline.Retry},
	}
	for _, tt := range tests {
		t.Run(tt.rejected, func(t *testing.T) {
			t.Parallel()
			c := &cluster{reject: map[string]int{tt.rejected: tt.status}}
			o, _ := installing(t, serve(t, c.ServeHTTP), Config{})
			e := send(t, o, 1)
			if e == nil || e.Outcome != tt.outcome || e.Uncertain || !strings.Contains(e.Reason, "not for you") {
				t.Fatalf("got %+v", e)
			}
			c.mu.Lock()
			c.reject = nil
			c.mu.Unlock()
			if e := send(t, o, 1); e != nil {
				t.Errorf("when it is allowed: %+v", e)
			}
		})
	}
}

func TestOnlyOneInstalls(t *testing.T) {
	t.Parallel()
	c := &cluster{}
	o, _ := installing(t, serve(t, c.ServeHTTP), Config{})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if err := o.Send(t.Context(), sample(t, o, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if puts := c.taken(); len(puts) != 2 {
		t.Errorf("put %v", puts)
	}
}
