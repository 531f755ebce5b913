package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An engine is a Docker Engine that answers: the machine's own, or one that this package started.
type engine struct {
	host    string // as in DOCKER_HOST
	cli     string // the docker command
	own     bool   // started here
	edition string // of one that was started here
	daemon  *daemon
	client  *http.Client
}

// machineEngine is the Docker Engine that runs on this machine already, if one does.
func machineEngine() *engine {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	cli, err := exec.LookPath("docker")
	if err != nil {
		return nil
	}
	e := &engine{host: host, cli: cli, client: dockerClient(host)}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if e.ping(ctx) != nil {
		return nil
	}
	return e
}

// dockerClient sends every request to the engine, whatever host its URL names.
func dockerClient(host string) *http.Client {
	network, address, _ := strings.Cut(host, "://")
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

func (e *engine) ping(ctx context.Context) error {
	_, err := e.call(ctx, http.MethodGet, "/_ping", nil)
	return err
}

// call makes one request of the engine's API; an answer of 400 or more is an *apiError.
func (e *engine) call(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-tar") // of the only body that is sent
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling the Docker Engine: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("calling the Docker Engine: %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 400 {
		return nil, &apiError{method: method, path: path, status: resp.StatusCode, text: string(text)}
	}
	return text, nil
}

type apiError struct {
	method, path, text string
	status             int
}

func (e *apiError) Error() string {
	return fmt.Sprintf("calling the Docker Engine: %s %s: %d %s", e.method, e.path, e.status, strings.TrimSpace(e.text))
}

func isStatus(err error, status int) bool {
	var answer *apiError
	return errors.As(err, &answer) && answer.status == status
}

// tidy removes all containers, and what only they needed. The images stay: they are a cache. A
// swarm, whose services would make containers anew, is left.
func (e *engine) tidy(ctx context.Context) error {
	_, err := e.call(ctx, http.MethodPost, "/swarm/leave?force=1", nil)
	if err != nil && !isStatus(err, http.StatusServiceUnavailable) {
		return err
	}
	text, err := e.call(ctx, http.MethodGet, "/containers/json?all=1", nil)
	if err != nil {
		return err
	}
	var containers []struct{ ID string }
	if err := json.Unmarshal(text, &containers); err != nil {
		return fmt.Errorf("reading the list of containers: %w", err)
	}
	for _, c := range containers {
		_, err := e.call(ctx, http.MethodDelete, "/containers/"+c.ID+"?force=1&v=1", nil)
		if err != nil && !isStatus(err, http.StatusConflict) { // a conflict: it is being removed
			return err
		}
	}
	for _, what := range []string{"networks", "volumes", "images"} {
		if _, err := e.call(ctx, http.MethodPost, "/"+what+"/prune", nil); err != nil {
			return err
		}
	}
	return nil
}

// An edition is one of the Docker Engines that tests are run on.
type edition struct {
	name   string // of its subtests, and of its data in the cache
	ensure func() (dockerInstall, error)
}

// editions are what users run now, first, and what they ran for years: an engine before 23.0, with
// its faults.
var editions = []edition{
	{name: "29", ensure: ensureDocker29},
	{name: "debian", ensure: ensureDocker},
}

// The private engine is one for all tests of this process, which share it, and for all processes,
// which wait for each other: two engines on one machine would use the same bridge and undo each
// other's packet filter rules.
var private struct {
	sync.Mutex
	engine  *engine
	edition string
	users   int
	close   func()
}

// acquirePrivate returns the private engine, which it starts for the first user and ends with the
// last one's release.
func acquirePrivate(ed edition) (e *engine, release func(), err error) {
	private.Lock()
	defer private.Unlock()
	if private.users > 0 && private.edition != ed.name {
		return nil, nil, fmt.Errorf("Docker Engine %s is in use: a test wants %s beside it", private.edition, ed.name)
	}
	if private.users == 0 {
		private.engine, private.close, err = startPrivate(ed)
		if err != nil {
			return nil, nil, err
		}
		private.edition = ed.name
	}
	private.users++
	return private.engine, releasePrivate, nil
}

func releasePrivate() {
	private.Lock()
	defer private.Unlock()
	private.users--
	if private.users == 0 {
		private.close()
	}
}

func startPrivate(ed edition) (e *engine, end func(), err error) {
	install, err := ed.ensure()
	if err != nil {
		return nil, nil, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, nil, err
	}
	unlock, err := lock(filepath.Join(cache, "docker-data.lock"), "another process uses the tests' Docker Engine")
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "longshore-docker-") // short: it is for sockets, whose paths have a limit
	if err != nil {
		unlock()
		return nil, nil, fmt.Errorf("making a folder for the Docker Engine: %w", err)
	}
	data := filepath.Join(cache, "docker-data-"+ed.name)
	e = newPrivate(install, data, dir)
	e.edition = ed.name
	if err := e.startTidy(data + ".pid"); err != nil {
		e.daemon.stop()
		os.RemoveAll(dir)
		unlock()
		return nil, nil, err
	}
	return e, func() {
		e.shutdown()
		// An engine that was killed leaves its data folder mounted on itself; where none is, this
		// fails, and need not do more.
		_, _ = run("", nil, "umount", data)
		os.RemoveAll(dir)
		unlock()
	}, nil
}

