package elasticsearch

import (
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

const (
	// A node that failed is left out for firstRest, and twice as long each time
	// that it fails again, up to longestRest.
	firstRest   = time.Second
	longestRest = time.Minute
)

// nodes are the cluster's nodes, asked in turn. One that is down is left out
// for a while and then tried with a single request. Where all are down the one
// that has rested longest is tried, so that there always is one.
type nodes struct {
	mu   sync.Mutex
	all  []*node
	next int
}

type node struct {
	conn     *elastictransport.Connection
	failures int
	// until is when it may be asked again; zero when it is well.
	until time.Time
}

var _ elastictransport.ConcurrentSafeConnectionPool = (*nodes)(nil)

func newNodes(conns []*elastictransport.Connection) *nodes {
	n := &nodes{}
	for _, c := range conns {
		n.all = append(n.all, &node{conn: c})
	}
	return n
}

// Next implements elastictransport.ConnectionPool.
func (n *nodes) Next() (*elastictransport.Connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.all) == 0 {
		return nil, errors.New("there is no node to ask")
	}
	now := time.Now()
	first := n.all[n.next%len(n.all)]
	chosen := first
	for k := range n.all {
		one := n.all[(n.next+k)%len(n.all)]
		if !now.Before(one.until) {
			n.next += k + 1
			one.tried(now)
			return one.conn, nil
		}
		if one.until.Before(chosen.until) {
			chosen = one
		}
	}
	n.next++
	return chosen.conn, nil
}

// tried keeps others away from a node that is not known to be well again.
func (o *node) tried(now time.Time) {
	if o.failures > 0 {
		o.until = now.Add(o.rest())
	}
}

func (o *node) rest() time.Duration {
	return min(firstRest<<min(o.failures-1, 10), longestRest)
}

// OnSuccess implements elastictransport.ConnectionPool: the node answered,
// whatever it said.
func (n *nodes) OnSuccess(c *elastictransport.Connection) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		if one.conn == c {
			one.failures, one.until = 0, time.Time{}
		}
	}
	return nil
}

// OnFailure implements elastictransport.ConnectionPool.
func (n *nodes) OnFailure(c *elastictransport.Connection) error {
	n.failed(func(one *node) bool { return one.conn == c })
	return nil
}

// Ill notes that the node with this address answered that it cannot serve.
func (n *nodes) Ill(host string) {
	n.failed(func(one *node) bool { return one.conn.URL.Host == host })
}

func (n *nodes) failed(which func(*node) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		if which(one) {
			one.failures++
			one.until = time.Now().Add(one.rest())
		}
	}
}

// URLs implements elastictransport.ConnectionPool.
func (n *nodes) URLs() []*url.URL {
	var urls []*url.URL
	for _, one := range n.all {
		urls = append(urls, one.conn.URL)
	}
	return urls
}

// ConcurrentSafe implements elastictransport.ConcurrentSafeConnectionPool.
func (n *nodes) ConcurrentSafe() {}
