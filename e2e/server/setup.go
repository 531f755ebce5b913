package server

import (
	"fmt"
	"os"
	"strings"
)

// In order of how long they take, so that a failure shows soon.
var setups = []struct {
	name   string
	ensure func() error
}{
	{"docker", unlessDockerRuns(ensureDocker)},
	{"haproxy", func() error { _, err := ensureHAProxy(); return err }},
	{"rsyslog", func() error { _, err := ensureRsyslog(); return err }},
	{"busybox", func() error { _, err := staticBusybox(); return err }},
	{"systemd", func() error { _, err := ensureSystemd(); return err }},
	{"packages", ensurePackageTools},
	{"elasticsearch", func() error { _, _, err := elasticsearch.ensure(); return err }},
	{"opensearch", func() error { _, _, err := openSearch.ensure(); return err }},
	{"kafka", func() error { _, _, err := ensureKafka(); return err }},
	{"openbao", func() error { _, err := ensureOpenBao(); return err }},
	{"moto", func() error { _, err := ensureMoto(); return err }},
	{"gofakes3", func() error { _, err := ensureGoFakeS3(); return err }},
	{"victorialogs", func() error { _, err := ensureVictoriaLogs(); return err }},
	{"otelcol", func() error { _, err := ensureOtelcol(); return err }},
	{"prometheus", func() error { _, err := ensurePrometheus(); return err }},
	{"alertmanager", func() error { _, err := ensureAlertmanager(); return err }},
	{"helm", func() error { _, err := ensureHelm(); return err }},
	{"chromium", func() error { _, err := ensureChromium(); return err }},
	{"compose", func() error { _, err := ensureCompose(); return err }},
	{"dockercli", func() error { _, err := ensureDockerCommand(); return err }},
	{"docker29", unlessDockerRuns(ensureDocker29)},
	{"kubernetes", func() error { _, err := ensureKubernetes(); return err }},
	{"loki", setupLoki},
}

func unlessDockerRuns(ensure func() (dockerInstall, error)) func() error {
	return func() error {
		if machineEngine() != nil {
			return nil
		}
		_, err := ensure()
		return err
	}
}

// setupLoki has no error where no Loki can be had, unless one is required: the tests that want it
// are skipped then.
func setupLoki() error {
	_, err := findLoki()
	if err == nil || os.Getenv(lokiURL) != "" {
		return nil
	}
	if required("loki") {
		return err
	}
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return nil
}

// SetupNames returns the names of all servers that Setup knows.
func SetupNames() []string {
	var names []string
	for _, s := range setups {
		names = append(names, s.name)
	}
	return names
}

// Setup gets the server of that name into the cache folder ahead of the tests that use it, and says
// so on standard error.
func Setup(name string) error {
	for _, s := range setups {
		if s.name == name {
			return s.ensure()
		}
	}
	return fmt.Errorf("no server is called %q; there are %s", name, strings.Join(SetupNames(), ", "))
}