// newPrivate keeps images in the data folder, which is the cache's, and all else in dir.
func newPrivate(install dockerInstall, data, dir string) *engine {
	host := "unix://" + filepath.Join(dir, "docker.sock")
	e := &engine{host: host, cli: install.cli, own: true, client: dockerClient(host)}
	config := filepath.Join(dir, "daemon.json")
	args := append([]string{
		"--config-file", config, // not the machine's
		"--data-root", data,
		"--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", data + ".pid",
		"--containerd-namespace", "longshore-e2e",
		"--containerd-plugins-namespace", "longshore-e2e-plugins",
		"--host", host,
	}, install.args...)
	e.daemon = &daemon{
		name: "Docker Engine",
		dir:  dir,
		command: func() *exec.Cmd {
			awaitContainerd(filepath.Join(dir, "exec", "containerd", "containerd.pid"))
			cmd := exec.Command(install.dockerd, args...)
			cmd.Env = append(os.Environ(), install.env...)
			return cmd
		},
		ready:   e.ping,
		patient: time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGTERM, // so that it ends its containers, and containerd, with it
	}
	return e
}

func (e *engine) startTidy(pidfile string) error {
	if err := awaitFormer(pidfile); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(e.daemon.dir, "daemon.json"), []byte("{}"), 0o644); err != nil {
		return fmt.Errorf("configuring the Docker Engine: %w", err)
	}
	if err := e.daemon.start(); err != nil {
		return err
	}
	return e.tidy(context.Background())
}

// shutdown starts an engine again that a test has ended, because only an engine can end its
// containers.
func (e *engine) shutdown() {
	if e.daemon.process.ended() {
		if err := e.daemon.start(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return
		}
	}
	e.daemon.process.signal(syscall.SIGCONT)
	if err := e.tidy(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: tidying up:", err)
	}
	e.daemon.stop()
}

