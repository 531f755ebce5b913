package resources

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
)

// readSmall reads a file of the kernel's, which has no size, up to a bound.
func readSmall(path string, bound int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, bound+1))
	if err == nil && int64(len(text)) > bound {
		err = fmt.Errorf("reading %s: it is longer than %d bytes", path, bound)
	}
	return text, err
}

// meminfo reads lines like "MemTotal: 16316412 kB" and returns each by node_exporter's name for it,
// such as MemTotal_bytes and Active_anon_bytes.
func meminfo(text []byte) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		seen := map[string]bool{}
		for line := range bytes.Lines(text) {
			name, rest, found := strings.Cut(string(line), ":")
			fields := strings.Fields(rest)
			if name = meminfoName(name); !found || name == "" || len(fields) == 0 {
				continue
			}
			n, err := strconv.ParseUint(fields[0], 10, 64)
			if err != nil {
				continue
			}
			value := float64(n)
			if len(fields) > 1 && fields[1] == "kB" {
				name, value = name+"_bytes", value*1024
			}
			if seen[name] || len(seen) >= maxMeminfo {
				continue
			}
			seen[name] = true
			if !yield(name, value) {
				return
			}
		}
	}
}

const maxMeminfo = 128

// meminfoName returns the name of a metric for a field: Active(anon) is Active_anon; "" for what is
// none.
func meminfoName(field string) string {
	name := strings.TrimSuffix(strings.ReplaceAll(field, "(", "_"), ")")
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return name
}

// oneNumber reads a file that has a number: cgroup's word for no limit is none.
func oneNumber(text []byte) (uint64, error) {
	return strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
}

// flat reads lines of a name and a number, as cpu.stat, memory.stat and memory.events have them.
func flat(text []byte) map[string]uint64 {
	all := make(map[string]uint64, 64)
	for len(text) > 0 && len(all) < 512 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		name, value, found := bytes.Cut(line, []byte(" "))
		if n, err := oneNumber(value); found && err == nil {
			all[string(name)] = n
		}
	}
	return all
}

// A transfer is what a container has read from and written to a device.
type transfer struct {
	device                  string // major:minor
	reads, writes           uint64
	readBytes, writtenBytes uint64
}

// ioStat reads io.stat of cgroup v2: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
func ioStat(text []byte) (all []transfer) {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || !isDevice(fields[0]) || len(all) >= maxDevices {
			continue
		}
		t := transfer{device: fields[0]}
		for _, field := range fields[1:] {
			name, value, _ := strings.Cut(field, "=")
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				continue
			}
			switch name {
			case "rbytes":
				t.readBytes = n
			case "wbytes":
				t.writtenBytes = n
			case "rios":
				t.reads = n
			case "wios":
				t.writes = n
			}
		}
		all = append(all, t)
	}
	return all
}

// blkio reads two files of cgroup v1, of bytes and of operations: "8:0 Read 4096", "Total 4096".
func blkio(size, operations []byte) (all []transfer) {
	at := map[string]int{}
	each := func(text []byte, put func(t *transfer, operation string, n uint64)) {
		for line := range bytes.Lines(text) {
			fields := strings.Fields(string(line))
			if len(fields) != 3 || !isDevice(fields[0]) {
				continue
			}
			n, err := strconv.ParseUint(fields[2], 10, 64)
			if err != nil {
				continue
			}
			i, known := at[fields[0]]
			if !known {
				if len(all) >= maxDevices {
					continue
				}
				i = len(all)
				at[fields[0]], all = i, append(all, transfer{device: fields[0]})
			}
			put(&all[i], fields[1], n)
		}
	}
	each(size, func(t *transfer, operation string, n uint64) {
		switch operation {
		case "Read":
			t.readBytes = n
		case "Write":
			t.writtenBytes = n
		}
	})
	each(operations, func(t *transfer, operation string, n uint64) {
		switch operation {
		case "Read":
			t.reads = n
		case "Write":
			t.writes = n
		}
	})
	return all
}

// isDevice reports whether a text is major:minor.
func isDevice(text string) bool {
	major, minor, found := strings.Cut(text, ":")
	_, err := strconv.ParseUint(major, 10, 32)
	_, err2 := strconv.ParseUint(minor, 10, 32)
	return found && err == nil && err2 == nil
}

// cgroupPaths reads /proc/PID/cgroup: the path for each controller, and for "" that of v2. Only
// paths that name the container count: those of another process with that number do not.
func cgroupPaths(text []byte, id string) (map[string]string, error) {
	all := map[string]string{}
	for line := range bytes.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(fields) < 3 || !strings.Contains(fields[2], id) || len(all) > 32 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			all[controller] = fields[2]
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the process is in no cgroup of the container")
	}
	return all, nil
}
