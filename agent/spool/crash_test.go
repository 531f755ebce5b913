package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/disk/disktest"
)

// history is what a spool was told and what it promised, until the power failed.
type history struct {
	appended []string
	kept     map[string]bool // Append returned nil
	done     map[string]bool // Done was called
}

// work appends, reads and is killed now and then, until the disk stops it. All
// records are different.
func work(d *disktest.Disk, rnd *rand.Rand) *history {
	h := &history{kept: map[string]bool{}, done: map[string]bool{}}
	var s *Spool
	var out []Record
	for i := range 40 {
		if s == nil || rnd.IntN(12) == 0 { // a killed process closes nothing
			var err error
			if s, err = Open(d, testDir, small); err != nil {
				return h
			}
			out = nil
		}
		r := fmt.Sprint(i, strings.Repeat(string(rune('a'+i%26)), rnd.IntN(900)))
		h.appended = append(h.appended, r)
		if s.Append([]byte(r)) == nil {
			h.kept[r] = true
		}
		if r, ok, _ := s.Next(nil); ok && rnd.IntN(3) > 0 {
			out = append(out, r)
		}
		if n := len(out); n > 0 && rnd.IntN(3) > 0 {
			k := rnd.IntN(n)
			h.done[string(out[k].Data)] = true
			s.Done(out[k].ID)
			out = append(out[:k], out[k+1:]...)
		}
	}
	return h
}

// check holds what a spool has after a crash against what it promised.
func (h *history) check(t *testing.T, got []string) {
	t.Helper()
	at := 0
	has := map[string]bool{}
	for _, r := range got {
		for at < len(h.appended) && h.appended[at] != r {
			at++
		}
		if at == len(h.appended) {
			t.Fatalf("record %.20q is garbled, twice there or out of order", r)
		}
		has[r] = true
	}
	for r := range h.kept {
		if !has[r] && !h.done[r] {
			t.Fatalf("record %.20q was on disk, and is lost", r)
		}
	}
}

// TestPowerLossAtEveryOperation: what Append took is there, in order, and
// nothing else, after a kill or any power loss, also one during the recovery.
func TestPowerLossAtEveryOperation(t *testing.T) {
	histories := 2
	if testing.Short() {
		histories = 1
	}
	for n := range uint64(histories) {
		run := func(d *disktest.Disk) *history { return work(d, rand.New(rand.NewPCG(n, 7))) }
		rnd := rand.New(rand.NewPCG(n, 8))
		disktest.EveryCrash(t, 4, run, func(t *testing.T, d *disktest.Disk, h *history) {
			h.recover(t, d, rnd)
		})
	}
}

// recover opens the spool on a disk whose power fails once more, and then on one that goes on.
func (h *history) recover(t *testing.T, d *disktest.Disk, rnd *rand.Rand) {
	t.Helper()
	d.StopAt(1 + rnd.IntN(40))
	again := "0 again"
	kept := false
	if s, err := Open(d, testDir, small); err == nil {
		kept = s.Append([]byte(again)) == nil
	}
	d = d.Crash(rnd.Uint64())

	s, err := Open(d, testDir, small)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, _ := s.Len()
	_, got := take(t, s)
	if n != len(got) {
		t.Fatalf("given: %.20q; Len() = %d", got, n)
	}
	if len(got) > 0 && got[len(got)-1] == again {
		kept, got = false, got[:len(got)-1]
	}
	if kept {
		t.Fatal("the record that was appended after the recovery is lost")
	}
	h.check(t, got)
	if left := strings.Join(files(t, d), " "); strings.Contains(left, suffixDamaged) {
		t.Fatalf("a power loss counted as damage: %s", left)
	}
	add(t, s, "on it goes")
	want(t, s, "on it goes")
}

// TestKillThenPowerLoss: what a killed process had written and not synced is
// given to the next, and must not be lost any more once that one has it.
func TestKillThenPowerLoss(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	add(t, s, "a")
	d.StopAt(3) // the fsync after the two writes of the frame
	if s.Append([]byte("b")) == nil {
		t.Fatal("the power did not fail")
	}
	d = d.Kill()
	want(t, open(t, d, small), "a", "b")
	for seed := range uint64(20) {
		want(t, open(t, d.Crash(seed), small), "a", "b")
	}
}

// layout is a segment, made by hand.
type layout []byte

