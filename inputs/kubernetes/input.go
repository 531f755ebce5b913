// Package kubernetes follows the logs of a Kubernetes node's pods.
//
// The files are the kubelet's, and are followed as the file input follows any: through rotation,
// compression and restarts, and behind the symbolic links that lead to those of a Docker Engine.
// This package says what they are: by their paths, and by one watch of the node's pods.
//
// # Decisions
//
//   - Namespace, pod, container and the number of its restarts are in a log's path, so an agent
//     without access to the API knows all but labels and annotations.
//   - Only metadata is asked of the API, and only of the node's pods: a few hundred bytes for each.
//   - A log waits, held open, until its pod is known: the kubelet may begin a log before the watch
//     tells of the pod. Where the API is away, it waits for api.wait, and is then read without.
//   - A pod that is deleted is remembered: its log may not have been read yet, and may be held open
//     long after the pod is gone. The oldest of maxDeleted are forgotten.
//   - The pod of a static manifest has another uid in the API than in its path, which the API has
//     as an annotation.
//   - Dots in the names of labels become underscores on records: Elasticsearch cannot have both
//     app and app.kubernetes.io/name, of which one is text and the other has something in it.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/inputs/kubernetes/kubeapi"
	"github.com/longshore/longshore/pipeline"
)

// An Input follows the logs of one node's pods.
type Input struct {
	file.Input
	config Config
	env    pipeline.Env
	health *health
	pods   *pods
}

// Run implements pipeline.Input.
func (in *Input) Run(ctx context.Context, feed pipeline.Feed) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	if in.pods.asks {
		watching.Go(func() {
			defer in.env.Panicked.Contain()
			in.watch(ctx)
		})
	} else if in.config.API.Mode != "off" {
		in.env.Log.Info("labels and annotations of pods are not known: " + kubeapi.ErrNoCluster.Error())
	}
	return in.Input.Run(ctx, feed)
}

// watch watches the node's pods until ctx ends.
func (in *Input) watch(ctx context.Context) {
	client, err := in.config.API.Client()
	if err != nil {
		in.pods.Trouble(err)
		in.health.setAPI(err)
		return
	}
	defer client.Close()
	w := &watcher{pods: in.pods, health: in.health, env: in.env}
	_ = client.Watch(ctx, in.pods.kind(), "", w) // it returns no errors
}

// A watcher has the pods' memory and the input's health know what the API tells.
type watcher struct {
	*pods
	health *health
	env    pipeline.Env
	failed bool
}

// Trouble implements kubeapi.Handler.
func (w *watcher) Trouble(err error) {
	w.pods.Trouble(err)
	w.health.setAPI(err)
	switch {
	case err != nil && !w.failed:
		w.env.Log.Warn("the Kubernetes API cannot be asked; logs of new pods are read without their labels",
			"waiting_for", w.wait, "error", err)
	case err == nil && w.failed:
		w.env.Log.Info("the Kubernetes API answers again")
	}
	w.failed = err != nil
}

// Examine implements pipeline.Examiner.
func (in *Input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	in.Input.Examine(ctx, tell)
	found := pipeline.Finding{What: "Kubernetes API"}
	switch n, err := in.countPods(ctx); {
	case !in.pods.asks:
		found.State, found.Says = pipeline.FoundUnknown, "not asked: labels and annotations of pods are not known"
	case err != nil:
		found.State, found.Says = pipeline.FoundBroken, err.Error()
		found.Advice = "logs are read all the same, without labels of pods; give it the role of docs/kubernetes.md, " +
			"or set api.mode: off"
	case n == 0:
		found.State, found.Says = pipeline.FoundDoubtful, "knows no pod of node "+in.pods.node
		found.Advice = "set node, or NODE_NAME from spec.nodeName, to the node's name"
	default:
		found.Says = fmt.Sprintf("knows %s of node %s", pipeline.Count(n, "pod"), in.pods.node)
	}
	tell(found)
}

func (in *Input) countPods(ctx context.Context) (int, error) {
	if !in.pods.asks {
		return 0, nil
	}
	client, err := in.config.API.Client()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.Count(ctx, in.pods.kind())
}

// Explain implements pipeline.Explainer for the path of a log.
func (in *Input) Explain(ctx context.Context, name string) (pipeline.Explanation, error) {
	if in.pods.asks {
		in.pods.explain(ctx, &in.config) // without the API it is explained by the path
	}
	return in.Input.Explain(ctx, name)
}

// health joins what the files' input and the watch report.
type health struct {
	report func(error)

	mu         sync.Mutex
	files, api error
}

func (h *health) setFiles(err error) { h.set(func() { h.files = err }) }

func (h *health) setAPI(err error) { h.set(func() { h.api = err }) }

func (h *health) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	h.report(errors.Join(h.files, h.api))
}
