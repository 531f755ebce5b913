package spool

import (
	"slices"
	"testing"

	"github.com/longshore/longshore/agent/disk/disktest"
)

func TestLook(t *testing.T) {
	on := disktest.New()
	look := func() (found []string) {
		if err := Look(on, testDir, func(r []byte) { found = append(found, string(r)) }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(found)
		return found
	}
	if got := look(); got != nil {
		t.Errorf("a spool that is not there has %q", got)
	}
	s := open(t, on, small)
	add(t, s, "a", "b", "c", "d")
	for _, done := range []bool{false, true} {
		r, _, err := s.Next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			if err := s.Done(r.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := look(); !slices.Equal(got, []string{"a", "c", "d"}) {
		t.Errorf("with one done it shows %q", got)
	}
	g := s.segments[0]
	if _, err := g.file.WriteAt([]byte("!"), int64(headerSize)+2*(frameHead+1)+frameHead); err != nil {
		t.Fatal(err)
	}
	if got := look(); !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("with c damaged it shows %q", got)
	}
}
