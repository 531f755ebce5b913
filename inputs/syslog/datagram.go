package syslog

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	maxDatagram   = 64 << 10
	datagramsRead = 32 // by one system call
	batchBytes    = 128 << 10
)

// A queue holds datagrams between the goroutine that reads a socket and the one that sends them.
type queue struct {
	max int

	mu     sync.Mutex
	filled *sync.Cond // or closed
	taken  *sync.Cond // or closed
	closed bool
	block
}

// A block is some datagrams, one after the other.
type block struct {
	bytes []byte
	items []datagram
}

type datagram struct {
	from      netip.Addr
	at        int64 // when it came
	size      int
	truncated bool
}

func newQueue(size int) *queue {
	q := &queue{max: size}
	q.filled, q.taken = sync.NewCond(&q.mu), sync.NewCond(&q.mu)
	return q
}

// put waits until there is room. It reports whether the queue is still open.
func (q *queue) put(p []byte, d datagram) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.bytes)+len(p) > q.max {
		q.taken.Wait()
	}
	d.size = len(p)
	q.bytes = append(q.bytes, p...)
	q.items = append(q.items, d)
	q.filled.Signal()
	return !q.closed
}

// take returns all there is, for a block that is empty, and reports whether there was something
// before the queue was closed.
func (q *queue) take(empty block) (block, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.items) == 0 {
		q.filled.Wait()
	}
	full := q.block
	q.block = block{empty.bytes[:0], empty.items[:0]}
	q.taken.Broadcast()
	return full, len(full.items) > 0
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
	q.taken.Broadcast()
}

// serveDatagrams reads a socket until it is closed.
func (r *run) serveDatagrams(ctx context.Context, conn net.PacketConn, read func(*queue) error) error {
	q := newQueue(int(r.config.QueueSize))
	var sending sync.WaitGroup
	sending.Go(func() {
		defer r.env.Panicked.Contain()
		defer conn.Close() // as nobody takes what is read
		r.sendDatagrams(ctx, q)
	})
	err := read(q)
	q.close()
	sending.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// readUDP reads as many datagrams by a system call as there are.
func (r *run) readUDP(conn net.PacketConn) func(*queue) error {
	return func(q *queue) error {
		batched := ipv4.NewPacketConn(conn) // reads from sockets of IPv6, too
		messages := make([]ipv4.Message, datagramsRead)
		for i := range messages {
			messages[i].Buffers = [][]byte{make([]byte, maxDatagram)}
		}
		for {
			n, err := batched.ReadBatch(messages, 0)
			if passes(err) {
				continue
			}
			if err != nil {
				return err
			}
			now := time.Now().UnixNano()
			for _, m := range messages[:n] {
				from, _ := m.Addr.(*net.UDPAddr)
				if !r.put(q, m.Buffers[0][:m.N], from.AddrPort().Addr(), now) {
					return net.ErrClosed
				}
			}
		}
	}
}

func (r *run) readUnix(conn *net.UnixConn) func(*queue) error {
	return func(q *queue) error {
		buf := make([]byte, max(maxDatagram, int(r.config.MaxMessageSize)+1))
		for {
			n, _, err := conn.ReadFromUnix(buf)
			if passes(err) {
				continue
			}
			if err != nil {
				return err
			}
			if !r.put(q, buf[:n], netip.Addr{}, time.Now().UnixNano()) {
				return net.ErrClosed
			}
		}
	}
}

// passes reports whether an error is of one datagram: the host that one was sent to before is not
// there, say.
func passes(err error) bool {
	var netErr net.Error
	return err != nil && !errors.Is(err, net.ErrClosed) && errors.As(err, &netErr)
}

func (r *run) put(q *queue, p []byte, from netip.Addr, now int64) bool {
	d := datagram{from: from, at: now}
	p = trimEnd(p)
	if over := len(p) - int(r.config.MaxMessageSize); over > 0 {
		p, d.truncated = p[:len(p)-over], true
		r.metrics.truncated.Add(float64(over))
	}
	return len(p) == 0 || q.put(p, d)
}

// sendDatagrams sends what is in the queue until that is closed and empty.
func (r *run) sendDatagrams(ctx context.Context, q *queue) {
	var full block
	for {
		var ok bool
		if full, ok = q.take(full); !ok {
			return
		}
		o := outgoing{run: r, batches: map[*sender]*event.Batch{}, byAddr: map[netip.Addr]*sender{}}
		err := o.sendAll(full)
		o.release()
		if err != nil {
			return // the grace is over
		}
		if len(full.bytes) < smallBuffer {
			_ = backoff.Sleep(ctx, gatherFor, nil) // its end closes the queue, too
		}
	}
}

// outgoing are the batches of a block, one for each sender.
type outgoing struct {
	*run
	byAddr  map[netip.Addr]*sender
	batches map[*sender]*event.Batch
}

func (o *outgoing) sendAll(full block) error {
	bytes := full.bytes
	for _, d := range full.items {
		message := bytes[:d.size]
		bytes = bytes[d.size:]
		from, err := o.sender(d.from)
		if err != nil {
			return err
		}
		b := o.batches[from]
		if b == nil {
			b = o.feed.Batch(from.src)
			o.batches[from] = b
		}
		if r := addMessage(b, message, d.at); r != nil && d.truncated {
			r.Flags |= event.Truncated
		}
		if len(b.Arena) >= batchBytes {
			delete(o.batches, from)
			if err := from.send(o.sending, o.feed, b); err != nil {
				return err
			}
		}
	}
	for from, b := range o.batches {
		if err := from.send(o.sending, o.feed, b); err != nil {
			return err
		}
	}
	return nil
}

// sender returns that of an address. It is tried again while it cannot be opened, as the disk is
// full: the messages wait.
func (o *outgoing) sender(addr netip.Addr) (*sender, error) {
	if from := o.byAddr[addr]; from != nil {
		return from, nil
	}
	from, err := o.senders.acquire(addr)
	if err != nil {
		o.health.set("sources", err)
		return nil, err
	}
	o.byAddr[addr] = from
	return from, nil
}

func (o *outgoing) release() {
	for _, from := range o.byAddr {
		o.senders.release(from)
	}
}
