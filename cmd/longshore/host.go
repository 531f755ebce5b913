package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

const (
	// leastFree is what data_dir needs in any case.
	leastFree = 64 << 20
	// Limits below which many files or containers are not followed by the system's notifications,
	// or not at all.
	leastWatches = 8192
	leastFiles   = 1024 + 256
	// maxProcFile bounds what is read of a file in /proc.
	maxProcFile = 4 << 20
)

// A host is the machine as doctor sees it.
type host struct {
	proc string // /proc, or a folder that is like it
}

func thisHost() host { return host{proc: "/proc"} }

// read returns the content of a file in /proc, or "" where there is none.
func (h host) read(name ...string) string {
	f, err := os.Open(filepath.Join(append([]string{h.proc}, name...)...))
	if err != nil {
		return ""
	}
	defer f.Close()
	var content bytes.Buffer
	_, _ = content.ReadFrom(&limitedFile{f, maxProcFile}) // what there is
	return content.String()
}

// A limitedFile ends after so many bytes. Files of /proc have no size.
type limitedFile struct {
	f    *os.File
	left int
}

func (l *limitedFile) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fs.ErrInvalid
	}
	n, err := l.f.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// command returns the name of a process.
func (h host) command(pid string) string { return nameOf(pid, h.read(pid, "comm")) }

// lockHolder returns who holds a lock on a file by flock, or "".
func (h host) lockHolder(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	// Lines like 1: FLOCK  ADVISORY  WRITE 708 00:1b:7483 0 EOF; see proc_locks(5).
	for line := range strings.Lines(h.read("locks")) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" {
			continue
		}
		if place := strings.Split(fields[5], ":"); place[len(place)-1] == strconv.FormatUint(st.Ino, 10) {
			return fields[4]
		}
	}
	return ""
}

// listener returns who listens on a TCP port, or "".
func (h host) listener(port int) string {
	for _, table := range []string{"tcp", "tcp6"} {
		if inode := socketOn(h.read("net", table), port); inode != "" {
			return h.ownerOf("socket:[" + inode + "]")
		}
	}
	return ""
}

// socketOn returns the inode of the socket that listens on a port, by a table of
// proc_net_tcp(5).
func socketOn(table string, port int) string {
	const listening = "0A"
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		_, local, _ := strings.Cut(fields[1], ":")
		if number, err := hex.DecodeString(local); err == nil && len(number) == 2 &&
			int(number[0])<<8|int(number[1]) == port {
			return fields[9]
		}
	}
	return ""
}

// ownerOf returns the process that has a socket open. Those of other users only root sees.
func (h host) ownerOf(socket string) string {
	fds, err := filepath.Glob(filepath.Join(h.proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == socket {
			return filepath.Base(filepath.Dir(filepath.Dir(fd)))
		}
	}
	return ""
}

// limits looks at what the system allows.
func (h host) limits(tell func(pipeline.Finding)) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		f := pipeline.Finding{What: "open files", Says: fmt.Sprintf("%d at most", files.Max)}
		if uint64(files.Max) < leastFiles {
			f.State = pipeline.FoundDoubtful
			f.Advice = "raise the limit (ulimit -n, LimitNOFILE=, --ulimit nofile) or lower max_open_files of the " +
				"inputs"
		}
		tell(f)
	}
	watches := strings.TrimSpace(h.read("sys/fs/inotify/max_user_watches"))
	n, err := strconv.Atoi(watches)
	if err != nil {
		return // no Linux
	}
	f := pipeline.Finding{What: "inotify", Says: watches + " watches at most"}
	if n < leastWatches {
		f.State = pipeline.FoundDoubtful
		f.Advice = "folders beyond that are looked at once a second instead: sysctl fs.inotify.max_user_watches=65536"
	}
	tell(f)
}

