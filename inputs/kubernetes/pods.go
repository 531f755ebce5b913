package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/inputs/kubernetes/kubeapi"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// optionPrefix is that of the annotations by which a pod chooses how its logs are taken.
const optionPrefix = "longshore/"

// The annotations beside those of pipeline.SourceOptions.
const (
	optionEnable  = "enable"
	optionService = "service"
)

// configHash is the uid that a static pod has in its path.
const configHash = "kubernetes.io/config.hash"

// maxDeleted bounds how many deleted pods are remembered; maxAsked, how many that are not known.
const (
	maxDeleted = 2000
	maxAsked   = 10_000
)

// missing is how long a pod may not be known to a watch that works: one that was deleted before
// the watch began never will be.
const missing = 2 * time.Second

// A pod is what is known of a pod beside its path.
type pod struct {
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// pods are those of the node, as far as the API has told. They are the guide of the files' input.
type pods struct {
	root             string
	node             string
	include, exclude Match
	labels           []string // patterns
	annotations      []string
	asks             bool // the API is asked
	wait             time.Duration
	own              string // NAMESPACE/POD of this agent; "" where it is in none

	mu      sync.Mutex
	known   map[string]*pod // by uid, or by configHash
	deleted []string        // the keys of those in known, oldest first
	synced  bool            // the watch works
	asked   map[string]time.Time
}

func newPods(c *Config, node string, asks bool) *pods {
	p := &pods{
		root: filepath.Clean(c.Root), node: node, include: c.Include, exclude: c.Exclude,
		labels: c.PodLabels, annotations: c.Annotations, asks: asks, wait: time.Duration(c.API.Wait),
		known: map[string]*pod{}, asked: map[string]time.Time{},
	}
	if namespace, name := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME"); namespace != "" && name != "" {
		p.own = namespace + "/" + name
	}
	return p
}

// A place is what a log's path says.
type place struct{ namespace, pod, uid, container, restarts string }

// placeOf reads a path: ROOT/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log. None of the names has an
// underscore in it.
func (p *pods) placeOf(path string) (place, bool) {
	rest, ok := strings.CutPrefix(path, p.root+"/")
	if !ok {
		return place{}, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return place{}, false
	}
	names := strings.Split(parts[0], "_")
	if len(names) != 3 || slices.Contains(names, "") {
		return place{}, false
	}
	restarts, _, _ := strings.Cut(parts[2], ".")
	return place{namespace: names[0], pod: names[1], uid: names[2], container: parts[1], restarts: restarts}, true
}

// Choose implements file.Guide.
func (p *pods) Choose(path string) file.Choice {
	at, ok := p.placeOf(path)
	if !ok {
		return file.Take
	}
	if p.own == at.namespace+"/"+at.pod || p.exclude.placeMatches(at) || !p.include.mayMatch(at) {
		return file.Leave
	}
	known, decided := p.find(at.uid)
	if !decided {
		return file.Wait
	}
	if strings.EqualFold(known.option(at.container, optionEnable), "false") || p.exclude.labelMatches(known) ||
		len(p.include.Labels) > 0 && !p.include.labelMatches(known) {
		return file.Leave
	}
	return file.Take
}

// find returns what is known of a pod, nil if nothing is. It reports false where that may yet
// change.
func (p *pods) find(uid string) (known *pod, decided bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known = p.known[uid]; known != nil || !p.asks {
		return known, true
	}
	since, again := p.asked[uid]
	if !again {
		if len(p.asked) >= maxAsked {
			clear(p.asked)
		}
		since = time.Now()
		p.asked[uid] = since
	}
	limit := p.wait
	if p.synced {
		limit = min(limit, missing)
	}
	return nil, time.Since(since) >= limit
}

// Labels implements file.Guide.
func (p *pods) Labels(path string) []event.Label {
	labels := []event.Label{{Name: event.LabelHost, Value: p.node}, {Name: event.LabelNode, Value: p.node}}
	at, ok := p.placeOf(path)
	if !ok {
		return append(labels, event.Label{Name: event.LabelFile, Value: path})
	}
	known, _ := p.find(at.uid)
	labels = append(labels,
		event.Label{Name: event.LabelNamespace, Value: at.namespace},
		event.Label{Name: event.LabelPod, Value: at.pod},
		event.Label{Name: event.LabelPodUID, Value: at.uid},
		event.Label{Name: event.LabelContainerName, Value: at.container},
		event.Label{Name: event.LabelRestarts, Value: at.restarts},
		event.Label{Name: event.LabelService, Value: known.service(at)},
		event.Label{Name: pipeline.OptionWrapped, Value: "cri"},
	)
	for _, option := range pipeline.SourceOptions {
		name := strings.TrimPrefix(option, "longshore.")
		if value := known.option(at.container, name); value != "" {
			labels = append(labels, event.Label{Name: option, Value: value})
		}
	}
	if known != nil {
		labels = appendChosen(labels, "k8s.pod.label.", known.Labels, p.labels)
		labels = appendChosen(labels, "k8s.pod.annotation.", known.Annotations, p.annotations)
	}
	return labels
}

