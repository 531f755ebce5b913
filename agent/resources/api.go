package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// maxStats bounds the engine's answer about one container.
const maxStats = 1 << 20

// readAPI has the engine read the numbers of a container.
func (cs *containers) readAPI(ctx context.Context, v *view) {
	resp, err := cs.engine.Client().ContainerStatsOneShot(ctx, v.id)
	if err != nil {
		return // it is gone, or the next reading has it
	}
	defer resp.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStats)).Decode(&s); err != nil {
		return
	}
	v.usage = usageOf(&s)
}

// usageOf reads the engine's answer, which differs with the kernel's version of cgroups.
func usageOf(s *container.StatsResponse) usage {
	u := usage{io: ioOf(s.BlkioStats)}
	c := s.CPUStats
	u.cpu = &cpuUsage{
		total: float64(c.CPUUsage.TotalUsage) / nanoseconds, user: float64(c.CPUUsage.UsageInUsermode) / nanoseconds,
		system: float64(c.CPUUsage.UsageInKernelmode) / nanoseconds, periods: c.ThrottlingData.Periods,
		throttledPeriods: c.ThrottlingData.ThrottledPeriods,
		throttled:        float64(c.ThrottlingData.ThrottledTime) / nanoseconds,
	}
	if m := s.MemoryStats; m.Usage > 0 {
		u.memory = memoryOf(m)
	}
	if n := s.PidsStats.Current; n > 0 {
		u.threads = &n
	}
	for name, n := range s.Networks {
		if isHostDevice(name) || len(u.network) >= maxDevices {
			continue
		}
		u.network = append(u.network, networkUsage{
			name, n.RxBytes, n.RxPackets, n.RxErrors, n.RxDropped, n.TxBytes, n.TxPackets, n.TxErrors, n.TxDropped,
		})
	}
	return u
}

func memoryOf(m container.MemoryStats) *memoryUsage {
	stat := m.Stats
	u := &memoryUsage{
		usage: m.Usage, max: m.MaxUsage, failures: m.Failcnt, rss: stat["anon"], cache: stat["file"],
		mapped: stat["file_mapped"], kernel: stat["kernel"], activeFile: stat["active_file"],
		inactiveFile: stat["inactive_file"], faults: stat["pgfault"], majorFaults: stat["pgmajfault"],
	}
	if _, v1 := stat["total_rss"]; v1 {
		u.rss, u.cache, u.mapped = stat["total_rss"], stat["total_cache"], stat["total_mapped_file"]
		u.swap, u.kernel = stat["total_swap"], 0
		u.activeFile, u.inactiveFile = stat["total_active_file"], stat["total_inactive_file"]
		u.faults, u.majorFaults = stat["total_pgfault"], stat["total_pgmajfault"]
	}
	return u
}

func ioOf(s container.BlkioStats) (all []transfer) {
	at := map[string]int{}
	each := func(entries []container.BlkioStatEntry, put func(t *transfer, write bool, n uint64)) {
		for _, e := range entries {
			operation := strings.ToLower(e.Op)
			if operation != "read" && operation != "write" {
				continue
			}
			device := fmt.Sprintf("%d:%d", e.Major, e.Minor)
			i, known := at[device]
			if !known {
				if len(all) >= maxDevices {
					continue
				}
				i = len(all)
				at[device], all = i, append(all, transfer{device: device})
			}
			put(&all[i], operation == "write", e.Value)
		}
	}
	each(s.IoServiceBytesRecursive, func(t *transfer, write bool, n uint64) {
		if write {
			t.writtenBytes = n
		} else {
			t.readBytes = n
		}
	})
	each(s.IoServicedRecursive, func(t *transfer, write bool, n uint64) {
		if write {
			t.writes = n
		} else {
			t.reads = n
		}
	})
	return all
}
