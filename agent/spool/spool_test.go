package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testDir = "data/spool/loki"

// small are options under which a few records fill several segments.
var small = Options{MaxSize: MinSize, SegmentSize: 1 << 10}

func open(t testing.TB, on disk.FS, o Options) *Spool {
	t.Helper()
	s, err := Open(on, testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func reopen(t testing.TB, s *Spool) *Spool {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.fs, s.o)
}

func add(t testing.TB, s *Spool, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := s.Append([]byte(r)); err != nil {
			t.Fatalf("Append(%.20q): %v", r, err)
		}
	}
}

// take returns all that Next returns.
func take(t testing.TB, s *Spool) (ids []ID, records []string) {
	t.Helper()
	for {
		r, ok, err := s.Next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ids, records
		}
		ids, records = append(ids, r.ID), append(records, string(r.Data))
	}
}

func want(t testing.TB, s *Spool, records ...string) []ID {
	t.Helper()
	ids, got := take(t, s)
	if diff := cmp.Diff(records, got); diff != "" {
		t.Helper()
		t.Errorf("records: %s", diff)
	}
	return ids
}

func done(t testing.TB, s *Spool, ids ...ID) {
	t.Helper()
	for _, id := range ids {
		if err := s.Done(id); err != nil {
			t.Error(err)
		}
	}
}

// long returns a record that has a segment of small nearly alone.
func long(name string) string { return name + strings.Repeat(".", 600) }

