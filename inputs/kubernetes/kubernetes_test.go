package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs on real time, with an API that knows the pod that writes.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		api := newFakeAPI(t)
		api.put("ADDED", "u1", map[string]string{"app": "web"}, nil)
		api.put("ADDED", "u2", nil, nil)
		r := &rig{t: t, root: t.TempDir(), api: api}
		writeTo := func(name string) func(testing.TB, ...string) {
			return func(_ testing.TB, lines ...string) { r.append(name, strings.Join(lines, "\n")+"\n") }
		}
		return pipetest.InputHarness{
			New:        func(testing.TB) pipeline.Input { return r.input() },
			Write:      writeTo("shop_web-1_u1/web/0.log"),
			WriteOther: writeTo("shop_db-0_u2/db/0.log"),
			Resumes:    true,
		}
	})
}

// A rig runs the input on a folder of its own.
type rig struct {
	t      *testing.T
	root   string
	api    *fakeAPI // nil for none
	more   string   // settings
	health health1
}

type health1 struct {
	mu  sync.Mutex
	err error
}

func (h *health1) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *health1) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

func (r *rig) input() pipeline.Input {
	api := "{mode: off}"
	if r.api != nil {
		api = fmt.Sprintf("{url: %q, wait: 20s}", r.api.URL)
	}
	c := pipetest.Config[*Config](r.t, Spec(),
		fmt.Sprintf("root: %q\nnode: n1\napi: %s\npoll_interval: 1h\n%s", r.root, api, r.more))
	env := pipeline.NewEnv("pods", slog.New(slog.DiscardHandler))
	env.Health = r.health.set
	in, err := c.Input(env)
	if err != nil {
		r.t.Fatal(err)
	}
	return in
}

