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
"spec":{"nodeName":"e2e","hostNetwork":true,"restartPolicy":%q,"terminationGracePeriodSeconds":1,
"automountServiceAccountToken":false,"tolerations":[{"operator":"Exists"}],
"containers":[{"name":"main","image":%q,"imagePullPolicy":"Never","args":%s}]}}`,
		name, name, annotations, restart, chatterImage, list)
}

// TestKubernetes ships the logs of a real node's pods to an imitation of Loki: pods that start,
// crash, restart, are deleted while Loki is away, and log 2,000 lines a second, while the kubelet
// rotates at 1 MiB and the agent is killed again and again. Then the agent runs as its manifests
// say.
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
	for _, object := range manifests(t, "events") {
		node.Try(t, collectionOf(object), object)
	}
	for _, values := range []string{"", everyValue} {
		for _, object := range rendered(t, values) {
			if object["kind"] != "ServiceMonitor" {
				node.Try(t, collectionOf(object), object)
			}
		}
	}
}

// testManifests has the API take each manifest, strictly, and the node run the pod that the
// DaemonSet describes: with the node's name, as there is no controller that would set it, and in
// the host's network, as the node has no other.
func testManifests(t *testing.T, node *server.KubernetesServer) {
	loki, when := server.LokiImitation(t), around()
	node.Image("docker.io/longshore/longshore:dev", binary(t, "./cmd/longshore"), "longshore")
	made := manifests(t, "base")
	create := func(kind, path string) {
		text, err := json.Marshal(made[kind])
		if err != nil {
			t.Fatal(err)
		}
		node.Create(path, string(text))
	}
	create("Namespace", "/api/v1/namespaces")
	node.Furnish("longshore")
	tryManifests(t, node)
	create("ServiceAccount", "/api/v1/namespaces/longshore/serviceaccounts")
	create("ConfigMap", "/api/v1/namespaces/longshore/configmaps")
	create("ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterroles")
	create("ClusterRoleBinding", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")
	create("NetworkPolicy", "/apis/networking.k8s.io/v1/namespaces/longshore/networkpolicies")
	create("DaemonSet", "/apis/apps/v1/namespaces/longshore/daemonsets")

	template := made["DaemonSet"]["spec"].(map[string]any)["template"].(map[string]any)
	template["metadata"].(map[string]any)["name"] = "longshore-1"
	spec := template["spec"].(map[string]any)
	spec["nodeName"], spec["hostNetwork"] = node.Node, true
	container := spec["containers"].([]any)[0].(map[string]any)
	for _, v := range container["env"].([]any) {
		if variable := v.(map[string]any); variable["name"] == "LONGSHORE_LOKI_URL" {
			variable["value"] = loki.URL
		}
	}
	port := node.URL[strings.LastIndexByte(node.URL, ':')+1:]
	container["env"] = append(container["env"].([]any), map[string]any{"name": "KUBERNETES_SERVICE_HOST",
		"value": "127.0.0.1"}, map[string]any{"name": "KUBERNETES_SERVICE_PORT_HTTPS", "value": port})
	data := t.TempDir()
	for _, v := range spec["volumes"].([]any) {
		if volume := v.(map[string]any); volume["name"] == "data" {
			volume["hostPath"] = map[string]any{"path": data}
		}
	}
	text, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	const pods = "/api/v1/namespaces/longshore/pods"
	node.Create(pods, string(text))
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := node.Get(pods)
			logs, _ := filepath.Glob(server.PodLogs + "/longshore_*/*/*.log")
			for _, path := range logs {
				text, _ := os.ReadFile(path)
				out += "\n" + path + "\n" + string(text)
			}
			t.Log(out)
		}
	})
	eventually(t, "the agent's pod is ready", 2*time.Minute, func() (bool, string) {
		out, err := node.Get(pods + "/longshore-1")
		return err == nil && strings.Contains(strings.ReplaceAll(out, " ", ""), `"ready":true`), out
	})
	node.Create(defaultPods, podManifest("shipped", "", "Never", "-format", "json", "-lines", "500", "-hold"))
	l := query.Loki{URL: loki.URL}
	wantPod(t, l, "shipped", when, 500, 1)
	labels := lokiEntries(t, l, `{pod="shipped"}`, when)[0].Labels
	if labels["service_name"] != "shop-shipped" || labels["node"] != node.Node {
		t.Errorf("labels %v", labels)
	}
	lokiCounts(t, l, `{namespace="longshore"}`, when, 0) // not its own log
	node.Delete(pods + "/longshore-1")
	eventually(t, "the agent's pod ends within its grace", 40*time.Second, func() (bool, string) {
		out, err := node.Get(pods + "/longshore-1")
		return err != nil, out
	})
}
