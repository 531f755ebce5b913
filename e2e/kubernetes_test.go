package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

const (
	chatterImage = "longshore.test/chatter:1"
	defaultPods  = "/api/v1/namespaces/default/pods"
)

// podManifest is a pod of the host's network with one container, which writes as chatter does.
func podManifest(name, annotations, restart string, args ...string) string {
	list, _ := json.Marshal(append([]string{"-name", name}, args...))
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,
"labels":{"app.kubernetes.io/name":"shop-%s"},"annotations":{%s}},
"spec":{"hostNetwork":true,"restartPolicy":%q,"terminationGracePeriodSeconds":1,
"automountServiceAccountToken":false,"tolerations":[{"operator":"Exists"}],
"containers":[{"name":"main","image":%q,"imagePullPolicy":"Never","args":%s}]}}`,
		name, name, annotations, restart, chatterImage, list)
}

// TestKubernetes ships the logs of a real node's pods to an imitation of Loki: pods that start,
// crash, restart, are deleted while Loki is away, and log 2,000 lines a second, while the kubelet
// rotates at 1 MiB and the agent is killed again and again. Then the agent is deployed by its
// manifests.
func TestKubernetes(t *testing.T) {
	node := server.Kubernetes(t)
	chatter := binary(t, "./e2e/chatter")
	node.Image("longshore.test/pause:1", chatter, "chatter", "-lines", "0", "-hold")
	node.Image(chatterImage, chatter, "chatter")
	t.Run("pods", func(t *testing.T) { testPods(t, node) })
	t.Run("manifests", func(t *testing.T) { testManifests(t, node) })
}

func testPods(t *testing.T, node *server.KubernetesServer) {
	loki := server.LokiImitation(t)
	when := around()
	a := newAgent(t, fmt.Sprintf(`
inputs:
  pods: {type: kubernetes, node: e2e, api: {url: %q, token_file: %q, ca_file: %q}}
