package file

import (
	"cmp"
	"iter"
	"slices"
)

// A headIndex finds what a text may be a copy of by its head, whatever the lengths of the heads
// that are known: of 100,000 logs of one family only those are compared that begin like it.
type headIndex[T any] struct {
	entries []headed[T] // by the length of the head, then by its sum
}

type headed[T any] struct {
	head fingerprint
	of   T
}

func (i *headIndex[T]) add(head fingerprint, of T) {
	i.entries = append(i.entries, headed[T]{head, of})
}

// sort is called once all are added.
func (i *headIndex[T]) sort() {
	slices.SortFunc(i.entries, func(a, b headed[T]) int { return compareHeads(a.head, b.head) })
}

func compareHeads(a, b fingerprint) int {
	return cmp.Or(cmp.Compare(a.len, b.len), cmp.Compare(a.sum, b.sum))
}

// find returns those whose head a text begins with.
func (i *headIndex[T]) find(text []byte) iter.Seq[T] {
	return func(yield func(T) bool) {
		for rest := i.entries; len(rest) > 0 && int(rest[0].head.len) <= len(text); {
			n := rest[0].head.len
			want := fingerprintOf(text[:n])
			at, _ := slices.BinarySearchFunc(rest, want, func(e headed[T], head fingerprint) int {
				return compareHeads(e.head, head)
			})
			for rest = rest[at:]; len(rest) > 0 && rest[0].head == want; rest = rest[1:] {
				if !yield(rest[0].of) {
					return
				}
			}
			at, _ = slices.BinarySearchFunc(rest, n, func(e headed[T], n uint16) int {
				return cmp.Or(cmp.Compare(e.head.len, n), -1) // behind all of this length
			})
			rest = rest[at:]
		}
	}
}

func (i *headIndex[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, e := range i.entries {
			if !yield(e.of) {
				return
			}
		}
	}
}