// dataDir looks at the data folder.
func (d *doctor) dataDir(cfg *config.Config) {
	tell := d.about("data_dir")
	info, err := os.Stat(cfg.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		d.missingDataDir(cfg, tell)
		return
	}
	switch {
	case err != nil:
		tell(pipeline.Finding{What: "folder", State: pipeline.FoundBroken, Says: err.Error(),
			Advice: "run longshore as a user who may reach it, or set another data_dir"})
		return
	case !info.IsDir():
		tell(pipeline.Finding{What: "folder", State: pipeline.FoundBroken, Says: cfg.DataDir + " is no folder",
			Advice: "set data_dir to a folder"})
		return
	}
	tell(writable(cfg.DataDir, cfg.DataDir+" is there"))
	if disk.OthersMayWrite(cfg.DataDir) {
		tell(pipeline.Finding{What: "rights", State: pipeline.FoundDoubtful, Says: openDataDir})
	}
	tell(d.space(cfg, cfg.DataDir))
	if pid := d.host.lockHolder(filepath.Join(cfg.DataDir, "lock")); pid != "" {
		tell(pipeline.Finding{What: "lock", Says: "in use by " + d.host.command(pid) +
			": an agent runs with this data_dir, and a second one would not start"})
	}
}

// missingDataDir looks at where the data folder would be made.
func (d *doctor) missingDataDir(cfg *config.Config, tell func(pipeline.Finding)) {
	above := filepath.Clean(cfg.DataDir)
	for {
		next := filepath.Dir(above)
		_, err := os.Stat(next)
		if above = next; err == nil || next == filepath.Dir(next) {
			break
		}
	}
	tell(writable(above, cfg.DataDir+" will be made"))
	tell(d.space(cfg, above))
}

// writable says whether this user may make files in a folder, without trying.
func writable(dir, says string) pipeline.Finding {
	f := pipeline.Finding{What: "folder", Says: says + ", and may be written to"}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		f.State, f.Says = pipeline.FoundBroken, fmt.Sprintf("%s, but this user may not write to %s: %v", says, dir, err)
		f.Advice = fmt.Sprintf("give it to the user who runs longshore (chown), or set another data_dir; this is "+
			"uid %d",
			os.Geteuid())
	}
	return f
}

// space compares what is free with what the config may fill.
func (d *doctor) space(cfg *config.Config, dir string) pipeline.Finding {
	f := pipeline.Finding{What: "space"}
	free, err := disk.OS{}.Free(dir)
	if err != nil {
		f.State, f.Says = pipeline.FoundUnknown, err.Error()
		return f
	}
	needed := cfg.Recent
	for _, o := range cfg.Outputs {
		needed += o.Common.Spool + o.Common.DeadLetters
	}
	f.Says = pipeline.Size(free).Rounded() + " are free"
	switch {
	case free < leastFree:
		f.State, f.Advice = pipeline.FoundBroken, "make room, or set a data_dir on another file system"
	case pipeline.Size(free) < needed:
		f.State = pipeline.FoundDoubtful
		f.Says += fmt.Sprintf(", and spools, dead letters and recent records may take %s", needed.Rounded())
		f.Advice = "make room, or lower spool_size and dead_letters_size"
	}
	return f
}

// port looks at whether the HTTP server can listen.
func (d *doctor) port(ctx context.Context, cfg *config.Config) {
	f := pipeline.Finding{What: "address", Says: cfg.HTTP.Listen + " is free"}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.HTTP.Listen)
	if err == nil {
		_ = l.Close()
		d.about("http")(f)
		return
	}
	f.State, f.Says = pipeline.FoundBroken, err.Error()
	f.Advice = "set http.listen to an address of this machine, with a port from 1024 up"
	if errors.Is(err, syscall.EADDRINUSE) {
		f = d.taken(cfg)
	}
	d.about("http")(f)
}

// taken says who has the port, and what that means.
func (d *doctor) taken(cfg *config.Config) pipeline.Finding {
	_, text, _ := net.SplitHostPort(cfg.HTTP.Listen)
	port, _ := strconv.Atoi(text) // checked with the config
	pid := d.host.listener(port)
	who := "another program"
	if pid != "" {
		who = d.host.command(pid)
	}
	f := pipeline.Finding{What: "address", State: pipeline.FoundBroken, Says: cfg.HTTP.Listen + " is in use by " + who,
		Advice: "stop that, or set http.listen to another port"}
	switch holder := d.host.lockHolder(filepath.Join(cfg.DataDir, "lock")); {
	case pid != "" && pid == holder:
		f.State, f.Advice = pipeline.FoundFine, ""
		f.Says += ", the agent of this config"
	case cfg.HTTP.ListenDefault:
		f.State = pipeline.FoundDoubtful
		f.Advice = "it is the default, so run goes on with a free port; set http.listen to one that stays"
	}
	return f
}
