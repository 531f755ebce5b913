package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/e2e/server"
)

// everyValue sets what the chart's values leave out.
const everyValue = `
image: {tag: "", digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
config: |
  # {{ not a template }}
  inputs:
    pods: {type: kubernetes}
env: {LONGSHORE_LOKI_URL: null, NUMBER: 5, FLAG: true, TEXT: 'a "quoted" $(text)'}
secretEnv: {ES_PASSWORD: {name: elastic, key: password}}
port: 9000
nodeSelector: {kubernetes.io/os: linux}
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
priorityClassName: system-node-critical
podLabels: {team: platform}
podAnnotations: {a/b: "true"}
dockerPath: ""
extraVolumes: [{name: ca, secret: {secretName: ca}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/ca, readOnly: true}]
serviceAccount: {name: shipper, annotations: {a/b: c}}
networkPolicy:
  egressPorts: [443, 9200]
  ingressFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
serviceMonitor: {enabled: true, labels: {release: prometheus}}
events:
  enabled: true
  storage: {size: 2Gi, storageClassName: fast}
  tolerations: [{operator: Exists}]
  nodeSelector: {kubernetes.io/os: linux}
  affinity: {podAffinity: {}}
`

// helm runs Helm on the chart, with values of a text.
func helm(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	program := server.Helm(t)
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append(args, "--values", file)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "HELM_PLUGINS=/nonexistent")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s%s", err, out, &complaints)
	}
	return string(out), err
}

func chart() string { return filepath.Join(root, "deploy", "helm", "longshore") }

// rendered returns what the chart makes, by kind and name.
func rendered(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	out, err := helm(t, values, "template", "longshore", chart(), "--namespace", "longshore")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]any{}
	for _, object := range objectsOf(t, out) {
		name := fmt.Sprint(object["kind"], " ", object["metadata"].(map[string]any)["name"])
		if found[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		found[name] = object
	}
	return found
}

// plain returns an object as JSON has it, without what Helm marks its own by.
func plain(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var copied map[string]any
	if err := json.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	delete(copied["metadata"].(map[string]any), "labels")
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				strip(item)
			}
		case map[string]any:
			delete(v, "app.kubernetes.io/instance")
			delete(v, "checksum/config")
			for _, item := range v {
				strip(item)
			}
		}
	}
	strip(copied)
	return copied
}

// TestChart: the chart passes helm lint, makes with its own values what the Kustomize base has, and
// with the events what their folder has; values that it does not know are rejected. That the API
// takes what it makes is a part of TestKubernetes.
func TestChart(t *testing.T) {
	for _, values := range []string{"", everyValue} {
		if out, err := helm(t, values, "lint", "--strict", chart()); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	want := map[string]map[string]any{}
	for _, folder := range []string{"base", "events"} {
		for kind, object := range manifests(t, folder) {
			if kind != "Namespace" { // helm install --create-namespace
				name := fmt.Sprint(kind, " ", object["metadata"].(map[string]any)["name"])
				want[name] = plain(t, object)
			}
		}
		got := map[string]map[string]any{}
		for name, object := range rendered(t, fmt.Sprintf("events: {enabled: %v}", folder == "events")) {
			got[name] = plain(t, object)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the chart and %s: %s", folder, diff)
		}
	}
	for values, complaint := range map[string]string{
		"resource: {}": "resource", "events: {enable: true}": "enable", "port: 0": "port",
		"config: {inputs: {}}":      "config",
		"secretEnv: {A: {name: b}}": "key", "secretEnv: {A-B: {name: b, key: c}}": "A-B",
		"image: {digest: abc}": "digest",
	} {
		if out, err := helm(t, values, "template", "longshore", chart()); err == nil {
			t.Errorf("%s is taken: %s", values, out)
		} else if !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: %v, want %q in it", values, err, complaint)
		}
	}
}

