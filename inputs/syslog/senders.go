package syslog

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// silentFor is how long a host keeps its source without sending. Where others need one it is
// takenAfter.
const (
	silentFor  = 10 * time.Minute
	takenAfter = time.Minute
)

// senders are the hosts that send, each a source.
type senders struct {
	feed pipeline.Feed
	max  int
	now  func() time.Time
	host string // this one's name

	mu     sync.Mutex
	byAddr map[netip.Addr]*sender
	others *sender // all that are too many; nil while there are none
}

func newSenders(feed pipeline.Feed, most int) *senders {
	host, _ := os.Hostname() // without a name there is no label
	return &senders{feed: feed, max: most, now: time.Now, host: host, byAddr: map[netip.Addr]*sender{}}
}

// A sender is one host.
type sender struct {
	used  time.Time // when it was last let go; guarded by senders.mu
	users int       // guarded by senders.mu

	mu  sync.Mutex // held while a batch is sent
	src *event.Source
	pos uint64
}

// acquire returns the sender of an address, until release. The zero address is this host's own
// programs.
func (s *senders) acquire(addr netip.Addr) (*sender, error) {
	addr = addr.Unmap()
	if addr.IsLoopback() {
		addr = netip.Addr{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, err := s.find(addr)
	if err != nil {
		return nil, err
	}
	from.users++
	return from, nil
}

func (s *senders) find(addr netip.Addr) (*sender, error) {
	if from := s.byAddr[addr]; from != nil {
		return from, nil
	}
	if len(s.byAddr) < s.max || s.makeRoom() {
		from, err := s.open(s.nameOf(addr), s.hostOf(addr))
		if err == nil {
			s.byAddr[addr] = from
		}
		return from, err
	}
	if s.others == nil {
		var err error
		if s.others, err = s.open("other hosts", ""); err != nil {
			return nil, err
		}
	}
	return s.others, nil
}

func (s *senders) nameOf(addr netip.Addr) string {
	if !addr.IsValid() {
		return "this host"
	}
	return addr.String()
}

func (s *senders) hostOf(addr netip.Addr) string {
	if !addr.IsValid() {
		return s.host
	}
	return addr.WithZone("").String()
}

func (s *senders) open(key, host string) (*sender, error) {
	src, err := s.feed.Open(0, key, []event.Label{
		{Name: event.LabelHost, Value: host},
		{Name: event.LabelService, Value: "syslog"},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the source of %s: %w", key, err)
	}
	return &sender{src: src}, nil
}

// makeRoom takes its source from the host that has been silent for longest, and reports whether
// there was one.
func (s *senders) makeRoom() bool {
	var oldest netip.Addr
	var since time.Time
	found := false
	for addr, from := range s.byAddr {
		if from.users == 0 && (!found || from.used.Before(since)) {
			oldest, since, found = addr, from.used, true
		}
	}
	if !found || s.now().Sub(since) < takenAfter {
		return false
	}
	s.close(oldest)
	return true
}

func (s *senders) close(addr netip.Addr) {
	s.feed.Close(s.byAddr[addr].src, true)
	delete(s.byAddr, addr)
}

func (s *senders) release(from *sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from.users--
	from.used = s.now()
}

// sweep closes the sources of hosts that have been silent for long.
func (s *senders) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, from := range s.byAddr {
		if from.users == 0 && s.now().Sub(from.used) >= silentFor {
			s.close(addr)
		}
	}
}

// closeAll closes all sources, once nobody uses any.
func (s *senders) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr := range s.byAddr {
		s.close(addr)
	}
	if s.others != nil {
		s.feed.Close(s.others.src, true)
		s.others = nil
	}
}

func (s *senders) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byAddr)
}

// send sends a batch of the sender's messages, and gives them their positions.
func (from *sender) send(ctx context.Context, feed pipeline.Feed, b *event.Batch) error {
	from.mu.Lock()
	defer from.mu.Unlock()
	b.From = from.pos
	for i := range b.Records {
		r := &b.Records[i]
		r.Pos = from.pos
		from.pos += uint64(r.Line.Len) + 1
	}
	b.To = from.pos
	b.Cursor = append(b.Cursor[:0], 1) // nothing can be read again
	return feed.Send(ctx, b)
}
