package rivals

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var syslogNG = Rival{
	Name:    "syslog-ng",
	Sends:   "bulk, none",
	Bulk:    true,
	install: debian("syslog-ng-core", "syslog-ng-mod-http"),
	command: func(dir string, job Job) (*exec.Cmd, error) {
		config, err := job.writeConfig("syslog-ng.conf", syslogNGConfig, job.Dir, job.Log, job.Receiver)
		lib := filepath.Join(dir, "usr", "lib")
		cmd := exec.Command(filepath.Join(dir, "usr", "sbin", "syslog-ng"), "--foreground", "--no-caps",
			"--cfgfile="+config, "--module-path="+filepath.Join(lib, "syslog-ng", "3.38"),
			"--persist-file="+filepath.Join(job.Dir, "persist"), "--pidfile="+filepath.Join(job.Dir, "pid"),
			"--control="+filepath.Join(job.Dir, "control"))
		folders, _ := filepath.Glob(filepath.Join(lib, "*-linux-gnu")) // fails only for a bad pattern
		others, _ := filepath.Glob(filepath.Join(dir, "lib", "*-linux-gnu"))
		folders = append(append(folders, others...), lib, filepath.Join(lib, "syslog-ng"))
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(folders, ":"))
		return cmd, err
	},
}

// The disk buffer is a reliable one: a line counts as read once it is in there. Nothing is
// compressed, which the release in Debian cannot do over HTTP.
const syslogNGConfig = `@version: 3.38
options { stats-freq(0); frac-digits(6); use-dns(no); dns-cache(no); };
source lines {
	file("%[2]s" flags(no-parse) follow-freq(0.2) log-fetch-limit(1000) log-iw-size(20000));
};
parser fields { json-parser(prefix(".json.")); };
parser time { date-parser(template("${.json.time}") format("%%Y-%%m-%%dT%%H:%%M:%%S.%%f%%z")); };
destination bulk {
	http(
		url("http://%[3]s/_bulk") method("POST") headers("Content-Type: application/x-ndjson")
		body("{\"create\":{\"_index\":\"bench\"}}\n$(format-json --scope none @timestamp=${ISODATE} message=${MESSAGE} level=${.json.level} trace_id=${.json.trace_id})")
		delimiter("\n") body-suffix("\n")
		batch-lines(5000) batch-bytes(1024Kb) batch-timeout(1000)
		disk-buffer(reliable(yes) dir("%[1]s") disk-buf-size(1073741824) mem-buf-size(104857600))
	);
};
log { source(lines); parser(fields); parser(time); destination(bulk); flags(flow-control); };
`
