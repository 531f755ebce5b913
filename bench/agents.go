package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	manyAgents = 10_000
	// agentPause is how long an agent waits between two requests, on average.
	agentPause = 5 * time.Second
	// agentLines is how many lines a second an agent has, on average. Few agents have most of them:
	// their rates are log-normal, with this sigma.
	agentLines = 1.0
	agentSigma = 1.5
	// agentsJoin is over how long they connect at first, as when a cluster is rolled out.
	agentsJoin = 10 * time.Second
	agentTries = 20
)

// agents measures an aggregator that 10,000 agents send to, each over a connection of its own: they
// have lines now and then, most of them few, and once in the middle all connections break at the
// same time, as when a load balancer is restarted. What they were answered for must have come once.
func (b bench) agents(ctx context.Context) error {
	const name = "agents"
	if !b.wants(name) {
		return nil
	}
	recv, err := newReceiver(math.MaxInt64)
	if err != nil {
		return err
	}
	defer recv.close()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	input := fmt.Sprintf("{type: otlp, listen: [%q], max_connections: %d}", address, 2*manyAgents)
	a, err := b.startAgent(ctx, configOf(input, lokiOutput, recv), 1)
	if err != nil {
		return err
	}
	s := &swarm{address: address, span: 3 * b.span}
	began := time.Now()
	s.run(ctx)
	cpu, err := a.cpu()
	if err != nil {
		return err
	}
	took := time.Since(began)
	usage, err := a.stop()
	if err != nil {
		return err
	}
	t := newTable(name, "requests/s", "lines/s", "CPU s per million", "µs a request", "cores", "peak MiB", "p50 ms",
		"p99 ms", "tried again", "missing", "repeated")
	sent, requests := s.lines.Load(), s.requests.Load()
	diff := recv.lines.Load() - sent
	t.row(manyAgents, fmt.Sprintf("%.0f", float64(requests)/took.Seconds()), fmt.Sprintf("%.0f",
		float64(sent)/took.Seconds()), fmt.Sprintf("%.2f", cpu.Seconds()/float64(sent)*1e6),
		fmt.Sprintf("%.0f", float64(cpu.Microseconds())/float64(requests)),
		fmt.Sprintf("%.2f", cpu.Seconds()/took.Seconds()), fmt.Sprintf("%.0f", mib(usage.peak)),
		s.latency(0.5).Milliseconds(), s.latency(0.99).Milliseconds(), s.again.Load(), max(0, -diff), max(0, diff))
	if diff < 0 {
		return fmt.Errorf("%d lines were acknowledged and have not come", -diff)
	}
	if diff > s.unanswered.Load() {
		return fmt.Errorf("%d lines came twice, and only %d were sent again", diff, s.unanswered.Load())
	}
	return nil
}

// A swarm is many agents.
type swarm struct {
	address string
	span    time.Duration

	lines, requests, again atomic.Int64
	unanswered             atomic.Int64 // lines whose answer was lost, and that were sent again
	mu                     sync.Mutex
	latencies              []time.Duration
}

func (s *swarm) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.span)
	defer cancel()
	breaks := time.Now().Add(s.span / 2)
	var all sync.WaitGroup
	for i := range manyAgents {
		all.Go(func() {
			r := &remote{swarm: s, number: i, random: rand.New(rand.NewPCG(1, uint64(i))), breaks: breaks}
			r.run(ctx)
		})
	}
	all.Wait()
}

func (s *swarm) latency(share float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.latencies) == 0 {
		return 0
	}
	slices.Sort(s.latencies)
	return s.latencies[int(share*float64(len(s.latencies)-1))]
}

// A remote is one agent, as an aggregator sees it.
type remote struct {
	swarm  *swarm
	number int
	random *rand.Rand
	breaks time.Time // when its connection does

	conn   net.Conn
	answer *bufio.Reader
	body   []byte
}

func (r *remote) run(ctx context.Context) {
	defer r.close()
	rate := agentLines * math.Exp(agentSigma*r.random.NormFloat64()-agentSigma*agentSigma/2)
	pause, last := time.Duration(r.random.Float64()*float64(agentsJoin)), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		n := int(rate*time.Since(last).Seconds() + r.random.Float64())
		last = time.Now()
		if n > 0 {
			r.send(n)
		}
		pause = time.Duration(r.random.ExpFloat64() * float64(agentPause))
	}
}

// send sends lines until they are acknowledged.
func (r *remote) send(n int) {
	r.body = appendLogs(r.body[:0], r.number, n, r.random)
	began := time.Now()
	for range agentTries {
		err := r.post()
		if err == nil {
			r.swarm.requests.Add(1)
			r.swarm.lines.Add(int64(n))
			r.swarm.mu.Lock()
			r.swarm.latencies = append(r.swarm.latencies, time.Since(began))
			r.swarm.mu.Unlock()
			return
		}
		r.swarm.again.Add(1)
		if !errors.Is(err, errRefused) {
			r.swarm.unanswered.Add(int64(n))
		}
		time.Sleep(time.Duration(r.random.Float64() * float64(2*time.Second)))
	}
}

// errRefused is the answer of an aggregator that has taken nothing.
var errRefused = errors.New("refused for now")

// post sends the body once, and waits for the answer.
func (r *remote) post() error {
	if time.Now().After(r.breaks) {
		r.close()
		r.breaks = time.Now().Add(time.Hour)
	}
	if r.conn == nil {
		conn, err := net.DialTimeout("tcp", r.swarm.address, 10*time.Second)
		if err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		r.conn, r.answer = conn, bufio.NewReaderSize(conn, 512)
	}
	r.conn.SetDeadline(time.Now().Add(30 * time.Second))
	head := fmt.Sprintf("POST /v1/logs HTTP/1.1\r\nHost: aggregator\r\nContent-Type: application/x-protobuf\r\n"+
		"Content-Length: %d\r\n\r\n", len(r.body))
	_, err := r.conn.Write(append([]byte(head), r.body...))
	if err != nil {
		r.close()
		return err
	}
	answer, err := http.ReadResponse(r.answer, nil)
	if err != nil {
		r.close()
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		r.close()
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %d", errRefused, answer.StatusCode)
	}
	return nil
}

func (r *remote) close() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// appendLogs appends a request of OTLP with n records.
func appendLogs(dst []byte, number, n int, random *rand.Rand) []byte {
	resource := messageField(1, attribute("host.name", fmt.Sprintf("host-%d", number)),
		attribute("service.name", fmt.Sprintf("service-%d", number%200)))
	var records []byte
	for i := range n {
		at := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, uint64(time.Now().UnixNano()))
		text := fmt.Sprintf("request %d took %d ms: %s", i, random.IntN(1000), strings.Repeat("and so on ", 12))
		records = append(records, messageField(2, at, []byte{2 << 3, 9}, messageField(5, lengthField(1, text)))...)
	}
	return append(dst, messageField(1, resource, messageField(2, records))...)
}

func attribute(key, value string) []byte {
	return messageField(1, lengthField(1, key), messageField(2, lengthField(1, value)))
}

// messageField returns a field of protobuf that is a message of some fields.
func messageField(number int, fields ...[]byte) []byte {
	return lengthField(number, string(slices.Concat(fields...)))
}

func lengthField(number int, value string) []byte {
	dst := binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(value)))
	return append(dst, value...)
}
