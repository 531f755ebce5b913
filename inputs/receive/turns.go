package receive

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// turnCount is how many senders with a name are handed on at the same time.
const turnCount = 8

// A turn is what the requests of some senders with names go by, one after the other. Both of its
// carriers have one key, so that all goes the same way to each output, in order: what comes again
// is asked for only when what came before has been sent.
type turn struct {
	taken     chan struct{} // has room for one
	certain   *carrier
	uncertain *carrier
}

// Turns has requests of senders with names handed on in order.
type Turns struct {
	hub *Hub
	all []*turn
}

// BeginTurns opens the sources of such senders, after Begin.
func (h *Hub) BeginTurns(name string) (*Turns, error) {
	t := &Turns{hub: h}
	for i := range turnCount {
		key := fmt.Sprintf("%s of named senders %d", name, i)
		src, err := h.feed.Open(0, key, nil)
		if err != nil {
			return nil, fmt.Errorf("opening a source for what is received: %w", err)
		}
		var id [8]byte
		rand.Read(id[:])
		at := pipeline.Known{ID: event.SourceID(binary.NativeEndian.Uint64(id[:]) | 1), Key: key}
		again, _, err := h.feed.Adopt(at, math.MaxUint64, nil)
		if err != nil {
			return nil, fmt.Errorf("opening a source for what is received again: %w", err)
		}
		n := &turn{make(chan struct{}, 1), &carrier{src: src}, &carrier{src: again}}
		h.byID[src.ID], h.byID[again.ID] = n.certain, n.uncertain
		t.all = append(t.all, n)
	}
	return t, nil
}

// Deliver is that of a Request, whose sender has a name and may send again what it has sent.
// Records that are uncertain may have come before: outputs that can be asked what they hold are
// asked.
func (t *Turns) Deliver(ctx context.Context, r *Request, sender string, uncertain bool) error {
	if r.records == 0 {
		return nil
	}
	of := fnv.New64a()
	of.Write([]byte(sender))
	n := t.all[of.Sum64()%uint64(len(t.all))]
	select {
	case n.taken <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.hub.ctx.Done():
		return ErrEnding
	}
	c := n.certain
	if uncertain {
		c = n.uncertain
	}
	done, err := r.send(c)
	<-n.taken
	if err != nil {
		return err
	}
	return t.hub.wait(ctx, done)
}
