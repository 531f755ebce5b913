package journalfile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/longshore/longshore/inputs/journald/journalfile/journaltest"
)

// all returns the entries of a file, each as its number, time and sorted fields.
func all(path string) ([]string, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.all()
}

func (f *File) all() (entries []string, err error) {
	r := f.NewReader()
	if _, err := r.Refresh(); err != nil {
		return nil, err
	}
	for {
		h, ok, err := r.Head()
		if err != nil || !ok {
			return entries, err
		}
		offsets, err := r.Data(nil, h)
		if err != nil {
			return entries, err
		}
		var fields []string
		for _, offset := range offsets {
			p, _, err := r.Payload(offset, 1<<20)
			if err != nil {
				return entries, err
			}
			fields = append(fields, string(p))
		}
		slices.Sort(fields)
		entries = append(entries, fmt.Sprintf("%d %d %q", h.Seqnum, h.Realtime, fields))
		r.Skip()
	}
}

// written is what testdata's files hold. systemd-journal-remote of systemd 252 has written them:
// one as it does by default, one in the compact format, and one without compression and with the
// hashes of before 2020.
func written() (entries []string) {
	for i := range 60 {
		message := []string{
			fmt.Sprintf("plain message %d", i), fmt.Sprintf("two\nlines %d", i),
			fmt.Sprintf("\x00\xff binary %d", i), "long " + strings.Repeat("xyz0123 ", 200) + fmt.Sprint(i),
			fmt.Sprintf(`{"level":"error","msg":"inner %d"}`, i),
		}[i%5]
		fields := []string{
			"MESSAGE=" + message, fmt.Sprintf("PRIORITY=%d", i%8), fmt.Sprintf("SYSLOG_IDENTIFIER=app%d", i%3),
			fmt.Sprintf("_SYSTEMD_UNIT=app%d.service", i%3), "_HOSTNAME=web-1", fmt.Sprintf("_PID=%d", i%7),
			"_TRANSPORT=journal", "TRACE_ID=4bf92f3577b34da6a3ce929d0e0e4736",
			"_BOOT_ID=0123456789abcdef0123456789abcdef",
			"_MACHINE_ID=fedcba9876543210fedcba9876543210",
		}
		if i%10 == 7 {
			fields = append(fields, "CONTAINER_NAME=shop")
		}
		slices.Sort(fields)
		entries = append(entries, fmt.Sprintf("%d %d %q", i+1, 1700000000000000+i*1000, fields))
	}
	return entries
}

func unpacked(t testing.TB, name string) string {
	packed, err := os.ReadFile("testdata/" + name + ".journal.zst")
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := d.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".journal")
	if err := os.WriteFile(path, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRealFiles(t *testing.T) {
	for _, name := range []string{"keyed", "compact", "plain"} {
		got, err := all(unpacked(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(written(), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestSeek(t *testing.T) {
	f, err := Open(unpacked(t, "compact"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := f.NewReader()
	if _, err := r.Refresh(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{1, 2, 33, 60} {
		if err := r.Seek(func(h Head) bool { return h.Seqnum >= want }); err != nil {
			t.Fatal(err)
		}
		if h, ok, err := r.Head(); !ok || h.Seqnum != want {
			t.Errorf("entry %d, want %d: %v", h.Seqnum, want, err)
		}
	}
	if tail, ok, err := r.Tail(); !ok || tail.Seqnum != 60 {
		t.Errorf("the last is %d: %v", tail.Seqnum, err)
	}
	if err := r.Seek(func(Head) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := r.Head(); ok || err != nil {
		t.Errorf("there is one behind the last: %v", err)
	}
}

// TestWhileItIsWritten reads each entry as soon as it is linked.
func TestWhileItIsWritten(t *testing.T) {
	for _, compact := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "system.journal")
		w := journaltest.New(t, path, [16]byte{1}, 5, compact)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := f.NewReader()
		for i := range uint64(100) {
			w.Append(i, fmt.Sprintf("MESSAGE=%d", i), "A=same")
			if _, err := r.Refresh(); err != nil {
				t.Fatal(err)
			}
			h, ok, err := r.Head()
			if err != nil || !ok || h.Seqnum != i+5 || h.Realtime != i {
				t.Fatalf("entry %d is %+v, %v: %v", i, h, ok, err)
			}
			offsets, err := r.Data(nil, h)
			if err != nil || len(offsets) != 2 {
				t.Fatalf("%d fields: %v", len(offsets), err)
			}
			if p, _, err := r.Payload(offsets[0], 100); string(p) != fmt.Sprintf("MESSAGE=%d", i) {
				t.Fatalf("%q: %v", p, err)
			}
			r.Skip()
		}
	}
}

func TestLZ4(t *testing.T) {
	for text, block := range map[string]string{ // as liblz4 made them
		"MESSAGE=short":                        "d04d4553534147453d73686f7274",
		"MESSAGE=" + strings.Repeat("a", 1000): "9f4d4553534147453d610100ffffffd2506161616161",
		"MESSAGE=" + strings.Repeat("abcdefg ", 300) + "end": "ff014d4553534147453d61626364656667200800fffffffffff" +
			"fffffff4c506720656e64",
	} {
		p, err := hex.DecodeString(block)
		if err != nil {
			t.Fatal(err)
		}
		for most := range len(text) + 1 {
			got, err := unLZ4(nil, p, most)
			if err != nil || string(got) != text[:most] {
				t.Fatalf("%d bytes: %q, %v", most, got, err)
			}
		}
		if _, err := unLZ4(nil, p, len(text)+1); !errors.Is(err, ErrPacked) {
			t.Errorf("too few bytes: %v", err)
		}
	}
}

func FuzzLZ4(f *testing.F) {
	f.Add([]byte("\xd0MESSAGE=short"), 13)
	f.Add([]byte("\x1f\x61\x01\x00\xff\xff\x10\x50aaaaa"), 600)
	f.Fuzz(func(t *testing.T, p []byte, most int) {
		if most < 0 || most > 1<<16 {
			return
		}
		if got, _ := unLZ4(nil, p, most); len(got) > most {
			t.Errorf("%d bytes, want %d at most", len(got), most)
		}
	})
}

type memory struct{ *bytes.Reader }

func (m memory) size() (int64, error) { return m.Size(), nil }
func (m memory) Close() error         { return nil }

// FuzzFile: whatever bytes of a file are changed, it is read to an end.
func FuzzFile(f *testing.F) {
	for _, compact := range []bool{false, true} {
		path := filepath.Join(f.TempDir(), "system.journal")
		w := journaltest.New(f, path, [16]byte{1}, 1, compact)
		for i := range uint64(10) {
			w.Append(i, fmt.Sprintf("MESSAGE=%d", i), "A=same")
		}
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		for _, at := range []int{12, 152, 176, 272, 280, 300} {
			changed := bytes.Clone(text)
			changed[at] ^= 0x41
			f.Add(changed)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := open(memory{bytes.NewReader(text)}, "x")
		if err != nil {
			return
		}
		entries, _ := file.all()
		if len(entries) > len(text)/minEntry {
			t.Errorf("%d entries in %d bytes", len(entries), len(text))
		}
	})
}

func TestDamage(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "short": "LPKSHHRH", "another": strings.Repeat("x", 300),
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "x")
	newer := make([]byte, 300)
	copy(newer, signature)
	newer[12] = 0x80
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrNewer) {
		t.Errorf("newer: %v", err)
	}
}