// awaitFormer waits for the engine of a test that was killed: it needs a moment to end.
func awaitFormer(pidfile string) error {
	for range 300 {
		text, err := os.ReadFile(pidfile)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for a former Docker Engine: %w", err)
		}
		name, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/comm")
		if strings.TrimSpace(string(name)) != "dockerd" {
			return os.Remove(pidfile)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("a former Docker Engine does not end, see %s", pidfile)
}

// awaitContainerd waits for the containerd of an engine that was killed. It dies with its engine,
// but a moment later, and the next engine would take it for a living one. The file is removed,
// because a process that nobody has reaped looks alive.
func awaitContainerd(pidfile string) {
	text, err := os.ReadFile(pidfile)
	if err != nil {
		return // a first start
	}
	for range 100 {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	os.Remove(pidfile)
}

// dockerInstall is where Docker Engine's programs are.
type dockerInstall struct {
	dockerd, cli string
	args         []string // of dockerd
	env          []string // what they need to find each other
}

// ensureDocker finds an installed Docker Engine, or extracts Debian's packages into the cache
// folder: nothing is installed, so that neither another docker command nor the machine's services
// change.
func ensureDocker() (dockerInstall, error) {
	if os.Geteuid() != 0 {
		return dockerInstall{}, errors.New("no Docker Engine runs, and only root can start one")
	}
	cli, _ := exec.LookPath("docker")
	dockerd, err := exec.LookPath("dockerd")
	_, filterErr := exec.LookPath("iptables")
	if err == nil && filterErr == nil && cli != "" {
		return dockerInstall{dockerd: dockerd, cli: cli}, nil
	}
	dir, err := debianPackages("docker-engine", "docker.io", "iptables")
	if err != nil {
		return dockerInstall{}, fmt.Errorf("no Docker Engine runs: %w", err)
	}
	if cli == "" {
		cli = filepath.Join(dir, "usr/bin/docker")
	}
	return dockerInstall{dockerd: filepath.Join(dir, "usr/sbin/dockerd"), cli: cli, env: debianEnv(dir)}, nil
}

// debianPackages extracts Debian packages, with those they depend on that are not installed, into
// the cache folder.
func debianPackages(name string, packages ...string) (string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		missing := strings.Join(packages, ", ")
		return "", fmt.Errorf("%s is not installed, and is fetched only on Debian and the like", missing)
	}
	announce := "getting the Debian packages " + strings.Join(packages, ", ")
	return once(name+"-"+release(), announce, func(dir string) error {
		archives, err := os.MkdirTemp("", "longshore-apt-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(archives)
		if err := aptDownload(archives, packages); err != nil {
			return err
		}
		debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
		if err != nil {
			return err
		}
		for _, deb := range debs {
			if _, err := run("", nil, "dpkg-deb", "-x", deb, dir); err != nil {
				return err
			}
		}
		return linkIptables(dir)
	})
}

// release is the name of this machine's Debian release, which the packages are for.
func release() string {
	text, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "VERSION_CODENAME="); ok {
			return strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	return "unknown"
}

func aptDownload(archives string, packages []string) error {
	if err := os.Mkdir(filepath.Join(archives, "partial"), 0o755); err != nil {
		return err
	}
	env := []string{"DEBIAN_FRONTEND=noninteractive"}
	args := []string{"install", "--yes", "--no-install-recommends", "--download-only",
		"-o", "Dir::Cache::archives=" + archives, "-o", "DPkg::Lock::Timeout=300"}
	args = append(args, packages...)
	if _, err := run("", env, "apt-get", args...); err == nil {
		return nil
	}
	// A new machine has no lists yet, or old ones.
	if _, err := run("", env, "apt-get", "update"); err != nil {
		return err
	}
	_, err := run("", env, "apt-get", args...)
	return err
}

// linkIptables does what Debian's alternatives would: it chooses the variant that this kernel has.
func linkIptables(dir string) error {
	sbin := filepath.Join(dir, "usr", "sbin")
	if !exists(filepath.Join(sbin, "iptables-nft")) {
		return nil
	}
	variant := "nft"
	if _, err := run("", debianEnv(dir), filepath.Join(sbin, "iptables-nft"), "-t", "nat", "-nL"); err != nil {
		variant = "legacy"
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		if err := os.Symlink(name+"-"+variant, filepath.Join(sbin, name)); err != nil {
			return err
		}
	}
	return nil
}

// debianEnv makes programs find programs, libraries and iptables' extensions in a folder of
// extracted packages.
func debianEnv(dir string) []string {
	libraries, _ := filepath.Glob(filepath.Join(dir, "usr", "lib", "*-linux-gnu*")) // fails only for a bad pattern
	env := []string{
		"PATH=" + filepath.Join(dir, "usr/bin") + ":" + filepath.Join(dir, "usr/sbin") + ":" + os.Getenv("PATH"),
		"LD_LIBRARY_PATH=" + strings.Join(libraries, ":"),
	}
	for _, library := range libraries {
		if extensions := filepath.Join(library, "xtables"); exists(extensions) {
			env = append(env, "XTABLES_LIBDIR="+extensions)
		}
	}
	return env
}
