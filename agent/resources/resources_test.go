package resources

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// write writes files below a folder, by their paths.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// text returns families as Prometheus reads them, without the comments.
func text(t testing.TB, families []*dto.MetricFamily) string {
	t.Helper()
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0
  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
vethab: 7 7 0 0 0 0 0 0 7 7 0 0 0 0 0 0
`

// v2 are the files of a container of cgroup v2.
func v2(folder, name string) map[string]string {
	return map[string]string{
		"sys/fs/cgroup/cgroup.controllers": "cpu io memory pids\n",
		folder + "/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 10\n" +
			"nr_throttled 2\nthrottled_usec 250000\n",
		folder + "/memory.current": "1000000\n",
		folder + "/memory.peak":    "1500000\n",
		folder + "/memory.stat": "anon 600000\nfile 300000\nkernel 1000\n" +
			"file_mapped 2000\ninactive_file 100000\n" +
			"active_file 200000\npgfault 70\npgmajfault 7\n",
		folder + "/memory.events":       "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n",
		folder + "/memory.swap.current": "4096\n",
		folder + "/io.stat":             "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:1 \n",
		folder + "/pids.current":        "5\n",
		"proc/41/cgroup":                "0::" + name + "\n",
		"proc/41/net/dev":               netDev,
	}
}

// v1 are the files of the same of cgroup v1.
func v1(path string) map[string]string {
	f := func(controller, name string) string { return "sys/fs/cgroup/" + controller + path + "/" + name }
	return map[string]string{
		f("cpuacct", "cpuacct.usage"): "2500000000\n",
		f("cpuacct", "cpuacct.stat"):  "user 200\nsystem 50\n",
		f("cpu", "cpu.stat"): "nr_periods 10\nnr_throttled 2\n" +
			"throttled_time 250000000\n",
		f("memory", "memory.usage_in_bytes"):      "1000000\n",
		f("memory", "memory.max_usage_in_bytes"):  "1500000\n",
		f("memory", "memory.kmem.usage_in_bytes"): "1000\n",
		f("memory", "memory.failcnt"):             "3\n",
		f("memory", "memory.oom_control"):         "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		f("memory", "memory.stat"): "rss 1\ntotal_rss 600000\ntotal_cache 300000\n" +
			"total_mapped_file 2000\ntotal_swap 4096\n" +
			"total_inactive_file 100000\ntotal_active_file 200000\n" +
			"total_pgfault 70\ntotal_pgmajfault 7\n",
		f("blkio", "blkio.throttle.io_service_bytes_recursive"): "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n",
		f("blkio", "blkio.throttle.io_serviced_recursive"):      "8:0 Read 3\n8:0 Write 4\nTotal 7\n",
		f("pids", "pids.current"):                               "5\n",
		"proc/41/cgroup": "9:pids:" + path + "\n8:cpu,cpuacct:" + path + "\n7:memory:" + path + "\n3:blkio:" + path +
			"\n1:name=systemd:" + path + "\n0::/\n",
		"proc/41/net/dev": netDev,
	}
}

// TestCgroups reads the same container from the files of both versions, wherever its cgroup is.
func TestCgroups(t *testing.T) {
	five := uint64(5)
	want := usage{
		cpu: &cpuUsage{total: 2.5, user: 2, system: 0.5, periods: 10, throttledPeriods: 2, throttled: 0.25},
		memory: &memoryUsage{
			usage: 1000000, max: 1500000, rss: 600000, cache: 300000, mapped: 2000, swap: 4096, kernel: 1000,
			activeFile: 200000, inactiveFile: 100000, failures: 3, faults: 70, majorFaults: 7, oomKills: 1,
		},
		io:      []transfer{{device: "8:0", reads: 3, writes: 4, readBytes: 1, writtenBytes: 2}},
		threads: &five,
	}
	scope, slice := "/system.slice/docker-"+idA+".scope", "/docker/"+idA
	for _, test := range []struct {
		name, id string
		files    map[string]string
		change   map[string]string
	}{
		{"v2 by systemd", scope, v2("sys/fs/cgroup"+scope, scope), nil},
		{"v2 by cgroupfs", slice, v2("sys/fs/cgroup"+slice, slice), nil},
		{"v2 in a slice of the user's", "/shop.slice/docker-" + idA + ".scope",
			v2("sys/fs/cgroup/shop.slice/docker-"+idA+".scope", "/shop.slice/docker-"+idA+".scope"), nil},
		{"v2 seen from a container", scope, v2("sys/fs/cgroup"+scope, scope),
			map[string]string{"proc/41/cgroup": "0::/../docker-" + idA + ".scope\n"}},
		{"v2 and another process", scope, v2("sys/fs/cgroup"+scope, scope),
			map[string]string{"proc/41/cgroup": "0::/user.slice\n"}},
		{"v1", slice, v1(slice), nil},
		{"v1 and another process", slice, v1(slice), map[string]string{"proc/41/cgroup": "7:memory:/\n"}},
	} {
		dir := t.TempDir()
		write(t, dir, test.files)
		write(t, dir, test.change)
		c := newCgroups(filepath.Join(dir, "proc"), filepath.Join(dir, "sys"))
		p, err := c.find(idA, 41)
		if err != nil || p.id != test.id {
			t.Errorf("%s: it is at %q: %v", test.name, p.id, err)
			continue
		}
		got, err := c.read(p)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		private := cmp.AllowUnexported(usage{}, cpuUsage{}, memoryUsage{}, transfer{})
		if diff := cmp.Diff(want, got, private); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
		if _, err := c.find(idB, 41); err == nil {
			t.Errorf("%s: a container is found that is not there", test.name)
		}
	}
}

// fakeEngine answers as the Docker Engine does.
type fakeEngine struct {
	mu         sync.Mutex
	containers map[string]string // inspections, by id
	asked      []string
	stats      string
	events     chan string
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if i := strings.Index(path[1:], "/"); strings.HasPrefix(path, "/v1.") {
		path = path[1+i:]
	}
	e.mu.Lock()
	e.asked = append(e.asked, r.Method+" "+path)
	id := strings.Split(strings.TrimPrefix(path, "/containers/"), "/")[0]
	inspection, known := e.containers[id]
	var list []map[string]any
	for id := range e.containers {
		list = append(list, map[string]any{"Id": id})
	}
	e.mu.Unlock()
	w.Header().Set("Api-Version", "1.47")
	switch {
	case path == "/_ping":
	case path == "/events":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case event := <-e.events:
				fmt.Fprintln(w, event)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	case path == "/containers/json":
		_ = json.NewEncoder(w).Encode(list)
	case strings.HasSuffix(path, "/stats"):
		fmt.Fprint(w, e.stats)
	case known:
		fmt.Fprint(w, inspection)
	default:
		http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
	}
}

func (e *fakeEngine) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func (e *fakeEngine) set(id, inspection string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if inspection == "" {
		delete(e.containers, id)
		return
	}
	e.containers[id] = inspection
}

func inspection(id, name, state string, pid int) string {
	return fmt.Sprintf(`{"Id":%q,"Name":"/%s","RestartCount":2,"Created":"2026-01-02T03:04:05Z","State":{"Status":%q,
"Running":%t,"Pid":%d,"ExitCode":3,"StartedAt":"2026-01-02T03:04:06Z","Health":{"Status":"unhealthy"}},
"HostConfig":{"NetworkMode":"bridge","Memory":1048576,"NanoCpus":500000000},
"Config":{"Image":"shop/api","Labels":{"com.docker.compose.service":"api\n\"x\"","secret":"no"}}}`,
		id, name, state, state == "running", pid)
}

// A rig is a Watch of an engine of the test's.
type rig struct {
	t      *testing.T
	engine *fakeEngine
	dir    string
	now    time.Time
	watch  *Watch
	noted  chan struct{}
}

func newRig(t *testing.T, change func(*config.Watch)) *rig {
	t.Setenv("DOCKER_HOST", "")
	r := &rig{
		t: t, dir: t.TempDir(), now: time.Unix(1_800_000_000, 0),
		engine: &fakeEngine{containers: map[string]string{}, events: make(chan string)},
		noted:  make(chan struct{}, 100),
	}
	server := httptest.NewServer(r.engine)
	t.Cleanup(server.Close)
	c := config.Watch{
		Containers: true, MaxAge: pipeline.Duration(time.Second), Mode: "auto",
		Labels: []string{"com.docker.compose.service"}, Proc: filepath.Join(r.dir, "proc"),
		Sys: filepath.Join(r.dir, "sys"), Root: "/",
	}
	if change != nil {
		change(&c)
	}
	write(t, r.dir, map[string]string{"proc/x": "", "sys/x": ""})
	r.engine.set(idA, inspection(idA, "api", "running", 41))
	r.engine.set(idB, inspection(idB, "job", "exited", 0))
	write(t, r.dir, v2("sys/fs/cgroup/docker/"+idA, "/docker/"+idA))
	address := strings.TrimPrefix(server.URL, "http://")
	r.watch = Start(Options{
		Config: c, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now },
		Noted: func() { r.noted <- struct{}{} },
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	})
	t.Cleanup(r.watch.Close)
	return r
}

// waitForBothLists waits until the containers are listed before and after the events begin. Each
// list has all of them inspected anew.
func (r *rig) waitForBothLists() {
	r.t.Helper()
	for range 2 {
		select {
		case <-r.noted:
		case <-time.After(30 * time.Second):
			r.t.Fatal("the containers are not listed")
		}
	}
}

// until reads again and again until the text is as wanted.
func (r *rig) until(what string, is func(text string) bool) string {
	r.t.Helper()
	var last string
	for {
		r.now = r.now.Add(time.Minute)
		families, err := r.watch.Gather()
		if err != nil {
			r.t.Fatal(err)
		}
		if last = text(r.t, families); is(last) {
			return last
		}
		select {
		case <-r.noted:
		case <-time.After(30 * time.Second):
			r.t.Fatalf("waiting for %s:\n%s", what, last)
		}
	}
}

// TestContainers: names, labels and values are cAdvisor's; what has ended has no usage; series of
// what is gone disappear; nothing but GET is sent.
func TestContainers(t *testing.T) {
	r := newRig(t, nil)
	got := r.until("the containers", func(text string) bool { return strings.Contains(text, `name="job"`) })
	golden := filepath.Join("testdata", "containers.prom")
	lines := slices.DeleteFunc(strings.SplitAfter(got, "\n"), func(l string) bool {
		return strings.Contains(l, "last_seen")
	})
	got = strings.Join(lines, "")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	r.engine.set(idB, "")
	r.engine.events <- `{"Type":"container","Action":"destroy","Actor":{"ID":"` + idB + `"},"id":"` + idB + `"}`
	r.until("one container", func(text string) bool { return !strings.Contains(text, `name="job"`) })
	r.engine.set(idA, inspection(idA, "renamed", "running", 41))
	r.engine.events <- `{"Type":"container","Action":"rename","Actor":{"ID":"` + idA + `"}}`
	r.until("the new name", func(text string) bool {
		return strings.Contains(text, `name="renamed"`) && !strings.Contains(text, `name="api"`)
	})
	for _, request := range r.engine.requests() {
		if !strings.HasPrefix(request, "GET ") || strings.HasSuffix(request, "/stats") {
			t.Errorf("asked: %s", request)
		}
	}
}

// TestSharesReadings: scrapes within max_age share one reading, and nothing is asked between them.
func TestSharesReadings(t *testing.T) {
	r := newRig(t, nil)
	r.waitForBothLists()
	r.until("the containers", func(text string) bool { return strings.Contains(text, `name="job"`) })
	first, _ := r.watch.Gather()
	asked := r.engine.requests()
	r.now = r.now.Add(999 * time.Millisecond)
	second, _ := r.watch.Gather()
	r.now = r.now.Add(time.Millisecond)
	third, _ := r.watch.Gather()
	if &first[0] != &second[0] || &first[0] == &third[0] {
		t.Error("readings are not shared for max_age, and no longer")
	}
	if all := r.engine.requests(); len(all) != len(asked) {
		t.Errorf("what is known is asked for again: %q", all[len(asked):])
	}
}

// TestAPI: without files the engine is asked, and where those are wanted alone, not.
func TestAPI(t *testing.T) {
	const stats = `{"cpu_stats":{"cpu_usage":{"total_usage":2500000000,"usage_in_usermode":2000000000}},
"memory_stats":{"usage":1000,"stats":{"inactive_file":100,"anon":5}},"pids_stats":{"current":4},
"blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"read","value":7}]},
"networks":{"eth0":{"rx_bytes":11},"lo":{"rx_bytes":12}}}`
	for mode, asks := range map[string]bool{"api": true, "auto": true, "files": false} {
		r := newRig(t, func(c *config.Watch) { c.Mode, c.Sys = mode, "/nonexistent" })
		r.engine.stats = stats
		got := r.until("the containers", func(text string) bool { return strings.Contains(text, `name="job"`) })
		for _, want := range []string{
			`container_cpu_usage_seconds_total{container_label_com_docker_compose_service="api\n\"x\"",cpu="total",` +
				`id="/docker/` + idA + `",image="shop/api",name="api"} 2.5`,
			`name="api"} 900`, `interface="eth0",name="api"} 11`, `device="8:0"`,
		} {
			if strings.Contains(got, want) != asks {
				t.Errorf("%s: %q is there: %t\n%s", mode, want, !asks, got)
			}
		}
		if strings.Contains(got, `interface="lo"`) {
			t.Errorf("%s: there is an interface lo", mode)
		}
	}
}

// TestHost reads the host of another root, as in a container.
func TestHost(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"proc/loadavg": "0.5 0.25 0.125 1/100 7\n",
		"proc/stat": "cpu  100 0 50 800 10 0 5 0 0 0\ncpu0 100 0 50 800 10 0 5 0 0 0\n" +
			"intr 12 1\nctxt 34\nbtime 1700000000\n" +
			"processes 56\nprocs_running 2\nprocs_blocked 1\n",
		"proc/meminfo": "MemTotal:       16 kB\nMemAvailable:   8 kB\n" +
			"Active(anon):   4 kB\nHugePages_Total:   3\nbad name: 1 kB\n",
		"proc/1/net/dev": netDev,
		"proc/net/dev":   strings.ReplaceAll(netDev, "eth0", "ours"),
		"proc/diskstats": "   8       0 sda 1 2 3 4 5 6 7 8 0 10 11\n   8       1 sda1 1 2 3 4 5 6 7 8 0 10 11\n",
		"proc/1/mountinfo": "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n" +
			"2 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n" +
			"3 1 0:5 / /mnt/far rw - nfs4 far:/ rw\n" +
			"4 1 8:2 / /data\\040dir ro - xfs /dev/sdb ro\n5 1 0:6 / /proc rw - proc proc rw\n" +
			"6 1 8:3 / /none rw - ext4 /dev/sdc rw\n",
		"proc/sys/kernel/hostname": "real\n", "root/data dir/x": "", "sys/x": "",
	})
	h := newHost(config.Watch{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys"),
		Root: filepath.Join(dir, "root")})
	p := newPage()
	h.write(p)
	got := text(t, p.families())
	for _, want := range []string{
		"node_load1 0.5\n", "node_load15 0.125\n", `node_cpu_seconds_total{cpu="0",mode="idle"} 8` + "\n",
		"node_memory_MemAvailable_bytes 8192\n",
		"node_memory_Active_anon_bytes 4096\n", "node_memory_HugePages_Total 3\n",
		`node_network_receive_bytes_total{device="eth0"} 1000` + "\n",
		`node_disk_read_bytes_total{device="sda"} 1536` + "\n",
		`node_filesystem_readonly{device="/dev/sdb",device_error="",fstype="xfs",mountpoint="/data dir"} 1` + "\n",
		`mountpoint="/"`, `nodename="real"`, "node_boot_time_seconds 1.7e+09\n", "node_procs_running 2\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for _, no := range []string{"nfs4", "sda1\"}", "ours", "veth", "bad", `mountpoint="/proc"`, "/none"} {
		if strings.Contains(got, no) {
			t.Errorf("there is %q", no)
		}
	}
	if n := strings.Count(got, `node_filesystem_size_bytes{device="/dev/sda1"`); n != 1 {
		t.Errorf("a file system that is mounted twice at one place has %d series", n)
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestNothingThere: a host that cannot be read has no series, and that is no error.
func TestNothingThere(t *testing.T) {
	p := newPage()
	newHost(config.Watch{Proc: "/nonexistent", Sys: "/nonexistent", Root: "/nonexistent"}).write(p)
	for _, f := range p.families() {
		if f.GetName() != "node_uname_info" {
			t.Errorf("there is %s", f.GetName())
		}
	}
}

// FuzzParsers: whatever the kernel's files hold, parsers return, within their bounds, and what they
// return can be shown.
func FuzzParsers(f *testing.F) {
	for _, files := range []map[string]string{v1("/docker/" + idA), v2("x", "/docker/"+idA)} {
		for _, text := range files {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte("MemTotal:       16 kB\nActive(anon): 4 kB\n"))
	f.Add([]byte("8:0 Read 18446744073709551616\n:: \n\xff:1 rbytes"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		for name := range meminfo(data) {
			if n++; name == "" || n > maxMeminfo {
				t.Errorf("field %d is %q", n, name)
			}
		}
		flat(data)
		if all := ioStat(data); len(all) > maxDevices {
			t.Errorf("%d devices", len(all))
		}
		for _, d := range blkio(data, data) {
			if !isDevice(d.device) {
				t.Errorf("%q is a device", d.device)
			}
		}
		paths, err := cgroupPaths(data, idA)
		for _, path := range paths {
			if err != nil || !strings.Contains(path, idA) {
				t.Errorf("%q is a cgroup of the container: %v", path, err)
			}
		}
		root := t.TempDir()
		if p, ok := newCgroups(root, root).at(paths); ok {
			t.Errorf("%v is there", p)
		}
		p := newPage()
		p.gauge("x", "x", 1, pairs("a", string(data)))
		text(t, p.families())
	})
}