const layoutNonce = 99

func newLayout() layout { return appendHeader(nil, 1, layoutNonce) }

func (l layout) frame(payload string) layout {
	return append(appendHead(l, seedOf(newLayout()), []byte(payload)), payload...)
}

func (l layout) raw(p string) layout { return append(l, p...) }

// flip changes the byte that many from the end.
func (l layout) flip(fromEnd int) layout {
	l[len(l)-fromEnd] ^= 0x40
	return l
}

func (l layout) cut(bytes int) layout { return l[:len(l)-bytes] }

func put(t *testing.T, d *disktest.Disk, name string, content []byte) {
	t.Helper()
	for _, dir := range []string{"data", "data/spool", testDir} {
		d.Mkdir(dir)
	}
	f, err := d.Create(testDir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt(content, 0)
}

const (
	first  = "0000000000000001.segment"
	second = "0000000000000002.segment"
)

func TestLayouts(t *testing.T) {
	zeros, long := string(make([]byte, 1100)), strings.Repeat("long", 300)
	cases := map[string]struct {
		segment layout
		last    bool // no segment comes after it
		want    []string
		damaged bool // kept for a person, with a warning
	}{
		"good":             {newLayout().frame("a").frame("b"), false, []string{"a", "b"}, false},
		"only a header":    {newLayout(), false, nil, false},
		"torn head":        {newLayout().frame("a").frame("b").cut(6), true, []string{"a"}, false},
		"torn payload":     {newLayout().frame("a").frame(zeros + "b").cut(100), true, []string{"a"}, false},
		"zeros at the end": {newLayout().frame("a").raw(zeros), true, []string{"a"}, false},
		"unwritten sector": {newLayout().frame("a").frame(strings.Repeat("b", 300) + zeros + "b").flip(1),
			true, []string{"a"}, false},
		"damaged last payload":  {newLayout().frame("a").frame("b").flip(1), true, []string{"a"}, true},
		"damaged last head":     {newLayout().frame("a").frame(long).flip(len(long) + 2), true, []string{"a"}, true},
		"damaged long payload":  {newLayout().frame("a").frame(long).flip(900), true, []string{"a"}, true},
		"torn, and more after":  {newLayout().frame("a").frame("b").cut(6), false, []string{"a"}, true},
		"zeros, and more after": {newLayout().frame("a").raw(zeros), false, []string{"a"}, true},
		"damaged payload": {newLayout().frame("a").frame("bad").flip(1).frame("c"), true, []string{"a", "c"},
			true},
		"damaged length": {newLayout().frame("a").frame("bad").flip(3 + frameHead).frame("c"), true,
			[]string{"a", "c"}, true},
		"damaged first": {newLayout().frame("bad").flip(2).frame("c"), false, []string{"c"}, true},
		"zeros between": {newLayout().frame("a").raw(zeros).frame("c"), true, []string{"a", "c"}, true},
		"damage over a window": {newLayout().raw(strings.Repeat("\x01\x00\x00\x00", 50<<10)).frame("c"), false,
			[]string{"c"}, true},
		"all of it damage":         {newLayout().raw("what is this? who wrote it?"), false, nil, true},
		"another segment's frames": {newLayout().raw(string(otherFrame())).frame("c"), false, []string{"c"}, true},
		"no header":                {layout("something else"), false, nil, true},
		"empty file":               {layout{}, false, nil, true},
		"damaged header":           {newLayout().flip(8).frame("a"), false, nil, true},
		"another's number":         {appendHeader(nil, 5, layoutNonce), false, nil, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := disktest.New()
			put(t, d, first, c.segment)
			wanted := c.want
			if !c.last {
				put(t, d, second, append(appendHead(appendHeader(nil, 2, 3), seedOf(appendHeader(nil, 2, 3)),
					[]byte("next")), "next"...))
				wanted = append(wanted, "next")
			}
			var log bytes.Buffer
			o := small
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := open(t, d, o)
			want(t, s, wanted...)
			s = reopen(t, s) // nothing is lost by having looked
			ids := want(t, s, wanted...)
			done(t, s, ids...)
			s.Close()
			left := files(t, d)
			if got := strings.Contains(strings.Join(left, " "), first+suffixDamaged); got != c.damaged {
				t.Errorf("files: %v; kept: %v, want %v", left, got, c.damaged)
			}
			if got := strings.Contains(log.String(), "WARN"); got != c.damaged {
				t.Errorf("log: %s", log.String())
			}
			s = open(t, d, o)
			add(t, s, "on it goes")
			want(t, s, "on it goes")
		})
	}
}