// appendChosen appends those of a pod's labels or annotations that the config asks for.
func appendChosen(labels []event.Label, prefix string, all map[string]string, chosen []string) []event.Label {
	for name, value := range all {
		if pipeline.MatchAny(chosen, name) {
			labels = append(labels, event.Label{Name: prefix + strings.ReplaceAll(name, ".", "_"), Value: value})
		}
	}
	return labels
}

// option returns the value of an annotation, which may be for one container: longshore/parser.web.
func (k *pod) option(container, name string) string {
	if k == nil {
		return ""
	}
	if value, ok := k.Annotations[optionPrefix+name+"."+container]; ok {
		return value
	}
	return k.Annotations[optionPrefix+name]
}

// serviceLabels are those that name a pod's service, the best first.
var serviceLabels = [...]string{"app.kubernetes.io/name", "app", "k8s-app"}

// service returns the service by the pod's own annotation or labels; else the container's name.
func (k *pod) service(at place) string {
	if own := k.option(at.container, optionService); own != "" {
		return own
	}
	if k != nil {
		for _, name := range serviceLabels {
			if value := k.Labels[name]; value != "" {
				return value
			}
		}
	}
	return at.container
}

// placeMatches reports whether any list matches what a path says.
func (m *Match) placeMatches(at place) bool {
	return pipeline.MatchAny(m.Namespaces, at.namespace) || pipeline.MatchAny(m.Pods, at.pod) ||
		pipeline.MatchAny(m.Containers, at.container)
}

// mayMatch reports whether each list that is not empty matches, as far as a path says.
func (m *Match) mayMatch(at place) bool {
	return (len(m.Namespaces) == 0 || pipeline.MatchAny(m.Namespaces, at.namespace)) &&
		(len(m.Pods) == 0 || pipeline.MatchAny(m.Pods, at.pod)) &&
		(len(m.Containers) == 0 || pipeline.MatchAny(m.Containers, at.container))
}

func (m *Match) labelMatches(k *pod) bool {
	return k != nil && slices.ContainsFunc(m.Labels, func(pattern string) bool {
		key, value, withValue := strings.Cut(pattern, "=")
		for name, has := range k.Labels {
			if pipeline.Match(key, name) && (!withValue || pipeline.Match(value, has)) {
				return true
			}
		}
		return false
	})
}

// readPod returns a pod of the API, and the key that its path has.
func readPod(object json.RawMessage) (key string, k *pod, err error) {
	var got struct {
		Metadata pod `json:"metadata"`
	}
	if err := json.Unmarshal(object, &got); err != nil {
		return "", nil, fmt.Errorf("reading a pod of the Kubernetes API: %w", err)
	}
	key = got.Metadata.UID
	if hash := got.Metadata.Annotations[configHash]; hash != "" {
		key = hash
	}
	return key, &got.Metadata, nil
}

// List implements kubeapi.Handler.
func (p *pods) List(_ context.Context, items []json.RawMessage, _ string) error {
	there := map[string]*pod{}
	for _, item := range items {
		if key, k, err := readPod(item); err == nil && key != "" {
			there[key] = k
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.known {
		if there[key] == nil {
			p.deleteLocked(key)
		}
	}
	for key, k := range there {
		p.addLocked(key, k)
	}
	return nil
}

// Change implements kubeapi.Handler.
func (p *pods) Change(_ context.Context, what string, object json.RawMessage) error {
	key, k, err := readPod(object)
	if err != nil || key == "" {
		return nil // it is no pod that a path could have
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addLocked(key, k)
	if what == kubeapi.Deleted {
		p.deleteLocked(key)
	}
	return nil
}

// Trouble implements kubeapi.Handler.
func (p *pods) Trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.synced = err == nil
}

func (p *pods) addLocked(key string, k *pod) {
	p.known[key] = k
	delete(p.asked, key)
	if i := slices.Index(p.deleted, key); i >= 0 {
		p.deleted = slices.Delete(p.deleted, i, i+1)
	}
}

// deleteLocked remembers a pod as deleted, and forgets the one that was deleted longest ago.
func (p *pods) deleteLocked(key string) {
	if slices.Contains(p.deleted, key) {
		return
	}
	p.deleted = append(p.deleted, key)
	if len(p.deleted) > maxDeleted {
		delete(p.known, p.deleted[0])
		p.deleted = slices.Delete(p.deleted, 0, 1)
	}
}

// explain asks the API once what pods there are.
func (p *pods) explain(ctx context.Context, c *Config) {
	client, err := c.API.Client()
	if err != nil {
		return
	}
	defer client.Close()
	_ = client.List(ctx, p.kind(), p) // without it, the path explains what it can
}

// kind is what is asked of the API: the metadata of the node's pods.
func (p *pods) kind() kubeapi.Kind {
	return kubeapi.Kind{Path: "/api/v1/pods", FieldSelector: "spec.nodeName=" + p.node, MetadataOnly: true}
}
