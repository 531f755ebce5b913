// Package examples_test checks what users copy: that every Compose file, config and
// snippet is what it should be and agrees with the others.
package examples_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/longshore/longshore/pipeline"
)

// root is the repository, from this folder.
const root = ".."

type composeFile struct {
	Services map[string]service
}

type service struct {
	Image       string
	Restart     string
	Ports       []string
	Volumes     []string
	Environment map[string]string
	HealthCheck healthCheck           `yaml:"healthcheck"`
	DependsOn   map[string]dependency `yaml:"depends_on"`
	Deploy      struct{ Resources struct{ Limits limits } }
	Logging     struct{ Options map[string]string }
	Networks    []string
}

type healthCheck struct {
	Test        []string
	Interval    string
	Timeout     string
	Retries     int
	StartPeriod string `yaml:"start_period"`
	// StartInterval lets "up --wait" end soon.
	StartInterval string `yaml:"start_interval"`
}

type dependency struct{ Condition string }

type limits struct{ CPUs, Memory string }

// composeFiles gives the Compose files of the repository by their path in it.
func composeFiles(t *testing.T) map[string]composeFile {
	t.Helper()
	paths := []string{filepath.Join(root, "docker-compose.yml")}
	more, err := filepath.Glob("*/docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]composeFile)
	for _, path := range append(paths, more...) {
		var f composeFile
		if err := yaml.Unmarshal([]byte(read(t, path)), &f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		files[path] = f
	}
	if len(files) < 4 {
		t.Fatalf("found only %d Compose files", len(files))
	}
	return files
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// eachService runs a check of every service of every Compose file.
func eachService(t *testing.T, check func(t *testing.T, s service)) {
	for path, file := range composeFiles(t) {
		for name, s := range file.Services {
			t.Run(filepath.Base(filepath.Dir(path))+"/"+name, func(t *testing.T) { check(t, s) })
		}
	}
}

func TestEveryServiceIsWatched(t *testing.T) {
	eachService(t, func(t *testing.T, s service) {
		h := s.HealthCheck
		if len(h.Test) < 2 || h.Test[0] != "CMD" {
			t.Errorf("health check is %q; it should name a command of the image", h.Test)
		}
		got := [...]any{h.Interval, h.Timeout, h.Retries, h.StartPeriod, h.StartInterval}
		if want := [...]any{"30s", "10s", 3, "40s", "2s"}; got != want {
			t.Errorf("health check has interval, timeout, retries, start_period, start_interval %v, want %v", got, want)
		}
		if l := s.Logging.Options; l["max-size"] == "" || l["max-file"] == "" {
			t.Errorf("its log may fill the disk: %v", l)
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("restart is %q", s.Restart)
		}
		for name, d := range s.DependsOn {
			if d.Condition != "service_healthy" {
				t.Errorf("depends on %s with condition %q", name, d.Condition)
			}
		}
	})
}

func TestServicesKeepToThemselves(t *testing.T) {
	writable := regexp.MustCompile(`^(\./|/)[^:]*:[^:]*$`)
	eachService(t, func(t *testing.T, s service) {
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("port %s can be reached from other machines", port)
			}
		}
		for _, v := range s.Volumes {
			if writable.MatchString(v) {
				t.Errorf("%s is mounted from the host without :ro", v)
			}
		}
	})
}

// TestAppsCannotReachTheStores: the app of the stack shares no network with what stores its logs.
func TestAppsCannotReachTheStores(t *testing.T) {
	services := composeFiles(t)[filepath.Join(root, "docker-compose.yml")].Services
	for name, s := range services {
		want := "logs"
		if name == "sample-app" {
			want = "apps"
		}
		if len(s.Networks) != 1 || s.Networks[0] != want {
			t.Errorf("%s is in the networks %q, want %s", name, s.Networks, want)
		}
	}
}

func TestImagesArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^(longshore/[a-z-]+:dev|.+:v?\d+\.\d+\.\d+)$`)
	eachService(t, func(t *testing.T, s service) {
		if !pinned.MatchString(s.Image) {
			t.Errorf("image %q has no full version", s.Image)
		}
	})
}

func TestAgentIsLimited(t *testing.T) {
	for path, file := range composeFiles(t) {
		agent, ok := file.Services["longshore"]
		if !ok {
			t.Errorf("%s runs no longshore", path)
			continue
		}
		l := agent.Deploy.Resources.Limits
		if l.CPUs == "" {
			t.Errorf("%s sets longshore no CPU limit", path)
		}
		// Docker's "M" is Go's MiB.
		memory, err := pipeline.ParseSize(strings.Replace(l.Memory, "M", "MiB", 1))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		soft, err := pipeline.ParseSize(agent.Environment["GOMEMLIMIT"])
		if err != nil {
			t.Errorf("%s: GOMEMLIMIT: %v", path, err)
		}
		if soft < memory*8/10 || soft > memory*95/100 {
			t.Errorf("%s: GOMEMLIMIT is %s of %s, want 80 to 95 %%", path, soft, memory)
		}
	}
}

// TestImagesBuildAnywhere keeps to what Docker's first builder knows.
func TestImagesBuildAnywhere(t *testing.T) {
	newer := regexp.MustCompile(`(?m)^# *syntax=|--mount|--link|--chmod|--platform|<<`)
	check := "HEALTHCHECK --interval=30s --timeout=10s --start-period=40s --retries=3 CMD ["
	for _, path := range []string{filepath.Join(root, "Dockerfile"), "sample-app/Dockerfile"} {
		text := read(t, path)
		if found := newer.FindString(text); found != "" {
			t.Errorf("%s has %q, which only BuildKit knows", path, found)
		}
		if !strings.Contains(text, "\nFROM scratch\n") || !strings.Contains(text, "\nUSER 65532:65532\n") {
			t.Errorf("%s should build from scratch, for user 65532", path)
		}
		if !strings.Contains(text, check) {
			t.Errorf("%s lacks %q", path, check)
		}
	}
}

