// Package rivals gets other log shippers from package registries, and has them do
// what the agent does: read a file from its beginning, parse JSON, take the time,
// the level and the trace id, send in batches, and remember how far they are.
package rivals

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A Rival is a log shipper. It is got with Install, and then runs a Job.
type Rival struct {
	Name  string
	Sends string // protocol and compression, as is usual for it
	Bulk  bool   // it sends Elasticsearch's bulk requests

	install func(sources, dir string) (version string, err error)
	command func(dir string, job Job) (*exec.Cmd, error)
}

// All are the rivals there are.
func All() []Rival { return []Rival{vlagent, otelcol, syslogNG} }

// A Job is what a rival has to do.
type Job struct {
	Dir      string // for its config and its checkpoints; empty
	Log      string // the file to read
	Receiver string // host:port
}

// Installed is a rival that can run.
type Installed struct {
	Rival
	Version string
	dir     string
}

// Install gets a rival into the user's cache folder, unless it is there. sources is
// the folder of this package, with the modules that are built.
func (r Rival) Install(sources string) (Installed, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Installed{}, fmt.Errorf("finding the cache folder: %w", err)
	}
	dir := filepath.Join(cache, "longshore", "rivals", r.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Installed{}, err
	}
	version, err := r.install(sources, dir)
	if err != nil {
		return Installed{}, fmt.Errorf("getting %s: %w", r.Name, err)
	}
	return Installed{Rival: r, Version: version, dir: dir}, nil
}

// Command gives the process that does a job, not yet started. It ends in good order on SIGTERM.
func (r Installed) Command(job Job) (*exec.Cmd, error) { return r.command(r.dir, job) }

// writeConfig writes a job's config and gives its path.
func (job Job) writeConfig(name, text string, args ...any) (string, error) {
	path := filepath.Join(job.Dir, name)
	return path, os.WriteFile(path, fmt.Appendf(nil, text, args...), 0o600)
}
