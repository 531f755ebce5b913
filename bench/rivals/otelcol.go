package rivals

import (
	"os/exec"
	"path/filepath"
)

var otelcol = Rival{
	Name:    "otelcol",
	Sends:   "OTLP, gzip",
	install: goModule("otelcol", ".", "go.opentelemetry.io/collector/otelcol"),
	command: func(dir string, job Job) (*exec.Cmd, error) {
		config, err := job.writeConfig("otelcol.yml", otelcolConfig, job.Dir, job.Log, job.Receiver)
		return exec.Command(filepath.Join(dir, "otelcol"), "--config=file:"+config), err
	},
}

// Compression is as it is by default. The queue is in memory, as it is by default, and
// waits instead of throwing away when it is full; batches are those of the queue, which
// took over from the batch processor.
const otelcolConfig = `
extensions:
  file_storage: {directory: "%[1]s"}
receivers:
  file_log:
    include: ["%[2]s"]
    start_at: beginning
    storage: file_storage
    operators:
      - type: json_parser
        timestamp: {parse_from: attributes.time, layout_type: gotime, layout: "2006-01-02T15:04:05.999999999Z07:00"}
        severity: {parse_from: attributes.level}
      - type: trace_parser
        trace_id: {parse_from: attributes.trace_id}
exporters:
  otlp_http:
    endpoint: http://%[3]s
    sending_queue:
      sizer: items
      queue_size: 100000
      block_on_overflow: true
      batch: {sizer: items, min_size: 8192, max_size: 8192, flush_timeout: 200ms}
service:
  extensions: [file_storage]
  telemetry:
    logs: {level: warn}
    metrics: {level: none}
  pipelines:
    logs: {receivers: [file_log], exporters: [otlp_http]}
`
