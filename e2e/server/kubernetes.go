package server

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ensureKubernetes returns the folder that has etcd, Kubernetes' programs, kubectl and ctr.
func ensureKubernetes() (string, error) {
	tool, err := newTool("kubernetes", "go.mod", `\sk8s.io/kubernetes v(\S+)`)
	if err != nil {
		return "", err
	}
	containerd, err := newTool("docker29", "go.mod", `\sgithub.com/containerd/containerd/v2 v(\S+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building Kubernetes %s, about 6 minutes, once", tool.version)
	return once(tool.folder, announce, func(dir string) error {
		for _, program := range [...]struct{ pkg, name string }{
			{"go.etcd.io/etcd/server/v3", "etcd"},
			{"k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"},
			{"k8s.io/kubernetes/cmd/kubelet", "kubelet"},
			{"k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"},
			{"k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"},
			{"k8s.io/kubernetes/cmd/kubectl", "kubectl"},
		} {
			if err := tool.buildGo(program.pkg, "", filepath.Join(dir, program.name)); err != nil {
				return err
			}
		}
		ctr := goProgram{pkg: "github.com/containerd/containerd/v2/cmd/ctr", tags: mobyTags}
		return containerd.buildProgram(ctr, filepath.Join(dir, "ctr"))
	})
}

// A KubernetesServer is a cluster of one node, which runs pods in the host's network.
type KubernetesServer struct {
	t          testing.TB
	Node       string
	URL        string // of the API server
	Token      string // of one who may do everything
	CAFile     string
	TokenFile  string
	programs   string
	containers string // containerd's socket
	kubeconfig string
	dir        string
	client     *http.Client
}

// PodLogs is where the node keeps the logs of pods.
const PodLogs = "/var/log/pods"

// Kubernetes starts a cluster of one node: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, containerd and kubelet, which rotates logs at 1 MiB.
func Kubernetes(t testing.TB) *KubernetesServer {
	t.Helper()
	skipShort(t)
	if os.Getuid() != 0 {
		unavailable(t, errors.New("a Kubernetes node needs root"))
	}
	programs, err := ensureKubernetes()
	if err != nil {
		unavailable(t, err)
	}
	docker, err := ensureDocker29()
	if err != nil {
		unavailable(t, err)
	}
	cache, err := cacheFolder()
	if err != nil {
		t.Fatal(err)
	}
	const busy = "another process uses the tests' Kubernetes node"
	unlock, err := lock(filepath.Join(cache, "kubernetes-node.lock"), busy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	dir, err := os.MkdirTemp("", "longshore-k8s-") // short: it is for sockets, whose paths have a limit
	if err != nil {
		t.Fatal(err)
	}
	k := &KubernetesServer{
		t: t, Node: "e2e", programs: programs, dir: dir, containers: filepath.Join(dir, "containerd.sock"),
		kubeconfig: filepath.Join(dir, "kubeconfig"), TokenFile: filepath.Join(dir, "token"),
		CAFile: filepath.Join(dir, "certs", "apiserver.crt"),
	}
	t.Cleanup(k.clean)
	k.startAPI()
	k.startControl()
	k.startNode(filepath.Dir(docker.dockerd))
	return k
}

func (k *KubernetesServer) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *KubernetesServer) port() int {
	k.t.Helper()
	port, err := freePort()
	k.must(err)
	return port
}

func (k *KubernetesServer) path(name string) string { return filepath.Join(k.dir, name) }

// write writes a file of the cluster's folder.
func (k *KubernetesServer) write(name, text string) string {
	k.t.Helper()
	k.must(os.MkdirAll(filepath.Dir(k.path(name)), 0o755))
	k.must(os.WriteFile(k.path(name), []byte(text), 0o600))
	return k.path(name)
}

// serve starts a program, which has ended when the test has.
func (k *KubernetesServer) serve(name string, env []string, ready func(context.Context) error, args ...string) {
	k.t.Helper()
	k.must(os.MkdirAll(k.path(name), 0o755))
	serve(k.t, &daemon{
		name: name, dir: k.path(name), ready: ready, patient: 2 * time.Minute, grace: 15 * time.Second,
		onDeath: syscall.SIGKILL,
		command: func() *exec.Cmd {
			cmd := exec.Command(name, args...)
			if !filepath.IsAbs(name) {
				cmd = exec.Command(filepath.Join(k.programs, name), args...)
			}
			cmd.Env = append(os.Environ(), env...)
			return cmd
		},
	})
}

func (k *KubernetesServer) startAPI() {
	k.t.Helper()
	etcd, peer := fmt.Sprintf("http://127.0.0.1:%d", k.port()), fmt.Sprintf("http://127.0.0.1:%d", k.port())
	k.serve("etcd", nil, answers(etcd+"/health", "true"), "--data-dir="+k.path("etcd-data"),
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer, "--unsafe-no-fsync")
	var secret [16]byte
	rand.Read(secret[:]) // never fails
	k.Token = hex.EncodeToString(secret[:])
	k.write("token", k.Token)
	tokens := k.write("tokens.csv", k.Token+",admin,admin,system:masters\n")
	key := k.write("account.key", newKey(k.t))
	port := k.port()
	k.URL = fmt.Sprintf("https://127.0.0.1:%d", port)
	k.serve("kube-apiserver", nil, k.ready, "--etcd-servers="+etcd, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--cert-dir="+k.path("certs"), "--service-account-key-file="+key,
		"--service-account-signing-key-file="+key, "--service-account-issuer=https://kubernetes.default.svc",
		"--token-auth-file="+tokens, "--authorization-mode=RBAC", "--service-cluster-ip-range=10.255.0.0/24",
		"--enable-priority-and-fairness=false", "--watch-cache=true")
	k.write("kubeconfig", fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"e2e",
"clusters":[{"name":"e2e","cluster":{"server":%q,"certificate-authority":%q}}],
"users":[{"name":"e2e","user":{"token":%q}}],
"contexts":[{"name":"e2e","context":{"cluster":"e2e","user":"e2e"}}]}`, k.URL, k.CAFile, k.Token))
}

