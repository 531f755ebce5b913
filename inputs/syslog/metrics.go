package syslog

import (
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	truncated, refused, failed, dropped prometheus.Counter

	mu      sync.Mutex
	run     *run                    // that runs
	sockets map[*net.UDPConn]uint64 // and what each has dropped
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		truncated: metric.Counter(reg, "longshore_syslog_truncated_bytes_total",
			"Bytes truncated from messages that were longer than max_message_size."),
		refused: metric.Counter(reg, "longshore_syslog_refused_connections_total",
			"Connections that were turned away, as max_connections were open."),
		failed: metric.Counter(reg, "longshore_syslog_failed_handshakes_total", "TLS handshakes that failed."),
		dropped: metric.Counter(reg, "longshore_syslog_dropped_datagrams_total",
			"Datagrams that the kernel dropped, as its buffer was full. They are lost."),
		sockets: map[*net.UDPConn]uint64{},
	}
	metric.GaugeOf(reg, "longshore_syslog_connections", "Open connections.",
		func() float64 { return m.of(func(r *run) int { return r.connections.count() }) })
	metric.GaugeOf(reg, "longshore_syslog_senders", "Hosts that have a source of their own.",
		func() float64 { return m.of(func(r *run) int { return r.senders.count() }) })
	return m
}

func (m *metrics) of(count func(*run) int) float64 {
	m.mu.Lock()
	r := m.run
	m.mu.Unlock()
	if r == nil {
		return 0
	}
	return float64(count(r))
}

func (m *metrics) observe(r *run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run = r
}

// watchDrops counts what the kernel drops of a socket, until the function that it returns is
// called.
func (m *metrics) watchDrops(conn *net.UDPConn) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sockets[conn] = 0
	return func() {
		m.lookForDrops()
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.sockets, conn)
	}
}

// lookForDrops returns how many datagrams were dropped since it looked before.
func (m *metrics) lookForDrops() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := uint64(0)
	for conn, before := range m.sockets {
		if n, ok := dropsOf(conn); ok && n > before {
			total += n - before
			m.sockets[conn] = n
		}
	}
	m.dropped.Add(float64(total))
	return total
}
