package rivals

import (
	"os/exec"
	"path/filepath"
)

var vlagent = Rival{
	Name:  "vlagent",
	Sends: "JSON lines, zstd",
	install: goModule("vlagent", "github.com/VictoriaMetrics/VictoriaLogs/app/vlagent",
		"github.com/VictoriaMetrics/VictoriaLogs"),
	command: func(dir string, job Job) (*exec.Cmd, error) {
		// It takes all fields of the JSON. Blocks (8 MiB or 1 s), their level of zstd, and the
		// queue on disk, which it uses when the receiver lags, are as they are by default.
		return exec.Command(filepath.Join(dir, "vlagent"),
			"-fileCollector.glob="+job.Log, "-fileCollector.timeField=time", "-fileCollector.msgField=msg",
			"-remoteWrite.format=jsonline", "-remoteWrite.url=http://"+job.Receiver+"/insert/jsonline",
			"-tmpDataPath="+job.Dir, "-httpListenAddr=", "-loggerLevel=WARN"), nil
	},
}