func files(t testing.TB, on disk.FS) []string {
	t.Helper()
	names, err := on.ReadDir(testDir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFirstInFirstOut(t *testing.T) {
	s := open(t, disktest.New(), small)
	add(t, s, "a", long("b"), long("c"), "d")
	if n, bytes := s.Len(); n != 4 || bytes < 1200 {
		t.Errorf("Len() = %d records, %d bytes", n, bytes)
	}
	ids := want(t, s, "a", long("b"), long("c"), "d")
	add(t, s, "e")
	ids = append(ids, want(t, s, "e")...)
	slices.Reverse(ids)
	done(t, s, ids...)
	if n, _ := s.Len(); n != 0 {
		t.Errorf("%d records are left", n)
	}
	if err := s.Done(ids[0]); err == nil {
		t.Error("a record was done twice")
	}
}

func TestWhatIsNotDoneComesAgainAfterARestart(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	add(t, s, "a", "b", long("c"), long("d"), "e")
	ids, _ := take(t, s)
	done(t, s, ids[0], ids[2], ids[4])
	s = reopen(t, s)
	if n, _ := s.Len(); n != 2 {
		t.Errorf("Len() = %d, want 2", n)
	}
	done(t, s, want(t, s, "b", long("d"))...)
	s = reopen(t, s)
	if left := files(t, d); len(left) > 0 {
		t.Errorf("files of an empty spool: %v", left)
	}
	add(t, s, "f")
	want(t, s, "f")
}

func TestSegmentsGoWhenTheyAreDone(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	for i := range 50 {
		add(t, s, long(fmt.Sprint(i)), "b", "c")
		ids, _ := take(t, s)
		done(t, s, ids[0], ids[2])
		if left := files(t, d); len(left) != 2 {
			t.Errorf("files of a spool with one record left: %v", left)
		}
		done(t, s, ids[1])
		if _, bytes := s.Len(); bytes > 0 || len(files(t, d)) > 0 {
			t.Errorf("an empty spool has %d bytes, %v", bytes, files(t, d))
		}
	}
}

func TestFullSpoolHoldsBack(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	var n int
	var err error
	for ; err == nil; n++ {
		err = s.Append([]byte(long("x")))
	}
	if !errors.Is(err, ErrFull) || n < 80 {
		t.Fatalf("after %d records: %v, want ErrFull", n, err)
	}
	if _, bytes := s.Len(); bytes > MinSize {
		t.Errorf("%d bytes, more than the bound", bytes)
	}
	select {
	case <-s.Room():
		t.Error("there is room in a full spool")
	default:
	}
	r, _, _ := s.Next(nil)
	done(t, s, r.ID)
	<-s.Room()
	add(t, s, "fits")
	if err := s.Append(make([]byte, MinSize)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

// TestOneLargeRecordAfterTheOther: all of the spool is taken by one segment
// that is written and done.
func TestOneLargeRecordAfterTheOther(t *testing.T) {
	s := open(t, disktest.New(), small)
	for i := range 5 {
		record := strings.Repeat(fmt.Sprint(i), MinSize*3/4)
		add(t, s, record)
		if err := s.Append([]byte(record)); !errors.Is(err, ErrFull) {
			t.Errorf("error %v, want ErrFull", err)
		}
		done(t, s, want(t, s, record)...)
	}
}

// TestReadyFires: whoever waits is woken, and the next after it, as long as there is something.
func TestReadyFires(t *testing.T) {
	s := open(t, disktest.New(), small)
	add(t, s, "a", "b")
	for range 2 {
		<-s.Ready()
		if _, ok, _ := s.Next(nil); !ok {
			t.Fatal("Ready fired, and there is nothing")
		}
	}
	select {
	case <-s.Ready():
		t.Error("Ready fired, and all was given")
	default:
	}
	s = reopen(t, s)
	<-s.Ready()
}

func TestNextFillsTheCallersMemory(t *testing.T) {
	s := open(t, disktest.New(), small)
	add(t, s, "a", "b")
	buf := make([]byte, 0, 16)
	a, _, _ := s.Next(buf)
	if &a.Data[0] != &buf[:1][0] {
		t.Error("Next did not use the memory that it was given")
	}
	b, _, _ := s.Next(nil)
	if string(a.Data) != "a" || string(b.Data) != "b" {
		t.Errorf("records %q, %q", a.Data, b.Data)
	}
}

// TestAppendsShareAnFsync: while one fsync is under way, the others gather for the next.
func TestAppendsShareAnFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disktest.New()
		s := open(t, d, Options{MaxSize: MinSize})
		add(t, s, "first")
		syncs, hold := 0, make(chan struct{})
		var mu sync.Mutex
		d.Fault = func(op disktest.Op) error {
			if op.Kind == disktest.Sync {
				mu.Lock()
				syncs++
				mu.Unlock()
				<-hold
			}
			return nil
		}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() { add(t, s, fmt.Sprint(i)) })
		}
		synctest.Wait()
		if n, _ := s.Len(); n != 1 {
			t.Errorf("%d records are there before they are on disk, want 1", n)
		}
		close(hold)
		all.Wait()
		if syncs > 2 {
			t.Errorf("%d fsyncs for 50 appends at a time, want at most 2", syncs)
		}
		if _, records := take(t, s); len(records) != 51 {
			t.Errorf("%d records, want 51", len(records))
		}
		s.Close()
	})
}

func TestCloseWaitsForAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disktest.New()
		s := open(t, d, small)
		add(t, s, "a")
		hold := make(chan struct{})
		d.Fault = func(op disktest.Op) error {
			if op.Kind == disktest.Sync {
				<-hold
			}
			return nil
		}
		var all sync.WaitGroup
		all.Go(func() { add(t, s, "b") })
		synctest.Wait()
		all.Go(func() { s.Close() })
		synctest.Wait()
		close(hold)
		all.Wait()
		if err := s.Append([]byte("c")); !errors.Is(err, ErrClosed) {
			t.Errorf("Append after Close: %v", err)
		}
		s, err := Open(d, testDir, small)
		if err != nil {
			t.Fatal(err)
		}
		want(t, s, "a", "b")
		s.Close()
	})
}

