package resources

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// maxCgroupFile bounds what is read of one file: io.stat has a line for each device.
const maxCgroupFile = 256 << 10

// A usage is what a container uses, or has used since it started. What is not known is not set.
type usage struct {
	cpu     *cpuUsage
	memory  *memoryUsage
	io      []transfer
	threads *uint64
	network []networkUsage
}

type cpuUsage struct {
	total, user, system       float64 // seconds
	periods, throttledPeriods uint64
	throttled                 float64 // seconds
}

type memoryUsage struct {
	usage, max, rss, cache, mapped, swap, kernel, activeFile, inactiveFile uint64
	failures, faults, majorFaults, oomKills                                uint64
}

// workingSet is what cannot be reclaimed easily, as cAdvisor and Kubernetes count it.
func (m *memoryUsage) workingSet() uint64 { return m.usage - min(m.usage, m.inactiveFile) }

type networkUsage struct {
	device                                  string
	rxBytes, rxPackets, rxErrors, rxDropped uint64
	txBytes, txPackets, txErrors, txDropped uint64
}

// cgroups reads the kernel's files of containers.
type cgroups struct {
	proc, sys string
	fs        procfs.FS
	unified   bool // v2
	devices   map[string]string
}

func newCgroups(proc, sys string) *cgroups {
	c := &cgroups{proc: proc, sys: sys, devices: map[string]string{}}
	c.fs, _ = procfs.NewFS(proc) // without one nothing is found
	_, err := os.Stat(filepath.Join(sys, "fs/cgroup/cgroup.controllers"))
	c.unified = err == nil
	return c
}

// A place is where the files of a container are: a folder for each controller, and "" for v2.
type place struct {
	id      string // its path among the cgroups, as cAdvisor has it
	folders map[string]string
}

var errNoCgroup = errors.New("no cgroup of the container is found")

// find finds the cgroup of a container by its process, if /proc is that of the host, and else where
// the engine makes them.
func (c *cgroups) find(id string, pid int) (place, error) {
	text, err := readSmall(filepath.Join(c.proc, strconv.Itoa(pid), "cgroup"), maxCgroupFile)
	if err == nil && pid > 0 {
		if paths, err := cgroupPaths(text, id); err == nil {
			if p, ok := c.at(paths); ok {
				return p, nil
			}
		}
	}
	for _, usual := range []string{"/docker/" + id, "/system.slice/docker-" + id + ".scope",
		"/machine.slice/libpod-" + id + ".scope"} {
		paths := map[string]string{}
		for _, controller := range []string{"", "cpu", "cpuacct", "memory", "blkio", "pids"} {
			paths[controller] = usual
		}
		if p, ok := c.at(paths); ok {
			return p, nil
		}
	}
	return place{}, errNoCgroup
}

// at returns the folders that are there. A path from beyond our own root is not one of ours.
func (c *cgroups) at(paths map[string]string) (place, bool) {
	p := place{folders: map[string]string{}}
	for controller, at := range paths {
		if at != path.Clean(at) || strings.HasPrefix(at, "/..") || (controller == "") != c.unified {
			continue
		}
		folder := filepath.Join(c.sys, "fs/cgroup", controller, at)
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			p.folders[controller], p.id = folder, at
		}
	}
	return p, len(p.folders) > 0
}

// read reads the files of a place. Its error is that the container is gone from there.
func (c *cgroups) read(p place) (usage, error) {
	var u usage
	if c.unified {
		c.readV2(p.folders[""], &u)
	} else {
		c.readV1(p, &u)
	}
	if u.cpu == nil && u.memory == nil {
		return u, errNoCgroup
	}
	return u, nil
}

func file(folder, name string) []byte {
	if folder == "" {
		return nil
	}
	text, err := readSmall(filepath.Join(folder, name), maxCgroupFile)
	if err != nil {
		return nil
	}
	return text
}

func numberIn(folder, name string) uint64 {
	n, _ := oneNumber(file(folder, name)) // none is 0
	return n
}

const nanoseconds, microseconds = 1e9, 1e6