// TestChartValues: every value is where it belongs.
func TestChartValues(t *testing.T) {
	made := rendered(t, everyValue)
	names := slices.Sorted(maps.Keys(made))
	want := []string{"ClusterRole longshore", "ClusterRole longshore-events", "ClusterRoleBinding longshore",
		"ClusterRoleBinding longshore-events", "ConfigMap longshore", "ConfigMap longshore-events",
		"DaemonSet longshore",
		"Deployment longshore-events", "NetworkPolicy longshore", "NetworkPolicy longshore-events",
		"PersistentVolumeClaim longshore-events", "Service longshore", "Service longshore-events",
		"ServiceAccount longshore-events", "ServiceAccount shipper", "ServiceMonitor longshore",
		"ServiceMonitor longshore-events"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for name, texts := range map[string][]string{
		"ConfigMap longshore": {`# {{ not a template }}\ninputs:\n  pods: {type: kubernetes}\n`},
		"DaemonSet longshore": {
			`"image":"longshore/longshore@sha256:e3b0c4`, `"imagePullPolicy":"Always"`,
			`"imagePullSecrets":[{"name":"registry"}]`,
			`{"name":"NUMBER","value":"5"}`, `{"name":"FLAG","value":"true"}`, `"value":"a \"quoted\" $(text)"`,
			`{"name":"ES_PASSWORD","valueFrom":{"secretKeyRef":{"key":"password","name":"elastic"}}}`,
			`"containerPort":9000`, `"nodeSelector":{"kubernetes.io/os":"linux"}`, `"podAntiAffinity"`,
			`"priorityClassName":"system-node-critical"`, `"team":"platform"`, `"a/b":"true"`,
			`"serviceAccountName":"shipper"`,
			`{"name":"ca","secret":{"secretName":"ca"}}`, `{"mountPath":"/etc/ca","name":"ca","readOnly":true}`},
		"Deployment longshore-events": {`"replicas":1`, `"strategy":{"type":"Recreate"}`,
			`"tolerations":[{"operator":"Exists"}]`,
			`"podAffinity"`, `"secretName":"ca"`, `"serviceAccountName":"longshore-events"`},
		"PersistentVolumeClaim longshore-events": {`"storage":"2Gi"`, `"storageClassName":"fast"`},
		"NetworkPolicy longshore": {`{"port":9200,"protocol":"TCP"}`, `"from":[{"namespaceSelector":`,
			`"port":9000`},
		"ServiceMonitor longshore": {`"release":"prometheus"`, `"interval":"30s"`, `"port":"http"`},
		"ClusterRoleBinding longshore": {
			`{"kind":"ServiceAccount","name":"shipper","namespace":"longshore"}`},
	} {
		text, err := json.Marshal(made[name])
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.ReplaceAll(string(text), `\u0026`, "&")
		for _, part := range texts {
			if !strings.Contains(shown, part) {
				t.Errorf("%s has no %s:\n%s", name, part, shown)
			}
		}
		if strings.Contains(shown, "LONGSHORE_LOKI_URL\",\"value") || strings.Contains(shown, `"name":"docker"`) {
			t.Errorf("%s has what was taken out: %s", name, shown)
		}
	}
	without := rendered(t, "rbac: {create: false}\nserviceAccount: {create: false, name: own}\n"+
		"networkPolicy: {enabled: false}")
	got := slices.Sorted(maps.Keys(without))
	if !slices.Equal(got, []string{"ConfigMap longshore", "DaemonSet longshore"}) {
		t.Errorf("without role, account and policy there are %v", got)
	}
}

// collectionOf returns where in the API an object is made.
func collectionOf(object map[string]any) string {
	version, kind := object["apiVersion"].(string), object["kind"].(string)
	path := "/apis/" + version
	if version == "v1" {
		path = "/api/v1"
	}
	if namespace, ok := object["metadata"].(map[string]any)["namespace"].(string); ok {
		path += "/namespaces/" + namespace
	}
	plural := strings.ToLower(kind) + "s"
	return path + "/" + strings.Replace(plural, "policys", "policies", 1)
}