func otherFrame() []byte {
	return append(appendHead(nil, seedOf(appendHeader(nil, 1, layoutNonce+1)), []byte("old")), "old"...)
}

func TestNewerVersionIsNotTouched(t *testing.T) {
	d := disktest.New()
	put(t, d, first, []byte(magicStart+"3\n and who knows what"+strings.Repeat(".", 50)))
	if _, err := Open(d, testDir, small); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("error %v", err)
	}
}

// TestVersion1IsRead, and what is appended is in a segment of its own.
func TestVersion1IsRead(t *testing.T) {
	header := []byte(strings.Replace(string(appendHeader(nil, 1, layoutNonce)), magic, magic1, 1))
	seed := seedOf(header)
	segment := binary.LittleEndian.AppendUint32(header[:headerSize-4], seed)
	segment = append(appendHead(segment, seed, []byte("old")), "old"...)
	d := disktest.New()
	put(t, d, first, segment)
	s := open(t, d, small)
	add(t, s, "new")
	done(t, s, want(t, s, "old", "new")...)
	if left := files(t, d); len(left) > 0 {
		t.Errorf("files of an empty spool: %v", left)
	}
}

// TestLeftoversAndForeignFiles: what no segment needs goes, what is not ours stays.
func TestLeftoversAndForeignFiles(t *testing.T) {
	d := disktest.New()
	put(t, d, "0000000000000004.segment.new", nil)
	put(t, d, "0000000000000005.done", []byte("12345678"))
	put(t, d, "0000000000000006.segment.damaged", nil)
	put(t, d, "README", nil)
	s := open(t, d, small)
	add(t, s, "a")
	got := files(t, d)
	if diff := cmp.Diff([]string{"0000000000000006.segment.damaged", "0000000000000007.segment", "README"},
		got); diff != "" {
		t.Error(diff)
	}
}

// TestNotesOfAnotherSegmentDoNotCount: they are for the same number, and left
// from before a power loss.
func TestNotesOfAnotherSegmentDoNotCount(t *testing.T) {
	d := disktest.New()
	put(t, d, first, newLayout().frame("a").frame("b"))
	other := seedOf(appendHeader(nil, 1, layoutNonce+1))
	notes := appendNote(nil, other, int64(headerSize))
	notes = append(notes, make([]byte, 2*noteSize)...)
	second := int64(headerSize + frameHead + 1)
	notes = append(appendNote(notes, seedOf(newLayout()), second), "torn"...)
	put(t, d, "0000000000000001.done", notes)
	s := open(t, d, small)
	done(t, s, want(t, s, "a")...)
	if left := files(t, d); len(left) > 0 {
		t.Errorf("files: %v", left)
	}
}

// FuzzOpen: any segment and notes can be opened and read, and the spool goes on.
func FuzzOpen(f *testing.F) {
	notes := appendNote(nil, seedOf(newLayout()), int64(headerSize))
	f.Add([]byte(newLayout().frame("a").frame("b")), notes)
	f.Add([]byte(newLayout().frame("a").frame("bad").flip(1).frame("c").cut(2)), notes[:5])
	f.Add([]byte("longshore spool 1\n"), []byte{})
	f.Add([]byte("longshore spool 2\n"), []byte{})
	f.Fuzz(func(t *testing.T, segment, notes []byte) {
		d := disktest.New()
		put(t, d, first, segment)
		put(t, d, "0000000000000001.done", notes)
		s, err := Open(d, testDir, small)
		if err != nil {
			if strings.Contains(err.Error(), "newer") {
				return
			}
			t.Fatal(err)
		}
		defer s.Close()
		n, _ := s.Len()
		ids, got := take(t, s)
		if n != len(got) {
			t.Fatalf("given: %.20q; Len() = %d", got, n)
		}
		for _, r := range got {
			if !bytes.Contains(segment, []byte(r)) {
				t.Fatalf("record %q is not in the file", r)
			}
		}
		done(t, s, ids...)
		if err := s.Append([]byte("on it goes")); err != nil && len(segment) < MinSize/2 {
			t.Fatal(err)
		}
	})
}