// startControl starts what acts on the API's objects: the controllers, which make pods, accounts
// and certificates for them, and the scheduler.
func (k *KubernetesServer) startControl() {
	k.t.Helper()
	for name, args := range map[string][]string{
		"kube-scheduler": nil,
		"kube-controller-manager": {"--service-account-private-key-file=" + k.path("account.key"),
			"--root-ca-file=" + k.CAFile},
	} {
		port := k.port()
		args = append(args, "--kubeconfig="+k.kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port), "--cert-dir="+k.path("certs-"+name))
		k.serve(name, nil, answers(fmt.Sprintf("https://127.0.0.1:%d/healthz", port), "ok"), args...)
	}
}

// newKey makes the key that tokens of service accounts are signed with.
func newKey(t testing.TB) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return string(pem.EncodeToMemory(block))
}

// ready asks whether the API server is, and makes the client once it has a certificate.
func (k *KubernetesServer) ready(ctx context.Context) error {
	if k.client == nil {
		text, err := os.ReadFile(k.CAFile)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		k.client = &http.Client{Timeout: 30 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	}
	_, err := k.call(ctx, http.MethodGet, "/readyz", "")
	return err
}

// call makes one request of the API.
func (k *KubernetesServer) call(ctx context.Context, method, path, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, k.URL+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+k.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return string(text), err
}

const kubeletConfig = `{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"KubeletConfiguration",
"failCgroupV1":false,"failSwapOn":false,"cgroupDriver":"cgroupfs","cgroupsPerQOS":false,"enforceNodeAllocatable":[],
"makeIPTablesUtilChains":false,"localStorageCapacityIsolation":false,"containerLogMaxSize":"1Mi",
"containerLogMaxFiles":5,"containerLogMonitorInterval":"3s","address":"127.0.0.1","port":%d,"healthzBindAddress":"127.0.0.1","healthzPort":%d,
"readOnlyPort":0,"authentication":{"anonymous":{"enabled":false},"webhook":{"enabled":true}},
"authorization":{"mode":"Webhook"},"containerRuntimeEndpoint":"unix://%s","evictionHard":{"memory.available":"0%%"},
"imageGCHighThresholdPercent":100,"resolvConf":"","clusterDomain":"","volumePluginDir":%q,"podPidsLimit":-1}`

func (k *KubernetesServer) startNode(docker string) {
	k.t.Helper()
	module, err := moduleFolder()
	k.must(err)
	_, err = run(filepath.Join(module, "e2e", "runc"), []string{"CGO_ENABLED=0"}, "go", "build",
		"-ldflags", "-X main.runc="+filepath.Join(docker, "runc"), "-o", k.path("runc"), ".")
	k.must(err)
	// A network that no pod is in, as all are in the host's: without one the node is not ready.
	network := k.write("cni/none.conflist", `{"cniVersion":"1.0.0","name":"none","plugins":[{"type":"none"}]}`)
	config := k.write("containerd.toml", fmt.Sprintf(`version = 3
root = %q
state = %q
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
address = %q
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "longshore.test/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
conf_dir = %q
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = %q
`, k.path("containerd-root"), k.path("containerd-state"), k.containers, filepath.Dir(network), k.path("runc")))
	path := "PATH=" + docker + ":" + os.Getenv("PATH")
	k.serve(filepath.Join(docker, "containerd"), []string{path}, func(ctx context.Context) error {
		_, err := run("", nil, k.programs+"/ctr", "-a", k.containers, "version")
		return err
	}, "--config", config)
	healthz := k.port()
	kubelet := k.write("kubelet.json", fmt.Sprintf(kubeletConfig, k.port(), healthz, k.containers, k.path("plugins")))
	k.serve("kubelet", []string{path}, answers(fmt.Sprintf("http://127.0.0.1:%d/healthz", healthz), "ok"),
		"--config="+kubelet, "--kubeconfig="+k.kubeconfig, "--hostname-override="+k.Node,
		"--root-dir="+k.path("kubelet-root"), "--cert-dir="+k.path("certs-kubelet"))
}

// clean ends what the node runs, and removes what it leaves.
func (k *KubernetesServer) clean() {
	k.endContainers()
	for _, namespace := range []string{"default", "longshore"} {
		left, _ := filepath.Glob(filepath.Join(PodLogs, namespace+"_*"))
		for _, dir := range left {
			os.RemoveAll(dir)
		}
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[1], k.dir) {
			syscall.Unmount(fields[1], syscall.MNT_DETACH)
		}
	}
	os.RemoveAll(k.dir)
}

