package loki

import (
	"cmp"
	"context"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Of a request with several streams, Loki's ingester reports only the last one's rejection: a 204
// may hide that another stream was not stored (instance.go: appendErr; seen with 3.7.8). Streams
// that may be rejected are therefore sent in requests of their own. An ingester rejects
//
//   - a stream it does not hold yet, when the tenant has too many;
//   - entries more than an hour behind the stream's newest (max_chunk_age/2);
//   - what exceeds the stream's rate.
//
// Most bodies have none of these and remain one request.
const settledAfter = 10 * time.Minute

// streamHealth remembers how Loki answered for each stream.
type streamHealth struct {
	now func() time.Time

	mu      sync.Mutex
	seed    maphash.Seed
	streams map[uint64]streamState // by the hash of the label set: there may be thousands
}

// A streamState is when a stream was last accepted, and when it last exceeded its rate, in Unix
// nanoseconds; 0 is never.
type streamState struct{ accepted, limited int64 }

// maxStreamStates bounds the memory; a forgotten stream costs one request.
const maxStreamStates = 1 << 14

func (s *streamHealth) update(body *pipeline.Body, failure *pipeline.SendError) {
	now := s.now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	switch {
	case failure == nil:
		for g := range groupsOf(body) {
			key := s.key(body.Groups[g])
			st := s.streams[key]
			st.accepted = now
			s.streams[key] = st
		}
	case failure.Status == http.StatusTooManyRequests:
		for _, item := range failure.Items {
			key := s.key(body.Groups[body.Items[item.Index].Group])
			st := s.streams[key]
			st.limited = now
			s.streams[key] = st
		}
	}
}

func (s *streamHealth) makeRoom() {
	if s.streams == nil {
		s.seed = maphash.MakeSeed()
	}
	if s.streams == nil || len(s.streams) >= maxStreamStates {
		s.streams = map[uint64]streamState{}
	}
}

func (s *streamHealth) key(labels string) uint64 { return maphash.String(s.seed, labels) }

// risky returns the groups of a body that Loki may reject. A single group needs no isolation.
func (s *streamHealth) risky(body *pipeline.Body) map[uint32]bool {
	groups := groupsOf(body)
	if len(groups) == 1 {
		return nil
	}
	old := s.now().Add(-settledAfter).UnixNano()
	risky := map[uint32]bool{}
	s.mu.Lock()
	s.makeRoom()
	for g := range groups {
		st := s.streams[s.key(body.Groups[g])]
		if st.accepted < old || st.limited > old {
			risky[g] = true
		}
	}
	s.mu.Unlock()
	for i, item := range body.Items {
		if !risky[item.Group] && timeOf(body.Item(i)) < old {
			risky[item.Group] = true
		}
	}
	return risky
}

func groupsOf(body *pipeline.Body) map[uint32]bool {
	groups := map[uint32]bool{}
	last := ^uint32(0)
	for _, item := range body.Items {
		if item.Group != last {
			groups[item.Group] = true
			last = item.Group
		}
	}
	return groups
}

// sendIsolated sends each risky group in its own request, after one request for all others.
func (o *Output) sendIsolated(ctx context.Context, body *pipeline.Body, risky map[uint32]bool) *pipeline.SendError {
	parts := partsOf(body, risky)
	part := partPool.Get().(*pipeline.Body)
	defer releasePart(part)
	var all *pipeline.SendError
	for k, indices := range parts {
		subsetInto(part, body, indices)
		failure := o.sendRequest(ctx, part)
		if failure == nil {
			continue
		}
		if failure.Items == nil && failure.Outcome == pipeline.Reject {
			failure.Items = itemErrors(failure, indices) // the others have not been tried
			all = mergeFailures(all, failure)
			continue
		}
		if failure.Items == nil {
			if k == 0 {
				return failure // nothing is stored
			}
			// What is to be split or bisected comes back alone.
			failure.Outcome = retryOrHold(failure.Outcome)
			failure.Items = itemErrors(failure, slices.Concat(parts[k:]...))
			return mergeFailures(all, failure)
		}
		for i := range failure.Items {
			failure.Items[i].Index = indices[failure.Items[i].Index]
		}
		all = mergeFailures(all, failure)
	}
	return all
}

func retryOrHold(o pipeline.Outcome) pipeline.Outcome {
	if o == pipeline.Hold {
		return o
	}
	return pipeline.Retry
}

// partsOf returns the indices of a body's items, request by request.
func partsOf(body *pipeline.Body, risky map[uint32]bool) [][]int {
	parts := [][]int{nil}
	at := map[uint32]int{}
	for i, item := range body.Items {
		k := 0
		if risky[item.Group] {
			if at[item.Group] == 0 {
				at[item.Group] = len(parts)
				parts = append(parts, nil)
			}
			k = at[item.Group]
		}
		parts[k] = append(parts[k], i)
	}
	if parts[0] == nil {
		return parts[1:]
	}
	return parts
}

// partPool keeps the memory of parts: catching up with several files, all bodies are sent in parts.
var partPool = sync.Pool{New: func() any { return new(pipeline.Body) }}

func releasePart(part *pipeline.Body) {
	part.Groups, part.Sources = nil, nil
	if cap(part.Bytes) <= maxPooled {
		partPool.Put(part)
	}
}

// subset returns a body of some of a body's items.
func subset(body *pipeline.Body, items []int) *pipeline.Body {
	part := &pipeline.Body{}
	subsetInto(part, body, items)
	return part
}

// subsetInto is subset into the memory of another body.
func subsetInto(part, body *pipeline.Body, items []int) {
	size := 0
	for _, i := range items {
		size += len(body.Item(i))
	}
	part.Groups, part.Sources = body.Groups, nil
	if body.Sources != nil {
		part.Sources = &subsetSources{body.Sources, items}
	}
	part.Bytes = slices.Grow(part.Bytes[:0], size)
	part.Items = slices.Grow(part.Items[:0], len(items))
	for _, i := range items {
		item := body.Items[i]
		part.Bytes = append(part.Bytes, body.Item(i)...)
		item.End = uint32(len(part.Bytes))
		part.Items = append(part.Items, item)
	}
}

func itemErrors(failure *pipeline.SendError, indices []int) []pipeline.ItemError {
	items := make([]pipeline.ItemError, len(indices))
	for i, index := range indices {
		items[i] = pipeline.ItemError{Index: index, Outcome: failure.Outcome, Status: failure.Status,
			Reason: failure.Reason}
	}
	return items
}

// mergeFailures returns one failure for two; all may be nil.
func mergeFailures(all, next *pipeline.SendError) *pipeline.SendError {
	if all != nil {
		next.Items = append(all.Items, next.Items...)
		next.Uncertain = next.Uncertain || all.Uncertain
		next.RetryAfter = max(next.RetryAfter, all.RetryAfter)
	}
	slices.SortFunc(next.Items, func(a, b pipeline.ItemError) int { return cmp.Compare(a.Index, b.Index) })
	return next
}