// run runs the input until the end of the test, or until it is stopped.
func (r *rig) run(feed *pipetest.Feed) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	in := r.input()
	go func() { ended <- in.Run(ctx, feed) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) append(name, text string) {
	path := filepath.Join(r.root, name)
	r.must(os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	r.must(err)
	_, err = f.WriteString(text)
	r.must(err)
	r.must(f.Close())
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func show(src *event.Source) string {
	var all []string
	for _, l := range src.Labels {
		all = append(all, l.Name+"="+l.Value)
	}
	return strings.Join(all, "\n")
}

func TestLabels(t *testing.T) {
	api := newFakeAPI(t)
	api.put("ADDED", "u1", map[string]string{"app.kubernetes.io/name": "web", "app": "w", "pod-template-hash": "x"},
		map[string]string{"longshore/parser": "json", "longshore/parser.proxy": "access", "team": "a.b", "other": "c"})
	for _, tt := range []struct {
		name, path string
		api        *fakeAPI
		want       []string
	}{
		{"by the API", "shop_web-1_u1/main/2.log", api, []string{
			"host.name=n1", "k8s.container.restart_count=2", "k8s.namespace.name=shop", "k8s.node.name=n1",
			"k8s.pod.annotation.team=a.b", "k8s.pod.label.app=w", "k8s.pod.label.app_kubernetes_io/name=web",
			"k8s.pod.name=web-1", "k8s.pod.uid=u1", "longshore.parser=json", "service=web"}},
		{"a container's own", "shop_web-1_u1/proxy/0.log", api, []string{"longshore.parser=access"}},
		{"by the path", "shop_web-1_u1/main/0.log", nil, []string{
			"host.name=n1", "k8s.namespace.name=shop", "k8s.pod.name=web-1", "container.name=main", "service=main"}},
		{"another layout", "u1/main/0.log", nil, []string{"filename=", "k8s.node.name=n1"}},
		{"hostile", "a_b_c_d/main/0.log", nil, []string{"filename=", "k8s.node.name=n1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &rig{t: t, root: t.TempDir(), api: tt.api, more: "pod_annotations: [team]"}
			r.append(tt.path, "a\n")
			feed := pipetest.NewFeed(t)
			r.run(feed)
			got := show(feed.WaitFor(within(t), 1)[0].Source)
			for _, want := range tt.want {
				if !strings.Contains("\n"+got+"\n", "\n"+want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if strings.Contains(got, "pod-template-hash") || strings.Contains(got, "annotation.other") {
				t.Errorf("what was not asked for is there:\n%s", got)
			}
		})
	}
}

// TestChoices has some followed and others not, by path, label and annotation.
func TestChoices(t *testing.T) {
	api := newFakeAPI(t)
	api.put("ADDED", "u1", map[string]string{"tier": "front"}, nil)
	api.put("ADDED", "u2", map[string]string{"tier": "back"}, map[string]string{"longshore/enable.noisy": "false"})
	for _, tt := range []struct {
		more string
		want []string
	}{
		{"", []string{"shop/one", "shop/two", "sys/one"}},
		{"exclude: {namespaces: [sy*]}", []string{"shop/one", "shop/two"}},
		{"include: {containers: [one]}", []string{"shop/one", "sys/one"}},
		{"include: {labels: [tier=back]}", []string{"sys/one"}},
		{"exclude: {labels: [tier=b*], pods: [nothing]}", []string{"shop/one", "shop/two"}},
	} {
		t.Run(tt.more, func(t *testing.T) {
			r := &rig{t: t, root: t.TempDir(), api: api, more: tt.more}
			r.append("shop_a_u1/one/0.log", "shop/one\n")
			r.append("shop_a_u1/two/0.log", "shop/two\n")
			r.append("sys_b_u2/one/0.log", "sys/one\n")
			r.append("sys_b_u2/noisy/0.log", "sys/noisy\n")
			feed := pipetest.NewFeed(t)
			r.run(feed)
			feed.WaitFor(within(t), len(tt.want))
			r.append("sys_b_u2/noisy/0.log", "again\n")
			r.append("shop_z_u1/one/0.log", "last\n") // is read after what there was
			feed.Wait(within(t), "the last", func(got []pipetest.Got) bool {
				return len(got) > len(tt.want) || strings.Contains(tt.more, "back")
			})
			count := map[string]int{}
			for _, line := range feed.Lines() {
				count[line]++
			}
			delete(count, "last")
			want := map[string]int{}
			for _, line := range tt.want {
				want[line]++
			}
			if diff := cmp.Diff(want, count); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWaitsForThePod begins a log before the API tells of its pod, and deletes it unread.
func TestWaitsForThePod(t *testing.T) {
	api := newFakeAPI(t)
	api.breaks(true)
	r := &rig{t: t, root: t.TempDir(), api: api}
	feed := pipetest.NewFeed(t)
	r.append("shop_web-1_u1/main/0.log", "a\nb\n")
	r.run(feed)
	waitUntil(t, "the input reports that the API fails", func() bool {
		err := r.health.get()
		return err != nil && strings.Contains(err.Error(), "out of order")
	})
	if got := feed.Lines(); len(got) > 0 {
		t.Errorf("%q were read without labels", got)
	}
	waitUntil(t, "the log is open", func() bool { return isOpen(t, filepath.Join(r.root, "shop_web-1_u1/main/0.log")) })
	r.must(os.RemoveAll(filepath.Join(r.root, "shop_web-1_u1")))
	api.put("ADDED", "u1", map[string]string{"app": "web"}, nil)
	api.breaks(false)
	got := feed.WaitFor(within(t), 2)
	if service := got[0].Source.Label(event.LabelService); service != "web" {
		t.Errorf("service %q", service)
	}
	waitUntil(t, "all is well", func() bool { return r.health.get() == nil })
}

// isOpen reports whether the test has a file open.
func isOpen(t *testing.T, path string) bool {
	t.Helper()
	want, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("what is open cannot be seen here:", err)
	}
	for _, fd := range open {
		if is, err := os.Stat(filepath.Join("/proc/self/fd", fd.Name())); err == nil && os.SameFile(is, want) {
			return true
		}
	}
	return false
}

// TestDeletedPodIsRemembered deletes a pod from the API before its log is read.
func TestDeletedPodIsRemembered(t *testing.T) {
	api := newFakeAPI(t)
	api.put("ADDED", "u1", map[string]string{"app": "web"}, nil)
	r := &rig{t: t, root: t.TempDir(), api: api}
	feed := pipetest.NewFeed(t)
	r.append("shop_other_u1/main/0.log", "first\n")
	r.run(feed)
	feed.WaitFor(within(t), 1) // the pods are known
	api.put("DELETED", "u1", map[string]string{"app": "web"}, nil)
	r.append("shop_web-1_u1/late/0.log", "a\n")
	if got := feed.WaitFor(within(t), 2)[1]; got.Source.Label(event.LabelService) != "web" {
		t.Errorf("labels\n%s", show(got.Source))
	}
}

// TestAsksForNoMore sees to it that only metadata of the node's pods is asked for.
func TestAsksForNoMore(t *testing.T) {
	api := newFakeAPI(t)
	api.put("ADDED", "u1", nil, nil)
	r := &rig{t: t, root: t.TempDir(), api: api}
	feed := pipetest.NewFeed(t)
	r.append("shop_web-1_u1/main/0.log", "a\n")
	r.run(feed)
	feed.WaitFor(within(t), 1)
	api.mu.Lock()
	defer api.mu.Unlock()
	for _, request := range api.requests {
		if !strings.HasPrefix(request, "/api/v1/pods spec.nodeName=n1 application/json;as=PartialObjectMetadata") {
			t.Errorf("it asks for %s", request)
		}
	}
}

// TestStaticPod has another uid in the API than in its path.
func TestStaticPod(t *testing.T) {
	p := newPods(&Config{Root: "/r"}, "n1", true)
	p.put(t, "ADDED", `{"metadata":{"uid":"api","labels":{"app":"etcd"},`+
		`"annotations":{"kubernetes.io/config.hash":"h"}}}`)
	labels := event.NewSource(1, "", "", p.Labels("/r/kube-system_etcd-n1_h/etcd/0.log"))
	if got := labels.Label(event.LabelService); got != "etcd" {
		t.Errorf("service %q", got)
	}
}

// TestMemoryIsBounded deletes more pods than are remembered.
func TestMemoryIsBounded(t *testing.T) {
	p := newPods(&Config{Root: "/r"}, "n1", true)
	for i := range maxDeleted + 10 {
		object := fmt.Sprintf(`{"metadata":{"uid":"u%d"}}`, i)
		p.put(t, "ADDED", object)
		p.put(t, "DELETED", object)
	}
	if len(p.known) != maxDeleted || len(p.deleted) != maxDeleted {
		t.Errorf("%d are known, of which %d are deleted", len(p.known), len(p.deleted))
	}
	for i := range maxAsked + 10 {
		p.find(fmt.Sprint("x", i))
	}
	if len(p.asked) > maxAsked {
		t.Errorf("%d unknown ones are remembered", len(p.asked))
	}
}

func (p *pods) put(t *testing.T, what, object string) {
	t.Helper()
	if err := p.Change(t.Context(), what, []byte(object)); err != nil {
		t.Fatal(err)
	}
}

func FuzzPlaceOf(f *testing.F) {
	f.Add("/r/shop_web-1_u1/main/0.log")
	f.Add("/r/a__b/c/..log")
	p := newPods(&Config{Root: "/r"}, "n1", false)
	f.Fuzz(func(t *testing.T, path string) {
		at, ok := p.placeOf(path)
		if ok && (at.namespace == "" || at.pod == "" || at.uid == "") {
			t.Errorf("%q is %+v", path, at)
		}
		p.Labels(path)
		p.Choose(path)
	})
}

func TestConfigProblems(t *testing.T) {
	for yaml, want := range map[string]string{
		"root: pods":                            "root",
		"api: {url: kube}":                      "api.url",
		"api: {url: 'http://k', token_file: t}": "api.url",
		"include: {pods: ['']}":                 "include.pods[0]",
	} {
		c := pipetest.Config[*Config](t, Spec(), "root: /r")
		var problems []pipeline.Problem
		switch want {
		case "root":
			c.Root = "pods"
		case "api.url":
			c.API.URL = "kube"
			if strings.Contains(yaml, "token") {
				c.API.URL, c.API.TokenFile = "http://k", "t"
			}
		default:
			c.Include.Pods = []string{""}
		}
		if problems = c.Check(); len(problems) != 1 || problems[0].Path != want {
			t.Errorf("%s: %v", yaml, problems)
		}
	}
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx := within(t)
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatal("not in time: " + what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
