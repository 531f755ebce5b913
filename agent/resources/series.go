package resources

import (
	"time"

	"github.com/docker/docker/api/types/container"
)

// writeContainer adds the series of one container: names, labels and types are those of cAdvisor,
// which does not know of states and restarts.
func (cs *containers) writeContainer(p *page, v *view, now time.Time) {
	of := v.labels
	for _, state := range states {
		p.gauge("container_state", "1 for the state that the container is in, 0 for the others.",
			number(v.c.State.Status == state), of.with("state", string(state)))
	}
	p.counter("container_restarts_total", "How often the engine has restarted the container by its policy.",
		float64(v.c.RestartCount), of)
	p.gauge("container_health_state", "The result of the container's health check", healthOf(v.c.State), of)
	p.gauge("container_exit_code", "The code that the container ended with the last time.",
		float64(v.c.State.ExitCode), of)
	moment := func(name, help, at string) {
		if t, err := time.Parse(time.RFC3339Nano, at); err == nil && t.Unix() > 0 {
			p.gauge(name, help, float64(t.Unix()), of)
		}
	}
	moment("container_creation_time_seconds", "Container creation time since unix epoch in seconds.", v.c.Created)
	moment("container_start_time_seconds", "Start time of the container since unix epoch in seconds.",
		v.c.State.StartedAt)
	if !v.runs() {
		return
	}
	p.gauge("container_last_seen", "Last time a container was seen by the exporter", float64(now.Unix()), of)
	writeLimits(p, of, v.c.HostConfig)
	writeCPU(p, of, v.usage.cpu)
	writeMemory(p, of, v.usage.memory)
	cs.writeIO(p, of, v.usage.io)
	writeNetwork(p, of, v.usage.network)
	if v.usage.threads != nil {
		p.gauge("container_threads", "Number of threads running inside the container", float64(*v.usage.threads), of)
	}
}

// healthOf is cAdvisor's number for it: -1 where there is no check.
func healthOf(s *container.State) float64 {
	switch {
	case s.Health == nil || s.Health.Status == container.NoHealthcheck || s.Health.Status == "":
		return -1
	case s.Health.Status == container.Healthy:
		return 1
	}
	return 0
}

func writeLimits(p *page, of labels, h *container.HostConfig) {
	p.gauge("container_spec_memory_limit_bytes", "Memory limit for the container.", float64(h.Memory), of)
	p.gauge("container_spec_memory_reservation_limit_bytes", "Memory reservation limit for the container.",
		float64(h.MemoryReservation), of)
	p.gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.",
		float64(max(0, h.MemorySwap)), of)
	period, quota := h.CPUPeriod, h.CPUQuota
	if period == 0 {
		period = 100_000 // microseconds, the kernel's
	}
	if h.NanoCPUs > 0 {
		quota = h.NanoCPUs * period / 1e9
	}
	p.gauge("container_spec_cpu_period", "CPU period of the container.", float64(period), of)
	if quota > 0 {
		p.gauge("container_spec_cpu_quota", "CPU quota of the container.", float64(quota), of)
	}
	shares := h.CPUShares
	if shares == 0 {
		shares = 1024
	}
	p.gauge("container_spec_cpu_shares", "CPU share of the container.", float64(shares), of)
}

func writeCPU(p *page, of labels, u *cpuUsage) {
	if u == nil {
		return
	}
	p.counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", u.total,
		of.with("cpu", "total"))
	p.counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.", u.user, of)
	p.counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.", u.system, of)
	if u.periods == 0 {
		return // it has no quota
	}
	p.counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.",
		float64(u.periods), of)
	p.counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.",
		float64(u.throttledPeriods), of)
	p.counter("container_cpu_cfs_throttled_seconds_total",
		"Total time duration the container has been throttled.", u.throttled, of)
}

func writeMemory(p *page, of labels, m *memoryUsage) {
	if m == nil {
		return
	}
	for _, g := range []struct {
		name, help string
		value      uint64
	}{
		{"cache", "Number of bytes of page cache memory.", m.cache},
		{"rss", "Size of RSS in bytes.", m.rss},
		{"kernel_usage", "Size of kernel memory allocated in bytes.", m.kernel},
		{"mapped_file", "Size of memory mapped files in bytes.", m.mapped},
		{"swap", "Container swap usage in bytes.", m.swap},
		{"usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed",
			m.usage},
		{"max_usage_bytes", "Maximum memory usage recorded in bytes", m.max},
		{"working_set_bytes", "Current working set in bytes.", m.workingSet()},
		{"total_active_file_bytes", "Current total active file in bytes.", m.activeFile},
		{"total_inactive_file_bytes", "Current total inactive file in bytes.", m.inactiveFile},
	} {
		p.gauge("container_memory_"+g.name, g.help, float64(g.value), of)
	}
	p.counter("container_memory_failcnt", "Number of memory usage hits limits", float64(m.failures), of)
	const failures = "Cumulative count of memory allocation failures."
	p.counter("container_memory_failures_total", failures, float64(m.faults),
		of.with("failure_type", "pgfault", "scope", "hierarchy"))
	p.counter("container_memory_failures_total", failures, float64(m.majorFaults),
		of.with("failure_type", "pgmajfault", "scope", "hierarchy"))
	p.counter("container_oom_events_total", "Count of out of memory events observed for the container",
		float64(m.oomKills), of)
}

func (cs *containers) writeIO(p *page, of labels, all []transfer) {
	seen := map[string]bool{}
	for _, t := range all {
		name := cs.groups.device(t.device)
		if seen[name] {
			continue
		}
		seen[name] = true
		on := of.with("device", name)
		p.counter("container_fs_reads_bytes_total", "Cumulative count of bytes read", float64(t.readBytes), on)
		p.counter("container_fs_reads_total", "Cumulative count of reads completed", float64(t.reads), on)
		p.counter("container_fs_writes_bytes_total", "Cumulative count of bytes written", float64(t.writtenBytes), on)
		p.counter("container_fs_writes_total", "Cumulative count of writes completed", float64(t.writes), on)
	}
}

func writeNetwork(p *page, of labels, all []networkUsage) {
	for _, n := range all {
		on := of.with("interface", n.device)
		for _, c := range []struct {
			name, help string
			value      uint64
		}{
			{"receive_bytes", "Cumulative count of bytes received", n.rxBytes},
			{"receive_packets", "Cumulative count of packets received", n.rxPackets},
			{"receive_packets_dropped", "Cumulative count of packets dropped while receiving", n.rxDropped},
			{"receive_errors", "Cumulative count of errors encountered while receiving", n.rxErrors},
			{"transmit_bytes", "Cumulative count of bytes transmitted", n.txBytes},
			{"transmit_packets", "Cumulative count of packets transmitted", n.txPackets},
			{"transmit_packets_dropped", "Cumulative count of packets dropped while transmitting", n.txDropped},
			{"transmit_errors", "Cumulative count of errors encountered while transmitting", n.txErrors},
		} {
			p.counter("container_network_"+c.name+"_total", c.help, float64(c.value), on)
		}
	}
}
