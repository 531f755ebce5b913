package resources

import (
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
	"golang.org/x/sys/unix"

	"github.com/longshore/longshore/pipeline/config"
)

// The most there is of each: what a machine has more of is left out.
const (
	maxDevices     = 256
	maxFilesystems = 128
	maxProcFile    = 1 << 20
)

// A host reads the machine that a /proc, a /sys and a root directory belong to.
type host struct {
	proc, sys, root string
	fs              procfs.FS
	problem         error
}

func newHost(c config.Watch) *host {
	h := &host{proc: c.Proc, sys: c.Sys, root: c.Root}
	h.fs, h.problem = procfs.NewFS(c.Proc)
	return h
}

// write adds what can be read.
func (h *host) write(p *page) {
	if h.problem == nil {
		h.load(p)
		h.stat(p)
		h.network(p)
		h.filesystems(p)
	}
	h.memory(p)
	h.disks(p)
	h.uname(p)
}

func (h *host) load(p *page) {
	load, err := h.fs.LoadAvg()
	if err != nil {
		return
	}
	p.gauge("node_load1", "1m load average.", load.Load1, nil)
	p.gauge("node_load5", "5m load average.", load.Load5, nil)
	p.gauge("node_load15", "15m load average.", load.Load15, nil)
}

func (h *host) stat(p *page) {
	s, err := h.fs.Stat()
	if err != nil {
		return
	}
	for n, cpu := range s.CPU {
		of := pairs("cpu", strconv.FormatInt(n, 10))
		for _, mode := range []struct {
			name    string
			seconds float64
		}{
			{"user", cpu.User}, {"nice", cpu.Nice}, {"system", cpu.System}, {"idle", cpu.Idle}, {"iowait", cpu.Iowait},
			{"irq", cpu.IRQ}, {"softirq", cpu.SoftIRQ}, {"steal", cpu.Steal},
		} {
			p.counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", mode.seconds,
				of.with("mode", mode.name))
		}
		const guest = "Seconds the CPUs spent in guests (VMs) for each mode."
		p.counter("node_cpu_guest_seconds_total", guest, cpu.Guest, of.with("mode", "user"))
		p.counter("node_cpu_guest_seconds_total", guest, cpu.GuestNice, of.with("mode", "nice"))
	}
	p.counter("node_intr_total", "Total number of interrupts serviced.", float64(s.IRQTotal), nil)
	p.counter("node_context_switches_total", "Total number of context switches.", float64(s.ContextSwitches), nil)
	p.counter("node_forks_total", "Total number of forks.", float64(s.ProcessCreated), nil)
	p.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", float64(s.BootTime), nil)
	p.gauge("node_procs_running", "Number of processes in runnable state.", float64(s.ProcessesRunning), nil)
	p.gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.",
		float64(s.ProcessesBlocked), nil)
}

func (h *host) memory(p *page) {
	text, err := readSmall(filepath.Join(h.proc, "meminfo"), maxProcFile)
	if err != nil {
		return
	}
	for name, value := range meminfo(text) {
		p.gauge("node_memory_"+name, "Memory information field "+name+".", value, nil)
	}
}

// network reads the devices of the first process's network: /proc/net is that of who reads, which
// in a container is the container's own. The ends of containers' networks are left out: there is
// one for each container that ever was, and what went through it counts with the container.
func (h *host) network(p *page) {
	devices, err := h.initNetwork()
	if err != nil {
		return
	}
	n := 0
	for name, d := range devices {
		if strings.HasPrefix(name, "veth") || n >= maxDevices {
			continue
		}
		n++
		of := pairs("device", name)
		for _, s := range []struct {
			name  string
			value uint64
		}{
			{"receive_bytes", d.RxBytes}, {"receive_packets", d.RxPackets}, {"receive_errs", d.RxErrors},
			{"receive_drop", d.RxDropped}, {"receive_fifo", d.RxFIFO}, {"receive_frame", d.RxFrame},
			{"receive_compressed", d.RxCompressed}, {"receive_multicast", d.RxMulticast},
			{"transmit_bytes", d.TxBytes}, {"transmit_packets", d.TxPackets}, {"transmit_errs", d.TxErrors},
			{"transmit_drop", d.TxDropped}, {"transmit_fifo", d.TxFIFO}, {"transmit_colls", d.TxCollisions},
			{"transmit_carrier", d.TxCarrier}, {"transmit_compressed", d.TxCompressed},
		} {
			p.counter("node_network_"+s.name+"_total", "Network device statistic "+s.name+".", float64(s.value), of)
		}
	}
}

func (h *host) initNetwork() (procfs.NetDev, error) {
	if first, err := h.fs.Proc(1); err == nil {
		if devices, err := first.NetDev(); err == nil {
			return devices, nil
		}
	}
	return h.fs.NetDev()
}

// notDisks are devices that node_exporter leaves out as well: partitions, and what is memory.
var notDisks = regexp.MustCompile(`^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`)

const sector = 512

func (h *host) disks(p *page) {
	fs, err := blockdevice.NewFS(h.proc, h.sys)
	if err != nil {
		return
	}
	all, err := fs.ProcDiskstats()
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for _, d := range all {
		if notDisks.MatchString(d.DeviceName) || seen[d.DeviceName] || len(seen) >= maxDevices {
			continue
		}
		seen[d.DeviceName] = true
		writeDisk(p, d)
	}
}

