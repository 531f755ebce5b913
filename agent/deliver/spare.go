package deliver

import "github.com/longshore/longshore/pipeline"

// spares are bodies for reuse, which the lanes of an output share: each has one that
// grows, but few are empty at a time. More are left to the garbage collector, and so are
// those that one long record, or very many groups, have blown up.
type spares struct {
	bodies chan *pipeline.Body
	bytes  int // that a body may have room for
}

const (
	spareBodies = 4
	spareGroups = 1 << 10
)

func newSpares(limit int) spares {
	return spares{bodies: make(chan *pipeline.Body, spareBodies), bytes: 2 * limit}
}

// get gives an empty body.
func (s spares) get() *pipeline.Body {
	select {
	case b := <-s.bodies:
		return b
	default:
		return &pipeline.Body{}
	}
}

func (s spares) put(b *pipeline.Body) {
	if cap(b.Bytes) > s.bytes || cap(b.Groups) > spareGroups {
		return
	}
	b.Reset()
	select {
	case s.bodies <- b:
	default:
	}
}
