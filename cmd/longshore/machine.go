package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

const (
	// lookTime is how long one look at a socket or server may take.
	lookTime = 2 * time.Second
	// growing is how old the last write to a file may be that is still written to.
	growing = 24 * time.Hour
	// maxLogFiles is how many files below /var/log are looked at.
	maxLogFiles = 5000
	// maxLogDepth is how deep below /var/log they may be.
	maxLogDepth = 3
)

// A machine is where a config is to run: what of it is looked at to write one. What is found is
// said by saw, which must be set.
type machine struct {
	saw    func(format string, args ...any)
	env    func(string) (string, bool)
	isRoot bool
	home   string
	logs   string // the folder of the system's logs
	// sockets are those of container engines, the default one first.
	sockets []string
	// Addresses of servers on this machine.
	loki, elastic, victoria string
	now                     func() time.Time
}

const defaultSocket = "/var/run/docker.sock"

func thisMachine(env func(string) (string, bool)) machine {
	m := machine{
		env: env, isRoot: os.Geteuid() == 0, logs: "/var/log",
		loki: "127.0.0.1:3100", elastic: "127.0.0.1:9200", victoria: "127.0.0.1:9428", now: time.Now,
	}
	m.home, _ = env("HOME")
	m.sockets = []string{defaultSocket}
	if runtime, _ := env("XDG_RUNTIME_DIR"); runtime != "" {
		m.sockets = append(m.sockets, filepath.Join(runtime, "docker.sock"))
	}
	m.sockets = append(m.sockets, "/run/podman/podman.sock")
	return m
}

// plainPath matches paths that are written into YAML, and taken for globs, as they are.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._/@+-]*$`)

// dataDir returns the folder that fits who runs it.
func (m *machine) dataDir() string {
	const system = "/var/lib/longshore"
	state, _ := m.env("XDG_STATE_HOME")
	switch {
	case m.isRoot:
		return system
	case filepath.IsAbs(state):
		return filepath.Join(state, "longshore")
	case filepath.IsAbs(m.home):
		return filepath.Join(m.home, ".local/state/longshore")
	}
	return system
}

// inputs returns the inputs for what is found.
func (m *machine) inputs(ctx context.Context) string {
	text := m.dockerInput(ctx)
	globs := m.logGlobs()
	if len(globs) > 0 {
		text += "  # Files that are written to. Compressed and rotated copies are recognised.\n" +
			"  logs:\n    type: file\n    paths:\n"
		for _, glob := range globs {
			text += "      - " + glob + "\n"
		}
	}
	if text != "" {
		return text
	}
	return "  # Nothing was found on this machine; put the paths of your logs here.\n" +
		"  logs:\n    type: file\n    paths:\n      - /var/log/app/*.log\n"
}

func (m *machine) dockerInput(ctx context.Context) string {
	const head = "  # The logs of all containers; include and exclude choose: longshore list docker\n" +
		"  containers:\n    type: docker\n"
	if host, _ := m.env("DOCKER_HOST"); host != "" {
		m.saw("DOCKER_HOST is set: an input for its containers, which takes the address from there")
		return head
	}
	for _, socket := range m.sockets {
		err := dialSocket(ctx, socket)
		switch {
		case err == nil:
			m.saw("%s: answers; an input for all containers", socket)
			if socket != defaultSocket {
				return head + "    host: unix://" + socket + "\n"
			}
			return head
		case errors.Is(err, fs.ErrNotExist):
			m.saw("%s: is not there", socket)
		case errors.Is(err, fs.ErrPermission):
			m.saw("%s: is there, and this user may not use it: run longshore as root or in the socket's group, or "+
				"see longshore doctor", socket)
		default:
			m.saw("%s: is there, and nobody answers", socket)
		}
	}
	return ""
}

func dialSocket(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	return conn.Close()
}

// systemLogs are names of logs that have no ending.
var systemLogs = []string{"syslog", "messages", "secure", "maillog", "cron", "daemon", "user", "debug"}

