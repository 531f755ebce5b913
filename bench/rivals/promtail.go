package rivals

import (
	"os/exec"
	"path/filepath"
)

var promtail = Rival{
	Name:    "promtail",
	Sends:   "Loki, snappy",
	install: goModule("promtail", "github.com/grafana/loki/v3/clients/cmd/promtail", "github.com/grafana/loki/v3"),
	command: func(dir string, job Job) (*exec.Cmd, error) {
		config, err := job.writeConfig("promtail.yml", promtailConfig, job.Dir, job.Receiver, job.Log)
		return exec.Command(filepath.Join(dir, "promtail"), "-config.file="+config, "-log.level=warn"), err
	},
}

// Batches (1 MiB or 1 s) and the positions file (every 10 s) are as they are by
// default. Of the JSON it only takes what it is told.
const promtailConfig = `
server: {disable: true}
positions: {filename: "%[1]s/positions.yml"}
clients:
  - url: http://%[2]s/loki/api/v1/push
scrape_configs:
  - job_name: bench
    static_configs:
      - targets: [localhost]
        labels: {job: bench, __path__: "%[3]s"}
    pipeline_stages:
      - json: {expressions: {time: time, level: level, trace_id: trace_id}}
      - timestamp: {source: time, format: RFC3339Nano}
      - labels: {level: }
      - structured_metadata: {trace_id: }
`
