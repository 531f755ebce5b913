package deliver

// spares are bodies for reuse, which the lanes of an output share: each has one that
// grows, but few are empty at a time. More are left to the garbage collector, and so are
// those that one long record, or very many groups, have blown up.
type spares struct {
	bodies chan *Body
	bytes  int // that a body may have room for
}

const (
	spareBodies = 4
	spareGroups = 1 << 10
)

func newSpares(limit int) spares {
	return spares{bodies: make(chan *Body, spareBodies), bytes: 2 * limit}
}

// get gives an empty body.
func (s spares) get() *Body {
	select {
	case b := <-s.bodies:
		return b
	default:
		return NewBody()
	}
}

func (s spares) put(b *Body) {
	if cap(b.Bytes) > s.bytes || cap(b.Groups) > spareGroups {
		return
	}
	b.Reset()
	select {
	case s.bodies <- b:
	default:
	}
}
