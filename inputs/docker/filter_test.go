package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/storage"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

func TestFollows(t *testing.T) {
	web := identity{name: "shop-web-1", image: "registry.example:5000/acme/web:1.2@sha256:0123",
		labels: map[string]string{
			labelProject: "shop", labelService: "web", "env": "prod"}}
	loki := identity{name: "obs-loki-1", image: "docker.io/grafana/loki:3.7.8",
		labels: map[string]string{labelProject: "obs", labelService: "loki"}}
	off := identity{name: "off", image: "x", labels: map[string]string{labelEnable: "false"}}
	for _, c := range []struct {
		name   string
		config Config
		ident  identity
		want   bool
	}{
		{"all", Config{}, web, true},
		{"name", Config{Include: Match{Names: []string{"shop-*"}}}, web, true},
		{"other name", Config{Include: Match{Names: []string{"web"}}}, web, false},
		{"image", Config{Include: Match{Images: []string{"acme/web"}}}, web, true},
		{"image with registry", Config{Include: Match{Images: []string{"registry.example:5000/acme/*"}}}, web, true},
		{"label key", Config{Include: Match{Labels: []string{"env"}}}, web, true},
		{"label value", Config{Include: Match{Labels: []string{"env=p*d"}}}, web, true},
		{"other label value", Config{Include: Match{Labels: []string{"env=dev"}}}, web, false},
		{"one of two lists", Config{Include: Match{Projects: []string{"shop"}, Services: []string{"api"}}}, web, false},
		{"both lists", Config{Include: Match{Projects: []string{"shop"}, Services: []string{"api", "web"}}}, web, true},
		{"excluded", Config{Exclude: Match{Services: []string{"web"}}}, web, false},
		{"excluded although included", Config{Include: Match{Names: []string{"*"}},
			Exclude: Match{Labels: []string{"env=prod"}}}, web, false},
		{"labelled off", Config{Include: Match{Names: []string{"off"}}}, off, false},
		{"a backend", Config{}, loki, false},
		{"a backend, if everything is included", Config{Include: Match{Names: []string{"*"}}}, loki, false},
		{"a backend, if its project is", Config{Include: Match{Projects: []string{"obs"}}}, loki, false},
		{"a backend, if asked for", Config{Backends: "include"}, loki, true},
		{"a backend, if named", Config{Include: Match{Services: []string{"lok*"}}}, loki, true},
		{"a backend, named but excluded", Config{Include: Match{Images: []string{"grafana/loki"}},
			Exclude: Match{Names: []string{"obs-*"}}}, loki, false},
	} {
		if _, got := c.config.follows(&c.ident); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestBackends(t *testing.T) {
	for image, want := range map[string]bool{
		"grafana/loki:3.7.8": true, "grafana/grafana": true, "elasticsearch:7.17.29": true,
		"docker.elastic.co/elasticsearch/elasticsearch:9.0.0": true, "docker.elastic.co/kibana/kibana@sha256:01": true,
		"docker.io/library/elasticsearch": true, "opensearchproject/opensearch:3": true,
		"localhost:5000/grafana/loki": true,
		"acme/loki":                   false, "grafana/loki-canary": false,
		"elasticsearch-exporter": false, "sha256:0123": false,
	} {
		if isBackend(image) != want {
			t.Errorf("%s: %v", image, !want)
		}
	}
}

func TestServiceName(t *testing.T) {
	compose := map[string]string{labelProject: "shop"}
	for _, c := range []struct {
		ident identity
		want  string
	}{
		{identity{name: "db-1"}, "db-1"},
		{identity{name: "shop-web-12", labels: compose}, "shop-web"},
		{identity{name: "shop_web_1", labels: compose}, "shop_web"},
		{identity{name: "shop-web-v2", labels: compose}, "shop-web-v2"},
		{identity{name: "x", labels: map[string]string{labelService: "web"}}, "web"},
		{identity{name: "x", labels: map[string]string{labelService: "web", labelOwn: "shop"}}, "shop"},
		{identity{name: "web.1.abc", labels: map[string]string{labelSwarm: "web"}}, "web"},
	} {
		if got := c.ident.serviceName(); got != c.want {
			t.Errorf("%s: %q, want %q", c.ident.name, got, c.want)
		}
	}
}

// TestSourceOptions checks that a container's options come with its other labels.
func TestSourceOptions(t *testing.T) {
	ident := identity{labels: map[string]string{"a": "b", pipeline.OptionParser: "json", pipeline.OptionLevel: "warn"}}
	got := map[string]string{}
	for _, l := range ident.sourceLabels(logformat.Stdout) {
		got[l.Name] = l.Value
	}
	if got[pipeline.OptionParser] != "json" || got[pipeline.OptionLevel] != "warn" || got["a"] != "" {
		t.Errorf("%v", got)
	}
}

func TestSelf(t *testing.T) {
	mine, other := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	inspect := func(id, upper string) container.InspectResponse {
		return container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{
			ID: id, GraphDriver: storage.DriverData{Data: map[string]string{"UpperDir": upper}}}}
	}
	for _, c := range []struct {
		name, mountinfo, cgroup string
		hostname                string
		container               container.InspectResponse
		want                    bool
	}{
		{"own hostname file", "1 2 8:1 /var/lib/docker/containers/" + mine +
			"/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n", "0::/\n", "custom", inspect(mine, ""), true},
		{"another one's", "1 2 8:1 /var/lib/docker/containers/" + mine +
			"/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n", "0::/\n", "custom", inspect(other, ""), false},
		{"cgroup", "", "12:cpu:/docker/" + mine + "\n", "custom", inspect(mine, ""), true},
		{"systemd cgroup", "", "0::/system.slice/docker-" + mine + ".scope\n", "custom", inspect(mine, ""), true},
		{"shared network, own layer",
			"1 0 0:9 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/x/diff,workdir=/w\n" +
				"1 2 8:1 /var/lib/docker/containers/" + other + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n",
			"0::/\n", "custom", inspect(mine, "/var/lib/docker/overlay2/x/diff"), true},
		{"shared network, the other's layer",
			"1 0 0:9 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/x/diff,workdir=/w\n" +
				"1 2 8:1 /var/lib/docker/containers/" + other + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n",
			"0::/\n", "custom", inspect(other, "/var/lib/docker/overlay2/y/diff"), false},
		{"folders of others mounted on a host", "1 2 0:5 / /var/lib/docker/containers/" + other +
			"/mounts/shm rw - tmpfs shm rw\n", "0::/init.scope\n", "host", inspect(other, ""), false},
		{"hostname", "", "0::/\n", mine[:12], inspect(mine, ""), true},
		{"short hostname", "", "0::/\n", "a1", inspect(mine, ""), false},
		{"not in a container", "", "", "host", inspect(mine, ""), false},
	} {
		proc := t.TempDir()
		for name, text := range map[string]string{"mountinfo": c.mountinfo, "cgroup": c.cgroup} {
			if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		me := findSelf(proc)
		me.hostname = c.hostname
		if me.is(c.container) != c.want {
			t.Errorf("%s: %v", c.name, !c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	c := Config{Host: "/var/run/docker.sock", TLS: dockerapi.TLS{Cert: "x"}, Include: Match{Names: []string{"a", ""}},
		Exclude: Match{Labels: []string{"=x"}}}
	var paths []string
	for _, p := range c.Check() {
		paths = append(paths, p.Path)
	}
	if got := strings.Join(paths, " "); got != "host tls include.names[1] exclude.labels[0]" {
		t.Errorf("problems at %s", got)
	}
	for _, host := range []string{"", "unix:///run/docker.sock", "tcp://10.0.0.1:2376", "https://docker.example",
		"npipe:////./pipe/docker_engine"} {
		if p := (&Config{Host: host}).Check(); len(p) > 0 {
			t.Errorf("%s: %v", host, p)
		}
	}
	for _, host := range []string{"tcp://10.0.0.1:2376?a=b", "docker.example", "ftp://x"} {
		if p := (&Config{Host: host}).Check(); len(p) != 1 {
			t.Errorf("%s: %v", host, p)
		}
	}
	if s := Spec(); s.Kind != pipeline.KindInput || s.New().(pipeline.InputConfig) == nil {
		t.Error("not an input")
	}
}