func TestEnvExamplesAreWhole(t *testing.T) {
	variable := regexp.MustCompile(`\$\{([A-Z_]+)`)
	for folder, uses := range map[string][]string{
		root:            {"docker-compose.yml", "examples/stack/longshore.yml"},
		"existing-elk":  {"docker-compose.yml", "longshore.yml"},
		"existing-loki": {"docker-compose.yml", "longshore.yml"},
		"victorialogs":  {"docker-compose.yml", "longshore.yml"},
	} {
		given := envExample(t, folder)
		used := map[string]bool{"LONGSHORE_VERSION": true} // set by who builds releases
		for _, file := range uses {
			for _, m := range variable.FindAllStringSubmatch(read(t, filepath.Join(folder, file)), -1) {
				used[m[1]] = true
				if _, ok := given[m[1]]; !ok && m[1] != "LONGSHORE_VERSION" {
					t.Errorf("%s uses %s, which .env.example lacks", filepath.Join(folder, file), m[1])
				}
			}
		}
		for name := range given {
			if !used[name] {
				t.Errorf("%s/.env.example has %s, which nothing uses", folder, name)
			}
		}
	}
}

// envExample reads the .env.example of a folder; it is empty if there is none.
func envExample(t *testing.T, folder string) map[string]string {
	t.Helper()
	values := make(map[string]string)
	data, err := os.ReadFile(filepath.Join(folder, ".env.example"))
	if os.IsNotExist(err) {
		return values
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

func TestDashboardsUseTheProvisionedDataSources(t *testing.T) {
	for _, file := range []string{"logs.json", "agent.json"} {
		t.Run(file, func(t *testing.T) { checkDashboard(t, "stack/grafana/dashboards/"+file) })
	}
	sources := read(t, "stack/grafana/datasources/datasources.yml")
	if !strings.Contains(sources, "/d/longshore-logs/") {
		t.Error("the links of the data sources do not lead to the dashboard of logs")
	}
}

func checkDashboard(t *testing.T, path string) {
	sources := read(t, "stack/grafana/datasources/datasources.yml")
	var dashboard struct {
		Title  string
		UID    string
		Panels []struct {
			Title      string
			Datasource struct{ UID string }
			Targets    []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, path)), &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) == 0 || dashboard.UID == "" {
		t.Error("the dashboard has no panels, or no uid")
	}
	for _, p := range dashboard.Panels {
		if !strings.Contains(sources, "uid: "+p.Datasource.UID+"\n") {
			t.Errorf("panel %q asks data source %q, which is not provisioned", p.Title, p.Datasource.UID)
		}
		for _, target := range p.Targets {
			if target.Expr == "" {
				t.Errorf("panel %q asks nothing", p.Title)
			}
		}
	}
}