// logGlobs returns globs of the logs that can be read and are written to: of a folder's *.log, and
// those known by name.
func (m *machine) logGlobs() []string {
	var globs []string
	unreadable, idle, looked := 0, 0, 0
	err := filepath.WalkDir(m.logs, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == m.logs:
			return err
		case err != nil:
			return fs.SkipDir
		case d.IsDir():
			depth := strings.Count(strings.TrimPrefix(path, m.logs), "/")
			if depth > maxLogDepth || d.Name() == "journal" {
				return fs.SkipDir
			}
			return nil
		}
		if looked++; looked > maxLogFiles {
			return fs.SkipAll
		}
		glob := logGlob(path)
		if glob == "" || !d.Type().IsRegular() || slices.Contains(globs, glob) {
			return nil
		}
		switch readable, fresh := m.looksLikeLog(path); {
		case !readable:
			unreadable++
		case !fresh:
			idle++
		default:
			globs = append(globs, glob)
		}
		return nil
	})
	if err != nil {
		m.saw("%s: cannot be read (%v)", m.logs, err)
		return nil
	}
	about := fmt.Sprintf("%s: %s of logs that are written to", m.logs, pipeline.Count(len(globs), "glob"))
	if idle > 0 {
		about += fmt.Sprintf("; %s not written to for a day", pipeline.Count(idle, "file"))
	}
	if unreadable > 0 {
		about += fmt.Sprintf("; %s cannot be read by this user (root or the group adm can)",
			pipeline.Count(unreadable, "file"))
	}
	m.saw("%s", about)
	slices.Sort(globs)
	return globs
}

// logGlob returns the glob that a log belongs to, or "" for what is no log by its name.
func logGlob(path string) string {
	folder, name := filepath.Split(path)
	switch {
	case !plainPath.MatchString(folder):
		return ""
	case strings.HasSuffix(name, ".log"):
		return folder + "*.log"
	case slices.Contains(systemLogs, name):
		return path
	}
	return ""
}

// looksLikeLog reports whether a file can be read as text, and was written to lately.
func (m *machine) looksLikeLog(path string) (readable, fresh bool) {
	f, err := os.Open(path)
	if err != nil {
		return false, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, false
	}
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head) // a short file is one
	text := n > 0 && bytes.IndexByte(head[:n], 0) < 0
	return true, text && m.now().Sub(info.ModTime()) < growing
}

// outputs returns the outputs for what the environment names, or else for what answers on this
// machine.
func (m *machine) outputs(ctx context.Context) string {
	if text := config.EnvOutputs(m.env); text != "" {
		m.saw("LONGSHORE_LOKI_URL or LONGSHORE_ELASTICSEARCH_URL is set: an output for it")
		return text
	}
	text := ""
	for _, server := range []struct {
		address, name string
		look          func(context.Context, string) string
	}{
		{m.loki, "Loki", lookForLoki},
		{m.elastic, "Elasticsearch or OpenSearch", lookForElasticsearch},
		{m.victoria, "VictoriaLogs", lookForVictoriaLogs},
	} {
		output := server.look(ctx, server.address)
		if output == "" {
			m.saw("%s: no %s answers", server.address, server.name)
			continue
		}
		m.saw("%s: %s answers; an output for it", server.address, server.name)
		text += output
	}
	return text
}

func lookForLoki(ctx context.Context, address string) string {
	_, body := look(ctx, "http://"+address+"/loki/api/v1/status/buildinfo")
	var info struct{ Version, Revision string }
	if json.Unmarshal(body, &info) != nil || info.Version == "" {
		return ""
	}
	return "  loki:\n    type: loki\n    url: http://" + address + "\n"
}

func lookForElasticsearch(ctx context.Context, address string) string {
	for _, scheme := range []string{"http", "https"} {
		header, body := look(ctx, scheme+"://"+address+"/")
		var info struct {
			Version struct{ Number string }
		}
		open := json.Unmarshal(body, &info) == nil && info.Version.Number != ""
		if !open && header.Get("X-Elastic-Product") == "" {
			continue
		}
		text := "  elasticsearch:\n    type: elasticsearch\n    urls: [" + scheme + "://" + address + "]\n"
		if !open {
			text += "    # It asks who we are:\n    # api_key: ${LONGSHORE_ELASTICSEARCH_API_KEY}\n"
		}
		if scheme == "https" {
			text += "    # Its certificate, if no authority has signed it that this machine trusts:\n" +
				"    # tls: {ca_file: /etc/elasticsearch/certs/http_ca.crt}\n"
		}
		return text
	}
	return ""
}

func lookForVictoriaLogs(ctx context.Context, address string) string {
	if _, body := look(ctx, "http://"+address+"/"); !bytes.Contains(body, []byte("VictoriaLogs")) {
		return ""
	}
	return "  victorialogs:\n    type: loki\n    url: http://" + address + "/insert?_msg_field=message\n" +
		"    reconcile: \"off\" # it answers none of Loki's queries\n"
}

// look asks a server what it is, and sends it nothing that is secret: whoever answers, with any
// certificate, will do.
func look(ctx context.Context, url string) (http.Header, []byte) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil
	}
	transport := &http.Transport{ // without a proxy
		DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is
	return resp.Header, body
}