outputs: {loki: {type: loki, url: %q}}
`, node.URL, node.TokenFile, node.CAFile, loki.URL))
	a.start()
	const steady, crashing, brief = 40_000, 200, 1_000
	run := func(manifest string) { node.Create(defaultPods, manifest) }
	run(podManifest("steady", "", "Never", "-format", "json", "-rate", "2000", "-lines", fmt.Sprint(steady), "-hold"))
	run(podManifest("crashing", "", "Always", "-format", "logfmt", "-lines", fmt.Sprint(crashing), "-exit", "1"))
	run(podManifest("silent", `"longshore/enable":"false"`, "Never", "-lines", "10", "-hold"))
	run(podManifest("chosen", `"longshore/parser":"logfmt","longshore/level":"error"`, "Never", "-format", "logfmt",
		"-lines", "60", "-hold"))
	run(podManifest("long", "", "Never", "-format", "long", "-lines", "5", "-hold"))
	l := query.Loki{URL: loki.URL}
	inLoki(t, l, `{pod="steady"}`, when, 1000)
	for range 3 { // while it writes
		time.Sleep(2 * time.Second)
		a.kill()
		a.start()
	}
	inLoki(t, l, `{pod="crashing"}`, when, 2*crashing)

	loki.Pause()
	run(podManifest("brief", "", "Never", "-format", "json", "-lines", fmt.Sprint(brief)))
	eventually(t, "brief has ended", time.Minute, func() (bool, string) {
		out, err := node.Get(defaultPods + "/brief")
		return strings.Contains(out, `"phase":"Succeeded"`), fmt.Sprint(out, err)
	})
	time.Sleep(time.Second) // the agent sees the file; it cannot send it
	node.Delete(defaultPods + "/brief")
	eventually(t, "the log of brief is removed", time.Minute, func() (bool, string) {
		left, _ := filepath.Glob(server.PodLogs + "/default_brief_*")
		return len(left) == 0, fmt.Sprint(left)
	})
	loki.Resume()
	node.Delete(defaultPods + "/crashing")

	wantPod(t, l, "brief", when, brief, 1)
	wantPod(t, l, "steady", when, steady, 1)
	wantPod(t, l, "chosen", when, 60, 0)
	wantPod(t, l, "long", when, 5, 1)
	runs := strings.Count(fmt.Sprint(lokiEntries(t, l, `{pod="crashing"}`, when)), script.Message("crashing", 0))
	wantPod(t, l, "crashing", when, crashing, runs)
	if runs < 2 {
		t.Errorf("crashing was read of %d runs", runs)
	}
	lokiCounts(t, l, `{pod="silent"}`, when, 0)
	for _, pod := range []string{"steady", "brief"} {
		labels := lokiEntries(t, l, fmt.Sprintf("{pod=%q}", pod), when)[0].Labels
		for name, want := range map[string]string{
			"namespace": "default", "pod": pod, "container": "main", "node": "e2e", "service_name": "shop-" + pod} {
			if labels[name] != want {
				t.Errorf("%s has %s=%q, want %q: %v", pod, name, labels[name], want, labels)
			}
		}
	}
	if rotated, _ := filepath.Glob(server.PodLogs + "/default_steady_*/main/0.log.*"); len(rotated) == 0 {
		t.Error("the kubelet has rotated nothing")
	}
	a.stop()
}

// wantPod waits for all lines of a pod's container, and checks that each is there as often as it
// was written; with 0, once if its level is error or fatal, and not else.
func wantPod(t *testing.T, l query.Loki, pod string, when span, lines, times int) {
	t.Helper()
	selector := fmt.Sprintf("{pod=%q}", pod)
	want, all := map[string]int{}, 0
	for i := range lines {
		n := times
		if level := script.Level(i); times == 0 && (level == "error" || level == "fatal") {
			n = 1
		}
		want[script.Message(pod, i)] = n
		all += n
	}
	inLoki(t, l, selector, when, all)
	got := map[string]int{}
	for _, entry := range lokiEntries(t, l, selector, when) {
		var record struct{ Message string }
		if err := json.Unmarshal([]byte(entry.Line), &record); err != nil {
			t.Fatalf("%.200q: %v", entry.Line, err)
		}
		message, x, _ := strings.Cut(record.Message, " x")
		if strings.Trim(x, "x") != "" {
			t.Errorf("%s: a line is not whole: %.100q", pod, record.Message)
		}
		got[message]++
	}
	missing, twice := 0, 0
	for message, n := range want {
		missing += max(0, n-got[message])
		twice += max(0, got[message]-n)
		delete(got, message)
	}
	if missing+twice+len(got) > 0 {
		t.Errorf("%s: %d of %d are missing, %d are there too often, %d are others", pod, missing, all, twice, len(got))
	}
}

// manifests reads the manifests in a folder of deploy/kubernetes, as JSON by their kinds, with its
// config as Kustomize would make it a ConfigMap.
func manifests(t *testing.T, folder string) map[string]map[string]any {
	t.Helper()
	base := filepath.Join(root, "deploy", "kubernetes", folder)
	files, err := filepath.Glob(filepath.Join(base, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]any{}
	for _, path := range files {
		if filepath.Base(path) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objectsOf(t, string(text)) {
			found[object["kind"].(string)] = object
		}
	}
	text, err := os.ReadFile(filepath.Join(base, "longshore.yml"))
	if err != nil {
		t.Fatal(err)
	}
	name := "longshore"
	if folder != "base" {
		name += "-" + folder
	}
	found["ConfigMap"] = map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "longshore"},
		"data":     map[string]any{"longshore.yml": string(text)}}
	return found
}

// objectsOf reads the objects in a text of YAML.
func objectsOf(t *testing.T, text string) (objects []map[string]any) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object map[string]any
		if err := d.Decode(&object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
}

// tryManifests has the API check, without making any, the manifests of the events' agent and what
// the chart makes, but for the types of the Prometheus operator.
func tryManifests(t *testing.T, node *server.KubernetesServer) {
	kubectl(t, node, "apply", "--dry-run=server", "--validate=strict", "-k", manifestsOf("events"))
	for _, values := range []string{"", everyValue} {
		for _, object := range rendered(t, values) {
			if object["kind"] != "ServiceMonitor" {
				node.Try(t, collectionOf(object), object)
			}
		}
	}
}

// kubectl runs kubectl, which must succeed.
func kubectl(t *testing.T, node *server.KubernetesServer, args ...string) string {
	t.Helper()
	out, err := node.Kubectl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// manifestsOf returns a folder of manifests.
func manifestsOf(folder string) string { return filepath.Join(root, "deploy", "kubernetes", folder) }

// agentOverlay is laid over the base as a user's own: where Loki is, and what this node lacks. Its
// only network is the host's, in which nothing is at the API's address in the cluster. What was
// watched stays until the test has seen how it ended.
const agentOverlay = `
resources: [%q]
patches:
  - patch: |
      apiVersion: apps/v1
      kind: DaemonSet
      metadata: {name: longshore, namespace: longshore}
      spec:
        template:
          metadata: {finalizers: [longshore.test/watched]}
          spec:
            hostNetwork: true
            containers:
              - name: longshore
                env:
                  - {name: LONGSHORE_LOKI_URL, value: %q}
                  - {name: KUBERNETES_SERVICE_HOST, value: "127.0.0.1"}
                  - {name: KUBERNETES_SERVICE_PORT_HTTPS, value: %q}
            volumes:
              - {name: data, hostPath: {path: %q}}