func TestManyAtATime(t *testing.T) {
	s := open(t, disktest.New(), small)
	var writers, readers sync.WaitGroup
	got := make(chan string, 400)
	end := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-s.Ready():
				case <-end:
					return
				}
				r, ok, err := s.Next(nil)
				if err != nil {
					t.Error(err)
				}
				if ok {
					got <- string(r.Data)
					done(t, s, r.ID)
				}
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range 100 {
				for errors.Is(s.Append(fmt.Appendf(nil, "%d-%d%s", w, i, long(""))), ErrFull) {
					<-s.Room()
				}
			}
		})
	}
	seen := map[string]bool{}
	for range 400 {
		seen[<-got] = true
	}
	writers.Wait()
	close(end)
	readers.Wait()
	if len(seen) != 400 {
		t.Errorf("%d different records of 400", len(seen))
	}
}

// TestDiskErrors: an error of the disk is the caller's to know, and no more than
// that: what was there stays, and it goes on when the disk does.
func TestDiskErrors(t *testing.T) {
	for _, kind := range []disktest.Kind{disktest.Write, disktest.Sync, disktest.Create, disktest.Rename,
		disktest.SyncDir, disktest.Truncate} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC, &disktest.Short{Bytes: 5, Err: syscall.ENOSPC}} {
			t.Run(fmt.Sprint(kind, " ", cause), func(t *testing.T) {
				d := disktest.New()
				s := open(t, d, small)
				add(t, s, "a", long("b"))
				failing := true
				d.Fault = func(op disktest.Op) error {
					if failing && (op.Kind == kind || kind == disktest.Truncate && op.Kind == disktest.Write) {
						return cause
					}
					return nil
				}
				if err := s.Append([]byte(long("lost"))); err == nil {
					t.Fatal("Append succeeded")
				} else if !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("error %v", err)
				}
				failing = false
				add(t, s, long("c"), "d")
				want(t, s, "a", long("b"), long("c"), "d")
				s = reopen(t, s)
				want(t, s, "a", long("b"), long("c"), "d")
				checkCrashes(t, d, "a", long("b"), long("c"), "d")
			})
		}
	}
}

func checkCrashes(t *testing.T, d *disktest.Disk, records ...string) {
	t.Helper()
	for seed := range uint64(20) {
		want(t, open(t, d.Crash(seed), small), records...)
	}
}

// TestFailedSyncFailsAllWhoWereInIt, and those who had written after it.
func TestFailedSyncFailsAllWhoWereInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disktest.New()
		s := open(t, d, small)
		add(t, s, "a")
		hold := make(chan struct{})
		d.Fault = func(op disktest.Op) error {
			if op.Kind == disktest.Sync {
				<-hold
				return syscall.EIO
			}
			return nil
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if err := s.Append([]byte("x")); !errors.Is(err, syscall.EIO) {
					t.Errorf("error %v, want EIO", err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		all.Wait()
		d.Fault = nil
		add(t, s, "b")
		want(t, s, "a", "b")
		s.Close()
		for seed := range uint64(20) {
			s, err := Open(d.Crash(seed), testDir, small)
			if err != nil {
				t.Fatal(err)
			}
			_, got := take(t, s)
			got = slices.DeleteFunc(got, func(r string) bool { return r == "x" })
			if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
				t.Errorf("seed %d: %s", seed, diff)
			}
			s.Close()
		}
	})
}