func writeDisk(p *page, d blockdevice.Diskstats) {
	of := pairs("device", d.DeviceName)
	for _, s := range []struct {
		name, help string
		value      float64
	}{
		{"reads_completed", "The total number of reads completed successfully.", float64(d.ReadIOs)},
		{"reads_merged", "The total number of reads merged.", float64(d.ReadMerges)},
		{"read_bytes", "The total number of bytes read successfully.", float64(d.ReadSectors) * sector},
		{"read_time_seconds", "The total number of seconds spent by all reads.", float64(d.ReadTicks) / 1000},
		{"writes_completed", "The total number of writes completed successfully.", float64(d.WriteIOs)},
		{"writes_merged", "The number of writes merged.", float64(d.WriteMerges)},
		{"written_bytes", "The total number of bytes written successfully.", float64(d.WriteSectors) * sector},
		{"write_time_seconds", "This is the total number of seconds spent by all writes.",
			float64(d.WriteTicks) / 1000},
		{"io_time_seconds", "Total seconds spent doing I/Os.", float64(d.IOsTotalTicks) / 1000},
		{"io_time_weighted_seconds", "The weighted # of seconds spent doing I/Os.", float64(d.WeightedIOTicks) / 1000},
	} {
		p.counter("node_disk_"+s.name+"_total", s.help, s.value, of)
	}
	p.gauge("node_disk_io_now", "The number of I/Os currently in progress.", float64(d.IOsInProgress), of)
}

// notSpace are file systems without space of their own, as node_exporter has them, and those of
// other machines and programs: asking for their space may never end.
var (
	notSpace = regexp.MustCompile(`^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|` +
		`hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|` +
		`sysfs|tracefs|nfs\d?|cifs|smb\w*|9p|afs|ceph|glusterfs|lustre|fuse|fuse\..*)$`)
	notPlaces = regexp.MustCompile(`^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|` +
		`var/lib/containers/storage/.+)($|/)`)
)

func (h *host) filesystems(p *page) {
	mounts, err := h.fs.GetProcMounts(1)
	if err != nil {
		mounts, err = h.fs.GetMounts()
	}
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for _, m := range mounts {
		point := mountPoint(m.MountPoint, h.root)
		if notSpace.MatchString(m.FSType) || notPlaces.MatchString(point) {
			continue
		}
		of := pairs("device", m.Source, "mountpoint", point, "fstype", m.FSType, "device_error", "")
		if key := of.key(); seen[key] || len(seen) >= maxFilesystems {
			continue
		} else {
			seen[key] = true
		}
		h.filesystem(p, m, point, of)
	}
}

// key is what tells labels apart.
func (l labels) key() string {
	var b strings.Builder
	for _, pair := range l {
		b.WriteString(strconv.Quote(pair.GetValue()))
	}
	return b.String()
}

// mountPoint returns where something is mounted, seen from the host.
func mountPoint(escaped, root string) string {
	point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(escaped)
	if root == "/" {
		return point
	}
	if rest, found := strings.CutPrefix(point, root); found && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return point
}

func (h *host) filesystem(p *page, m *procfs.MountInfo, point string, of labels) {
	var s unix.Statfs_t
	err := unix.Statfs(filepath.Join(h.root, point), &s)
	const deviceError = "Whether an error occurred while getting statistics for the given device."
	if err != nil {
		if !errors.Is(err, unix.ENOENT) {
			p.gauge("node_filesystem_device_error", deviceError, 1, of.without("device_error").with("device_error",
				err.Error()))
		}
		return
	}
	size := float64(s.Bsize)
	p.gauge("node_filesystem_device_error", deviceError, 0, of)
	p.gauge("node_filesystem_size_bytes", "Filesystem size in bytes.", float64(s.Blocks)*size, of)
	p.gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.", float64(s.Bfree)*size, of)
	p.gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.",
		float64(s.Bavail)*size, of)
	p.gauge("node_filesystem_files", "Filesystem total file nodes.", float64(s.Files), of)
	p.gauge("node_filesystem_files_free", "Filesystem total free file nodes.", float64(s.Ffree), of)
	_, ro := m.Options["ro"]
	_, superRO := m.SuperOptions["ro"]
	p.gauge("node_filesystem_readonly", "Filesystem read-only status.", number(ro || superRO), of)
}

func (l labels) without(name string) labels {
	var rest labels
	for _, pair := range l {
		if pair.GetName() != name {
			rest = append(rest, pair)
		}
	}
	return rest
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (h *host) uname(p *page) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return
	}
	nodename := unix.ByteSliceToString(u.Nodename[:])
	name, err := readSmall(filepath.Join(h.proc, "sys/kernel/hostname"), maxProcFile)
	if err == nil && h.proc != "/proc" {
		nodename = strings.TrimSpace(string(name)) // of the host, and not of our container
	}
	p.gauge("node_uname_info", "Labeled system information as provided by the uname system call.", 1, pairs(
		"sysname", unix.ByteSliceToString(u.Sysname[:]), "release", unix.ByteSliceToString(u.Release[:]),
		"version", unix.ByteSliceToString(u.Version[:]), "machine", unix.ByteSliceToString(u.Machine[:]),
		"nodename", nodename, "domainname", unix.ByteSliceToString(u.Domainname[:])))
}