// endContainers ends the containers that outlive containerd, and the shims that hold them: those
// that were started with this node's socket.
func (k *KubernetesServer) endContainers() {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("\x00"+k.containers+"\x00")) {
			continue
		}
		lists, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "task", "*", "children"))
		for _, list := range lists {
			children, _ := os.ReadFile(list)
			for child := range strings.FieldsSeq(string(children)) {
				endProcess(child)
			}
		}
		endProcess(filepath.Base(filepath.Dir(path)))
	}
}

func endProcess(id string) {
	if pid, err := strconv.Atoi(id); err == nil && pid > 1 {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Create makes an object of the API, which has to be valid, without a field that is not known.
func (k *KubernetesServer) Create(path, object string) {
	k.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		_, err = k.call(k.t.Context(), http.MethodPost, path+"?fieldValidation=Strict", object)
		// What the API server makes itself is there a moment after it is ready.
		if err == nil || !strings.Contains(err.Error(), `"default" not found`) || time.Now().After(end) {
			break
		}
	}
	k.must(err)
}

// Try has the API check an object as Create does, and make nothing of it.
func (k *KubernetesServer) Try(t testing.TB, path string, object map[string]any) {
	t.Helper()
	text, err := json.Marshal(object)
	if err == nil {
		_, err = k.call(t.Context(), http.MethodPost, path+"?fieldValidation=Strict&dryRun=All", string(text))
	}
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

// Get reads an object; the error is also that there is none.
func (k *KubernetesServer) Get(path string) (string, error) {
	return k.call(k.t.Context(), http.MethodGet, path, "")
}

// Kubectl runs kubectl, and returns what it writes to standard output.
func (k *KubernetesServer) Kubectl(args ...string) (string, error) {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), filepath.Join(k.programs, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "HOME="+k.dir)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s%s", strings.Join(args, " "), err, out, &complaints)
	}
	return string(out), err
}

// Delete deletes an object.
func (k *KubernetesServer) Delete(path string) {
	k.t.Helper()
	_, err := k.call(k.t.Context(), http.MethodDelete, path, "")
	k.must(err)
}

// Image gives the node an image of one static binary, which is its entry point, with arguments.
func (k *KubernetesServer) Image(tag, binary, name string, args ...string) {
	k.t.Helper()
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	text, err := os.ReadFile(binary)
	k.must(err)
	k.must(files.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}))
	k.must(files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}))
	_, err = files.Write(text)
	k.must(err)
	k.must(files.Close())
	id := fmt.Sprintf("sha256:%x", sha256.Sum256(layer.Bytes()))
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": append([]string{"/" + name}, args...)},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{id}},
	})
	k.must(err)
	manifest, err := json.Marshal([]map[string]any{
		{"Config": "config.json", "RepoTags": []string{tag}, "Layers": []string{"layer.tar"}}})
	k.must(err)
	var archive bytes.Buffer
	outer := tar.NewWriter(&archive)
	for _, f := range []struct {
		name string
		text []byte
	}{{"config.json", config}, {"layer.tar", layer.Bytes()}, {"manifest.json", manifest}} {
		k.must(outer.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text))}))
		_, err := outer.Write(f.text)
		k.must(err)
	}
	k.must(outer.Close())
	file := k.write("image.tar", archive.String())
	ctr := []string{"-a", k.containers, "-n", "k8s.io", "images", "import", file}
	_, err = run("", nil, filepath.Join(k.programs, "ctr"), ctr...)
	k.must(err)
}