func TestDiskFillsUpAndEmpties(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	d.SetRoom(3000)
	var kept []string
	for i := range 100 {
		r := long(fmt.Sprint(i))
		if err := s.Append([]byte(r)); err == nil {
			kept = append(kept, r)
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if len(kept) == 0 || len(kept) > 5 {
		t.Errorf("%d records on a disk of 3000 bytes", len(kept))
	}
	d.SetRoom(-1)
	add(t, s, "room again")
	want(t, s, append(kept, "room again")...)
}

func TestKeepsSomeOfTheDiskFree(t *testing.T) {
	d := disktest.New()
	o := small
	o.KeepFree = 1 << 20
	s := open(t, d, o)
	d.SetRoom(1<<20 + 100)
	if err := s.Append([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want ENOSPC", err)
	}
	d.SetRoom(2 << 20)
	add(t, s, "x")
}

func TestUnreadableRecordIsTriedAgainThenSkipped(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	add(t, s, "a", "bad", "c", long("d"))
	fails := 2
	reads := 0
	d.Fault = func(op disktest.Op) error {
		if op.Kind != disktest.Read {
			return nil
		}
		if reads++; reads%2 == 0 && fails > 0 { // the payload's
			fails--
			return syscall.EIO
		}
		return nil
	}
	for range 2 {
		if _, _, err := s.Next(nil); !errors.Is(err, syscall.EIO) {
			t.Fatalf("error %v, want EIO", err)
		}
	}
	if r, _, err := s.Next(nil); err != nil || string(r.Data) != "a" {
		t.Fatalf("%q, %v", r.Data, err)
	}
	fails = 3
	for range 2 {
		if _, _, err := s.Next(nil); !errors.Is(err, syscall.EIO) {
			t.Fatalf("error %v, want EIO", err)
		}
	}
	want(t, s, "c", long("d"))
}

// TestAgainstASlice runs random operations, restarts among them, against a
// slice that does the same.
func TestAgainstASlice(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := open(t, disktest.New(), small)
		var waiting []string
		out := map[ID]string{}
		var order []ID
		for i := range 300 {
			switch rnd.IntN(8) {
			case 0, 1, 2:
				r := fmt.Sprint(i, strings.Repeat("~", rnd.IntN(700)))
				if err := s.Append([]byte(r)); err == nil {
					waiting = append(waiting, r)
				} else if !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
			case 3, 4, 5:
				r, ok, err := s.Next(nil)
				if err != nil || ok != (len(waiting) > 0) || ok && string(r.Data) != waiting[0] {
					t.Fatalf("seed %d, step %d: Next() = %.20q, %v, %v", seed, i, r.Data, ok, err)
				}
				if ok {
					out[r.ID], waiting = waiting[0], waiting[1:]
					order = append(order, r.ID)
				}
			case 6:
				if len(order) > 0 {
					k := rnd.IntN(len(order))
					done(t, s, order[k])
					delete(out, order[k])
					order = slices.Delete(order, k, k+1)
				}
			case 7:
				if rnd.IntN(4) > 0 {
					continue
				}
				s = reopen(t, s)
				slices.SortFunc(order, func(a, b ID) int {
					return cmpID(a, b)
				})
				var again []string
				for _, id := range order {
					again = append(again, out[id])
				}
				waiting, out, order = append(again, waiting...), map[ID]string{}, nil
			}
			if n, _ := s.Len(); n != len(waiting)+len(out) {
				t.Fatalf("seed %d, step %d: Len() = %d, want %d", seed, i, n, len(waiting)+len(out))
			}
		}
	}
}

func cmpID(a, b ID) int {
	if a.segment != b.segment {
		return int(a.segment) - int(b.segment)
	}
	return int(a.offset - b.offset)
}

// openFiles counts those that are open, and fails to open one more than limit.
type openFiles struct {
	disk.FS
	open, most, limit int
}

type countedFile struct {
	disk.File
	of *openFiles
}

func (f countedFile) Close() error {
	f.of.open--
	return f.File.Close()
}

func (o *openFiles) count(f disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	if o.open >= o.limit {
		f.Close()
		return nil, syscall.EMFILE
	}
	o.open++
	o.most = max(o.most, o.open)
	return countedFile{f, o}, nil
}

func (o *openFiles) Open(path string) (disk.File, error)   { return o.count(o.FS.Open(path)) }
func (o *openFiles) Create(path string) (disk.File, error) { return o.count(o.FS.Create(path)) }

// TestFewFilesAreOpen, however many segments wait, are read and are done out of order.
func TestFewFilesAreOpen(t *testing.T) {
	on := &openFiles{FS: disktest.New(), limit: 1000}
	s := open(t, on, small)
	var records []string
	for i := range 80 {
		records = append(records, long(fmt.Sprint(i)), fmt.Sprint("short ", i))
	}
	add(t, s, records...)
	half := func(s *Spool, records []string) (rest []string) {
		ids := want(t, s, records...)
		for i, id := range ids {
			if i%3 == 0 {
				done(t, s, id)
			} else {
				rest = append(rest, records[i])
			}
		}
		return rest
	}
	records = half(s, records)
	s = reopen(t, s)
	records = half(s, records)
	if on.most > 3 {
		t.Errorf("%d files were open at a time, want at most 3", on.most)
	}
	s = reopen(t, s)
	done(t, s, want(t, s, records...)...)
	s.Close()
	if on.open > 0 {
		t.Errorf("%d files are open still", on.open)
	}
}

// TestWithoutDescriptors: that no file can be opened is not the spool's damage, and passes.
func TestWithoutDescriptors(t *testing.T) {
	on := &openFiles{FS: disktest.New(), limit: 1000}
	s := open(t, on, small)
	add(t, s, long("a"), long("b"), long("c"))
	on.limit = 0
	for range 10 {
		if _, _, err := s.Next(nil); !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("error %v, want EMFILE", err)
		}
	}
	s.Close()
	if _, err := Open(on, testDir, small); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("error %v, want EMFILE", err)
	}
	on.limit = 3
	want(t, open(t, on, small), long("a"), long("b"), long("c"))
}