func (c *cgroups) readV2(folder string, u *usage) {
	if cpu := flat(file(folder, "cpu.stat")); len(cpu) > 0 {
		u.cpu = &cpuUsage{
			total: float64(cpu["usage_usec"]) / microseconds, user: float64(cpu["user_usec"]) / microseconds,
			system: float64(cpu["system_usec"]) / microseconds, periods: cpu["nr_periods"],
			throttledPeriods: cpu["nr_throttled"], throttled: float64(cpu["throttled_usec"]) / microseconds,
		}
	}
	if current, err := oneNumber(file(folder, "memory.current")); err == nil {
		stat, events := flat(file(folder, "memory.stat")), flat(file(folder, "memory.events"))
		u.memory = &memoryUsage{
			usage: current, max: numberIn(folder, "memory.peak"), rss: stat["anon"], cache: stat["file"],
			mapped: stat["file_mapped"], swap: numberIn(folder, "memory.swap.current"), kernel: stat["kernel"],
			activeFile: stat["active_file"], inactiveFile: stat["inactive_file"], failures: events["max"],
			faults: stat["pgfault"], majorFaults: stat["pgmajfault"], oomKills: events["oom_kill"],
		}
	}
	u.io = ioStat(file(folder, "io.stat"))
	if n, err := oneNumber(file(folder, "pids.current")); err == nil {
		u.threads = &n
	}
}

// userHZ is in what cpuacct.stat counts, on every architecture there is.
const userHZ = 100

func (c *cgroups) readV1(p place, u *usage) {
	accounts := p.folders["cpuacct"]
	if total, err := oneNumber(file(accounts, "cpuacct.usage")); err == nil {
		stat, throttling := flat(file(accounts, "cpuacct.stat")), flat(file(p.folders["cpu"], "cpu.stat"))
		u.cpu = &cpuUsage{
			total: float64(total) / nanoseconds, user: float64(stat["user"]) / userHZ,
			system: float64(stat["system"]) / userHZ, periods: throttling["nr_periods"],
			throttledPeriods: throttling["nr_throttled"],
			throttled:        float64(throttling["throttled_time"]) / nanoseconds,
		}
	}
	memory := p.folders["memory"]
	if current, err := oneNumber(file(memory, "memory.usage_in_bytes")); err == nil {
		stat := flat(file(memory, "memory.stat"))
		u.memory = &memoryUsage{
			usage: current, max: numberIn(memory, "memory.max_usage_in_bytes"), rss: stat["total_rss"],
			cache: stat["total_cache"], mapped: stat["total_mapped_file"], swap: stat["total_swap"],
			kernel: numberIn(memory, "memory.kmem.usage_in_bytes"), activeFile: stat["total_active_file"],
			inactiveFile: stat["total_inactive_file"], failures: numberIn(memory, "memory.failcnt"),
			faults: stat["total_pgfault"], majorFaults: stat["total_pgmajfault"],
			oomKills: flat(file(memory, "memory.oom_control"))["oom_kill"],
		}
	}
	block := p.folders["blkio"]
	u.io = blkio(file(block, "blkio.throttle.io_service_bytes_recursive"), file(block,
		"blkio.throttle.io_serviced_recursive"))
	if n, err := oneNumber(file(p.folders["pids"], "pids.current")); err == nil {
		u.threads = &n
	}
}

// network returns what went through the devices that a process sees. Those of the host and of other
// containers, which one that shares the host's network sees, are left out, as cAdvisor does.
func (c *cgroups) network(pid int) ([]networkUsage, error) {
	process, err := c.fs.Proc(pid)
	if err != nil {
		return nil, err
	}
	devices, err := process.NetDev()
	if err != nil {
		return nil, err
	}
	var all []networkUsage
	for name, d := range devices {
		if isHostDevice(name) || len(all) >= maxDevices {
			continue
		}
		all = append(all, networkUsage{
			name, d.RxBytes, d.RxPackets, d.RxErrors, d.RxDropped, d.TxBytes, d.TxPackets, d.TxErrors, d.TxDropped,
		})
	}
	return all, nil
}

func isHostDevice(name string) bool {
	for _, prefix := range []string{"lo", "veth", "docker", "nerdctl"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// device returns the name of a device, such as /dev/sda, or its numbers.
func (c *cgroups) device(numbers string) string {
	name, known := c.devices[numbers]
	if !known && len(c.devices) < maxDevices {
		name = numbers
		if to, err := os.Readlink(filepath.Join(c.sys, "dev/block", numbers)); err == nil {
			name = "/dev/" + filepath.Base(to)
		}
		c.devices[numbers] = name
	}
	if name == "" {
		return numbers
	}
	return name
}
