package disktest

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/longshore/longshore/agent/disk"
)

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcomes returns what a file's content is after power losses of many seeds; "none" if
// it is not there.
func outcomes(d *Disk, name string, seeds uint64) map[string]bool {
	seen := map[string]bool{}
	for seed := range seeds {
		p, err := disk.ReadFile(d.Crash(seed), name)
		if err != nil {
			p = []byte("none")
		}
		seen[string(p)] = true
	}
	return seen
}

// TestOnlyWhatWasSyncedIsSure: and of the rest, anything may be.
func TestOnlyWhatWasSyncedIsSure(t *testing.T) {
	d := New()
	f, err := d.Create("f")
	try(t, err)
	f.WriteAt([]byte("abc"), 0)
	if seen := outcomes(d, "f", 100); !seen["none"] || !seen[""] || !seen["a"] || !seen["abc"] ||
		!seen["\x00\x00\x00"] {
		t.Errorf("before any sync: %v", seen)
	}
	try(t, f.Sync())
	if seen := outcomes(d, "f", 100); !seen["none"] || !seen["abc"] || len(seen) != 2 {
		t.Errorf("before the folder's sync: %v", seen)
	}
	try(t, d.SyncDir("."))
	if seen := outcomes(d, "f", 100); !seen["abc"] || len(seen) != 1 {
		t.Errorf("synced: %v", seen)
	}
	try(t, f.Truncate(1))
	if seen := outcomes(d, "f", 100); !seen["abc"] || !seen["a"] || !seen["ab"] || len(seen) != 3 {
		t.Errorf("truncated: %v", seen)
	}
}

// TestSectorsTearApart: what was appended may be there in part, in any order.
func TestSectorsTearApart(t *testing.T) {
	d := New()
	f, err := d.Create("f")
	try(t, err)
	try(t, d.SyncDir("."))
	content := bytes.Repeat([]byte("x"), 3*sector)
	f.WriteAt(content, 0)
	hole := bytes.Clone(content)
	clear(hole[sector : 2*sector])
	if !outcomes(d, "f", 300)[string(hole)] {
		t.Error("the middle sector alone is never lost")
	}
}

func TestRenameHappensOrNot(t *testing.T) {
	d := New()
	try(t, disk.WriteFile(d, "a", []byte("a")))
	try(t, disk.WriteFile(d, "b", []byte("b")))
	try(t, d.SyncDir("."))
	try(t, d.Rename("a", "b"))
	if seen := outcomes(d, "b", 50); !seen["a"] || !seen["b"] || len(seen) != 2 {
		t.Errorf("b: %v", seen)
	}
	if seen := outcomes(d, "a", 50); !seen["a"] || !seen["none"] || len(seen) != 2 {
		t.Errorf("a: %v", seen)
	}
}

// TestFailedSyncIsForgotten: a later one that succeeds says nothing about what
// was lost, but writing it again does.
func TestFailedSyncIsForgotten(t *testing.T) {
	d := New()
	f, err := d.Create("f")
	try(t, err)
	try(t, d.SyncDir("."))
	f.WriteAt([]byte("abc"), 0)
	d.Fault = func(op Op) error {
		if op.Kind == Sync {
			return syscall.EIO
		}
		return nil
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
	d.Fault = nil
	try(t, f.Sync())
	if outcomes(d, "f", 1)["abc"] {
		t.Error("what a failed fsync lost is on disk after the next")
	}
	f.WriteAt([]byte("abc"), 0)
	try(t, f.Sync())
	if !outcomes(d, "f", 1)["abc"] {
		t.Error("what was written again is not on disk")
	}
}

func TestRoomAndShortWrites(t *testing.T) {
	d := New()
	d.SetRoom(5)
	f, err := d.Create("f")
	try(t, err)
	if n, err := f.WriteAt([]byte("1234567"), 0); n != 5 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	try(t, f.Truncate(2))
	if free, _ := d.Free("."); free != 3 {
		t.Errorf("%d bytes are free, want 3", free)
	}
	d.Fault = func(op Op) error {
		if op.Kind == Write {
			return &Short{Bytes: 1, Err: syscall.EIO}
		}
		return nil
	}
	if n, err := f.WriteAt([]byte("xyz"), 0); n != 1 || !errors.Is(err, syscall.EIO) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if p, _ := disk.ReadFile(d, "f"); string(p) != "x2" {
		t.Errorf("content %q", p)
	}
	d.Fault = nil
	try(t, d.Remove("f"))
	if free, _ := d.Free("."); free != 5 {
		t.Errorf("%d bytes are free, want 5", free)
	}
}

func TestPowerStaysOff(t *testing.T) {
	d := New()
	d.StopAt(2)
	f, err := d.Create("f")
	try(t, err)
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, ErrPower) || !d.Stopped() {
		t.Errorf("error %v", err)
	}
	if err := f.Sync(); !errors.Is(err, ErrPower) {
		t.Errorf("error %v", err)
	}
	if p, err := disk.ReadFile(d.Kill(), "f"); err != nil || string(p) != "x" {
		t.Errorf("the next process finds %q, %v", p, err)
	}
	if seen := outcomes(d.Kill(), "f", 100); !seen["x"] || !seen["none"] {
		t.Errorf("a power loss after that leaves %v", seen)
	}
}

func TestSeedDecides(t *testing.T) {
	d := New()
	for _, name := range []string{"a", "b", "c"} {
		f, err := d.Create(name)
		try(t, err)
		f.WriteAt(bytes.Repeat([]byte(name), 5000), 0)
	}
	for seed := range uint64(20) {
		one, two := d.Crash(seed), d.Crash(seed)
		for _, name := range []string{"a", "b", "c"} {
			p, _ := disk.ReadFile(one, name)
			q, _ := disk.ReadFile(two, name)
			if !bytes.Equal(p, q) {
				t.Fatalf("seed %d: two contents of %s", seed, name)
			}
		}
	}
}