// TestOnARealDisk: the same on the machine's own file system.
func TestOnARealDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, err := Open(disk.OS{}, dir, small)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, "a", long("b"), long("c"))
	ids, _ := take(t, s)
	done(t, s, ids[0])
	s.Close()
	s, err = Open(disk.OS{}, dir, Options{MaxSize: MinSize})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want(t, s, long("b"), long("c"))
	if _, err := (disk.OS{}).Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
	if free, err := (disk.OS{}).Free(dir); err != nil || free <= 0 {
		t.Errorf("Free() = %d, %v", free, err)
	}
}

func BenchmarkAppendNextDone(b *testing.B) {
	s, err := Open(disk.OS{}, b.TempDir(), Options{MaxSize: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	record := bytes.Repeat([]byte("x"), 1<<20)
	buf := make([]byte, 0, 2<<20)
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(record); err != nil {
			b.Fatal(err)
		}
		r, _, err := s.Next(buf)
		if err != nil {
			b.Fatal(err)
		}
		s.Done(r.ID)
	}
}

// TestSetAside is in a file of its own from then on, and comes no more.
func TestSetAside(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	add(t, s, "a", "b", "c")
	for range 3 {
		r, _, err := s.Next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Data) != "b" {
			continue
		}
		path, err := s.SetAside(r)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := disk.ReadFile(d.Crash(0), path); string(kept) != "b" || err != nil {
			t.Errorf("%s has %q, %v", path, kept, err)
		}
	}
	s = reopen(t, s)
	done(t, s, want(t, s, "a", "c")...)
	reopen(t, s)
	if left := files(t, d); len(left) != 1 || !strings.HasSuffix(left[0], suffixDamaged) {
		t.Errorf("files of an empty spool: %v", left)
	}
}

// TestARecordThatCannotBeSetAsideStays where it is.
func TestARecordThatCannotBeSetAsideStays(t *testing.T) {
	d := disktest.New()
	s := open(t, d, small)
	add(t, s, "a")
	r, _, _ := s.Next(nil)
	d.StopAt(1)
	if _, err := s.SetAside(r); err == nil {
		t.Error("no error from a disk that is gone")
	}
	want(t, open(t, d.Crash(0), small), "a")
}
