package deliver

import (
	"sync/atomic"

	"github.com/longshore/longshore/pipeline/event"
)

// Shared is a batch that several outputs read. The last one to release it
// gives it back.
type Shared struct {
	*event.Batch
	users atomic.Int32
	free  func(*event.Batch)
}

// Share makes a batch readable by a number of users, each of which calls
// Release once. free then takes the batch back.
func Share(b *event.Batch, users int, free func(*event.Batch)) *Shared {
	s := &Shared{Batch: b, free: free}
	s.users.Store(int32(users))
	return s
}

// Release ends one user's reading.
func (s *Shared) Release() {
	if s.users.Add(-1) == 0 {
		s.free(s.Batch)
	}
}
