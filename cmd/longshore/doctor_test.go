package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline/config"
)

// examined runs doctor on a config, on a host with a /proc of its own.
func examined(t *testing.T, proc, text string, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := &app{stdout: &out, stderr: &errs, env: func(string) (string, bool) { return "", false },
		components: components.All()}
	cmd := a.doctorCommandOn(host{proc: proc})
	cmd.SetArgs(append(flags, written(t, text)))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	code = exitDone
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		code = a.reportError(err)
	}
	return code, out.String(), errs.String()
}

// freeAddress is one on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDoctor(t *testing.T) {
	var pushes atomic.Int32
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			pushes.Add(1)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprint(w, `{"version":"3.7.8"}`)
	}))
	defer loki.Close()
	dir, free := t.TempDir(), freeAddress(t)
	log := filepath.Join(dir, "a.log")
	if err := os.WriteFile(log, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("data_dir: %s/data\nhttp: {listen: %q}\ninputs: {logs: {type: file, paths: [%s]}}\n"+
		"outputs: {loki: {type: loki, url: %q, proxy: none, auth: {username: me, password: hunter2}}}\n", dir, free,
		log,
		loki.URL)

	code, stdout, stderr := examined(t, t.TempDir(), text)
	stdout = regexp.MustCompile(`[0-9.]+ [KMGT]iB are free.*\n(    .*\n)?`).ReplaceAllString(stdout, "ROOM\n")
	stdout = regexp.MustCompile(`[✓!]( system, open files: )\d+`).ReplaceAllString(stdout, "✓${1}N")
	stdout = regexp.MustCompile(`[✓!]( data_dir, space)`).ReplaceAllString(stdout, "✓${1}")
	stdout = regexp.MustCompile(`config, \S*: valid`).ReplaceAllString(stdout, "config, FILE: valid")
	want := `✓ config, FILE: valid
✓ data_dir, folder: DIR/data will be made, and may be written to
✓ data_dir, space: ROOM
✓ http, address: FREE is free
✓ system, open files: N at most
✓ input logs, paths[0] DIR/a.log: 1 file
✓ output loki, TCP: LOKI takes connections
✓ output loki, clock: the same as here
✓ output loki, server: Loki 3.7.8
✓ output loki, writing: allowed
nothing failed
`
	want = strings.NewReplacer("DIR", dir, "FREE", free, "LOKI", loki.Listener.Addr().String()).Replace(want)
	stdout = strings.ReplaceAll(stdout, " and 1 warning", "") // of the room on this machine
	if code != 0 || stdout != want || strings.Contains(stdout+stderr, "hunter2") {
		t.Errorf("exit %d, %s\ngot:\n%s\nwant:\n%s", code, stderr, stdout, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil || pushes.Load() != 1 {
		t.Error("changes something")
	}

	code, stdout, stderr = examined(t, t.TempDir(), text, "--write")
	if code != 0 || !strings.Contains(stdout, "test record: stored; it is of the service longshore-doctor") {
		t.Errorf("--write: exit %d, %s%s", code, stdout, stderr)
	}
}

func TestDoctorAsJSON(t *testing.T) {
	code, stdout, stderr := examined(t, t.TempDir(), "data_dir: /proc/none\nhttp: {listen: \""+freeAddress(t)+"\"}\n"+
		"inputs: {logs: {type: file, paths: [/none/*.log]}}\noutputs: {loki: {type: loki, url: 'http://none.invalid', "+
		"proxy: none}}\n", "--json")
	var report struct {
		Findings         []diagnosis
		Failed, Warnings int
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	states := map[string]string{}
	for _, f := range report.Findings {
		states[f.About+" "+f.What] = f.State
	}
	if code != exitFailed || report.Failed < 1 || states["output loki DNS"] != "failed" ||
		states["input logs paths[0] /none/*.log"] != "warning" || !strings.Contains(stderr, "failed") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
}

func TestDoctorOfAWrongConfig(t *testing.T) {
	code, stdout, stderr := examined(t, t.TempDir(), "inputs: {a: {type: dokcer}}\n")
	if code != exitFailed || !strings.Contains(stdout, `did you mean "docker"?`) || !strings.Contains(stderr,
		"1 failed") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
}

// TestDoctorNamesWhoIsInTheWay has a /proc with a process that holds the lock of data_dir, and the
// port.
func TestDoctorNamesWhoIsInTheWay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	data, proc := t.TempDir(), t.TempDir()
	lock := filepath.Join(data, "lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(lock)
	if err != nil {
		t.Fatal(err)
	}
	inode := strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10)
	for _, dir := range []string{"net", "42/fd", "43/fd"} {
		if err := os.MkdirAll(filepath.Join(proc, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout " +
			"inode\n" +
			fmt.Sprintf("   0: 0100007F:%04X 0100007F:1234 01 00000000:00000000 00:00000000 00000000 0 0 1 1\n", port) +
			fmt.Sprintf("   1: 0100007F:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1\n",
				port),
		"42/comm": "longshore\n", "43/comm": "evil\x1b[31m\n",
		"locks": "1: POSIX  ADVISORY  WRITE 9 00:1b:" + inode + " 0 EOF\n2: FLOCK  ADVISORY  WRITE 42 00:1b:" + inode +
			" 0 EOF\n",
	} {
		if err := os.WriteFile(filepath.Join(proc, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("data_dir: %s\nhttp: {listen: %q}\ninputs: {a: {type: stdin}}\noutputs: {a: {type: stdout}}\n",
		data,
		l.Addr())
	for pid, want := range map[string]string{
		"42": "✓ http, address: " + l.Addr().String() +
			" is in use by longshore (process 42), the agent of this config\n",
		"43": "✗ http, address: " + l.Addr().String() +
			" is in use by evil·[31m (process 43)\n    stop that, or set http.listen",
	} {
		link := filepath.Join(proc, pid, "fd", "3")
		if err := os.Symlink("socket:[777]", link); err != nil {
			t.Fatal(err)
		}
		_, stdout, _ := examined(t, proc, text)
		if !strings.Contains(stdout, want) {
			t.Errorf("%s: got\n%s", pid, stdout)
		}
		if !strings.Contains(stdout, "✓ data_dir, lock: in use by longshore (process 42)") {
			t.Errorf("does not say who has the lock:\n%s", stdout)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoctorOfADataDir(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		open: "! data_dir, rights: every user of this machine may write", file: "✗ data_dir, folder: " + file +
			" is no folder",
	} {
		_, stdout, _ := examined(t, t.TempDir(), "data_dir: "+dir+"\nhttp: {listen: \""+freeAddress(t)+"\"}\n"+
			"inputs: {a: {type: stdin}}\noutputs: {a: {type: stdout}}\n")
		if !strings.Contains(stdout, want) {
			t.Errorf("want %s:\n%s", want, stdout)
		}
	}
	d := doctor{}
	cfg := &config.Config{Outputs: []config.Output{{}}}
	cfg.Outputs[0].Common.Spool = 1 << 60
	if f := d.space(cfg, open); f.State.String() != "warning" || !strings.Contains(f.Says, "may take") {
		t.Errorf("of too little room: %+v", f)
	}
}

func TestSocketOnGarbage(t *testing.T) {
	for _, table := range []string{"", "x", "a b c 0A e f g h i j", "0: 00:ZZZZ 0 0A 0 0 0 0 0 5",
		"0: 0:1 0 0A 0 0 0 0 0 5",
		"0: :161610 0 0A 0 0 0 0 0 5"} {
		if got := socketOn(table, 5654); got != "" {
			t.Errorf("%q: %q", table, got)
		}
	}
}