`

// writeOverlay writes an overlay of the base, and returns its folder.
func writeOverlay(t *testing.T, node *server.KubernetesServer, lokiURL string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs(manifestsOf("base"))
	if err != nil {
		t.Fatal(err)
	}
	if base, err = filepath.Rel(dir, base); err != nil { // Kustomize takes no other
		t.Fatal(err)
	}
	port := node.URL[strings.LastIndexByte(node.URL, ':')+1:]
	text := fmt.Sprintf(agentOverlay, base, lokiURL, port, t.TempDir())
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// testManifests applies the Kustomize base, as an overlay has it. Kubernetes makes the DaemonSet's
// pod, places it and runs it; it delivers, and is ended and replaced while Loki is away.
func testManifests(t *testing.T, node *server.KubernetesServer) {
	loki, when := server.LokiImitation(t), around()
	l := query.Loki{URL: loki.URL}
	node.Image("docker.io/longshore/longshore:dev", binary(t, "./cmd/longshore"), "longshore")
	kubectl(t, node, "apply", "-f", filepath.Join(manifestsOf("base"), "namespace.yaml"))
	tryManifests(t, node)
	t.Cleanup(func() {
		if t.Failed() {
			showNamespace(t, node)
		}
	})
	kubectl(t, node, "apply", "--validate=strict", "-k", writeOverlay(t, node, loki.URL))
	first := agentPod(t, node)
	if events := kubectl(t, node, "-n", "longshore", "get", "events", "-o", "json",
		"--field-selector", "reason=Scheduled,involvedObject.name="+first.Metadata.Name); !strings.Contains(events,
		"default-scheduler") {
		t.Errorf("the scheduler has not placed %s: %s", first.Metadata.Name, events)
	}
	if owners := first.Metadata.OwnerReferences; len(owners) != 1 || owners[0].Kind != "DaemonSet" {
		t.Errorf("%s belongs to %v, want the DaemonSet", first.Metadata.Name, owners)
	}
	node.Create(defaultPods, podManifest("shipped", "", "Never", "-format", "json", "-lines", "500", "-hold"))
	wantPod(t, l, "shipped", when, 500, 1)
	labels := lokiEntries(t, l, `{pod="shipped"}`, when)[0].Labels
	if labels["service_name"] != "shop-shipped" || labels["node"] != node.Node {
		t.Errorf("labels %v", labels)
	}
	lokiCounts(t, l, `{namespace="longshore"}`, when, 0) // not its own log

	for pod, away := range map[string]struct{ leave, comeBack func() }{
		"while-loki-hangs": {loki.Pause, loki.Resume}, "while-loki-is-gone": {loki.Stop, loki.Start}} {
		before := agentPod(t, node)
		away.leave()
		node.Create(defaultPods, podManifest(pod, "", "Never", "-format", "json", "-lines", "500", "-hold"))
		(&agent{t: t, url: "http://127.0.0.1:5664"}).metric(`longshore_output_in_flight_records{output="loki"}`, 500)
		endsInTime(t, node, before.Metadata.Name)
		away.comeBack()
		if after := agentPod(t, node); after.Metadata.Name == before.Metadata.Name {
			t.Errorf("%s has no successor", before.Metadata.Name)
		}
		wantPod(t, l, pod, when, 500, 1)
	}
	wantPod(t, l, "shipped", when, 500, 1)
	kubectl(t, node, "-n", "longshore", "delete", "daemonset", "longshore", "--wait=false")
}

// endsInTime deletes a pod, and wants its container to end by itself within its grace: one that is
// killed after that ends with 137.
func endsInTime(t *testing.T, node *server.KubernetesServer, name string) {
	t.Helper()
	kubectl(t, node, "-n", "longshore", "delete", "pod", name, "--wait=false")
	var p podStatus
	eventually(t, "the agent's pod has ended", time.Minute, func() (bool, string) {
		out := kubectl(t, node, "-n", "longshore", "get", "pod", name, "-o", "json")
		p = readPod(t, out)
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Terminated != nil, out
	})
	end := p.Status.ContainerStatuses[0].State.Terminated
	asked := p.Metadata.DeletionTimestamp.Add(-time.Duration(p.Metadata.GracePeriod) * time.Second)
	t.Logf("%s ended %v after it was asked to, with %d; it has %d s", name, end.FinishedAt.Sub(asked), end.ExitCode,
		p.Metadata.GracePeriod)
	if end.ExitCode != 0 {
		t.Errorf("%s ended with %+v", name, *end)
	}
	kubectl(t, node, "-n", "longshore", "patch", "pod", name, "--type=json",
		`-p=[{"op":"remove","path":"/metadata/finalizers"}]`)
}

// podStatus is what is looked at of a pod.
type podStatus struct {
	Metadata struct {
		Name              string
		OwnerReferences   []struct{ Kind string }
		DeletionTimestamp time.Time
		GracePeriod       int `json:"deletionGracePeriodSeconds"`
	}
	Status struct {
		ContainerStatuses []struct {
			Ready bool
			State struct {
				Terminated *struct {
					ExitCode   int
					Reason     string
					FinishedAt time.Time
				}
			}
		}
	}
}

func readPod(t *testing.T, text string) (p podStatus) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p
}

// agentPod waits until the DaemonSet's pod is ready, and returns it.
func agentPod(t *testing.T, node *server.KubernetesServer) (p podStatus) {
	t.Helper()
	eventually(t, "the agent's pod is ready", 2*time.Minute, func() (bool, string) {
		out := kubectl(t, node, "-n", "longshore", "get", "pods", "-o", "json")
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Items) != 1 {
			return false, out
		}
		p = readPod(t, string(list.Items[0]))
		statuses := p.Status.ContainerStatuses
		return p.Metadata.DeletionTimestamp.IsZero() && len(statuses) == 1 && statuses[0].Ready, out
	})
	return p
}

// showNamespace logs the state of the agent's namespace, and what its pods have logged.
func showNamespace(t *testing.T, node *server.KubernetesServer) {
	out, err := node.Kubectl("-n", "longshore", "describe", "daemonsets,pods")
	t.Log(out, err)
	logs, _ := filepath.Glob(server.PodLogs + "/longshore_*/*/*.log")
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		t.Logf("%s\n%s", path, text)
	}
}
