package importer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFluentBitDatabase reads a database that sqlite3 3.40 made with Fluent Bit's own statements
// (plugins/in_tail/tail_sql.h): 299 rows on several pages, one with a name beyond a page.
func TestFluentBitDatabase(t *testing.T) {
	p, err := ReadPositions(FluentBit, "testdata/fluent-bit.db")
	if err != nil {
		t.Fatal(err)
	}
	var offsets, inodes uint64
	for _, f := range p.Files {
		offsets, inodes = offsets+f.Offset, inodes+f.Inode
	}
	// What sqlite3 says: select count(*), sum(offset), sum(inode) from in_tail_files.
	if len(p.Files) != 299 || offsets != 591000315918 || inodes != 43569787 {
		t.Errorf("%d rows, %d, %d", len(p.Files), offsets, inodes)
	}
	if f := p.Files[148]; len(f.Path) != 6013 || !strings.HasSuffix(f.Path, "x.log") {
		t.Errorf("a long name: %d", len(f.Path))
	}
	if f := p.Files[0]; f != at("/var/log/containers/pod-001_shop_web-0123456789abcdef.log", 1000000007, 131169) {
		t.Errorf("the first row: %v", f)
	}
}

func at(path string, offset, inode uint64) Position {
	return Position{Path: path, Offset: offset, Inode: inode}
}

func TestPositions(t *testing.T) {
	const promtail = `positions:
  /var/log/syslog: "4711"
  '/var/log/a: b.log': "12"
  "/var/log/caf\u00e9.log": "0"
  cursor-0123abcd: "1777636800"
  journal-systemd: s=abc;i=1
`
	const alloy = "positions:\n    ? path: /var/log/x.log\n      labels: '{app=\"x\"}'\n    : \"100\"\n" +
		"    ? path: cursor-77\n      labels: '{}'\n    : \"5\"\n"
	const operations = `{"op":"set","id":1}
{"k":"filestream::app::native::42-2049","v":{"ttl":1800000000000,"updated":[1,2],"cursor":{"offset":66},"meta":{"source":"/var/log/app.log","identifier_name":"native"}}}
{"op":"set","id":2}
{"k":"filebeat::logs::native::43-2049","v":{"source":"/var/log/b.log","offset":7,"FileStateOS":{"inode":43,"device":2049},"id":"native::43-2049"}}
{"op":"remove","id":3}
{"k":"filebeat::logs::native::9-2049"}
{"op":"set","id":4}
{"k":"filestream::app::native::42-2049","v":{"cursor":{"offset":132},"meta":{"source":"/var/log/app.log"}}}
{"op":"set","id":5}
{"k":"filestream::app::native::42-2049","v":{"cursor":{"off`
	const checkpoint = `[{"_key":"filebeat::logs::native::9-2049","source":"/var/log/old.log","offset":1},
{"_key":"filestream::app::fingerprint::abc","cursor":{"offset":5},"meta":{"source":"/var/log/f.log"}},
{"_key":"filebeat::httpjson::x","cursor":{"page":1}}]`
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("beat/registry/filebeat/meta.json", `{"version":"1"}`)
	put("beat/registry/filebeat/log.json", operations)
	put("beat/registry/filebeat/17.json", checkpoint)
	put("beat/registry/filebeat/active.dat", "/usr/share/filebeat/data/registry/filebeat/17.json")
	tests := []struct {
		name, path string
		tool       Tool
		want       Positions
		err        string
	}{
		{"Promtail's", put("promtail.yml", promtail), Promtail, Positions{Others: 2, Files: []Position{
			at("/var/log/syslog", 4711, 0), at("/var/log/a: b.log", 12, 0), at("/var/log/café.log", 0, 0)}}, ""},
		{"of nothing yet", put("empty.yml", "positions: {}\n"), Promtail, Positions{}, ""},
		{"Alloy's", put("alloy.yml", alloy), Alloy,
			Positions{Others: 1, Files: []Position{at("/var/log/x.log", 100, 0)}}, ""},
		{"another file", put("other.yml", "clients: []\n"), Promtail, Positions{}, "not as Promtail writes it"},
		{"Filebeat's", filepath.Join(dir, "beat"), Filebeat, Positions{Others: 1, Files: []Position{
			at("/var/log/b.log", 7, 43), {Path: "/var/log/f.log", Offset: 5, Head: Head{Size: 1024, Sum: "abc"}},
			at("/var/log/app.log", 132, 42)}}, ""},
		{"Filebeat's of old", put("data.json",
			`[{"source":"/a.log","offset":3,"FileStateOS":{"inode":8,"device":1}}]`), Filebeat,
			Positions{Files: []Position{at("/a.log", 3, 8)}}, ""},
		{"zeros after a power failure", put("17.json", strings.Repeat("\x00", 100)), Filebeat, Positions{},
			"17.json: empty or full of zeros"},
		{"no database", put("x.db", "not one"), FluentBit, Positions{}, "not a database"},
		{"Vector's", put("v.json", "{}"), Vector, Positions{}, "are not taken over"},
	}
	for _, test := range tests {
		got, err := ReadPositions(test.tool, test.path)
		failed := err != nil && strings.Contains(err.Error(), test.err)
		if err == nil && test.err != "" || err != nil && (test.err == "" || !failed) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// FuzzPositions: whatever a file of positions holds, it is read, or refused.
func FuzzPositions(f *testing.F) {
	db, err := os.ReadFile("testdata/fluent-bit.db")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(0), db)
	f.Add(uint8(1), []byte("positions:\n  /a: \"1\"\n  ? path: /b\n    labels: x\n  : \"2\"\n"))
	f.Add(uint8(2), []byte("{\"op\":\"set\",\"id\":1}\n{\"k\":\"a::native::4-2\",\"v\":{\"cursor\":{\"offset\":1}}}\n"))
	if wal, err := os.ReadFile("../testdata/takeover/fluent-bit/killed/positions/tail.db-wal"); err == nil {
		f.Add(uint8(4), wal[:walHeader+2*(walFrameHeader+4096)])
	}
	f.Add(uint8(3), []byte(`[{"_key":"a","source":"/a","offset":1}]`))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		states, table := map[string]beatState{}, tailTable{rows: map[uint64]int{}}
		var p Positions
		switch kind % 5 {
		case 0:
			_ = sqliteTable(data, "in_tail_files", table.add)
		case 1:
			p, _ = promtailPositions(bytes.NewReader(data))
		case 2:
			_ = readOperations(bytes.NewReader(data), states)
		case 3:
			_ = readCheckpoint(bytes.NewReader(data), states)
		case 4:
			if whole, err := withWAL(db, data); err == nil {
				_ = sqliteTable(whole, "in_tail_files", table.add)
			}
		}
		for _, f := range slices.Concat(p.Files, positionsOf(states).Files, table.Files) {
			if !filepath.IsAbs(f.Path) {
				t.Errorf("a position without a path: %v", f)
			}
		}
	})
}

// TestMarker: hashes as the reference implementation of XXH3 makes them.
func TestMarker(t *testing.T) {
	const text = "0123456789abcdefghijklmnopqrstuvwxyz"
	for n, want := range map[int]uint64{
		1: 0x1982e3a7bb241055, 2: 0xd39af2a02494d689, 3: 0x8ed2b2f360965d90, 4: 0x8aa92da18edb594b,
		7: 0xa46e0ee310ee347f, 8: 0x1808e40d6723f646, 9: 0x3b5293ce9b5bd7d7, 15: 0x1bba6832325beacf,
		16: 0x64439946d8fa212d, 17: 0xd2e63ed5466f5c32, 24: 0x584ebc91a72ae3a, 31: 0xe60a914e4d91f4ab,
		32: 0xe722775a6ab9de58,
	} {
		m := Marker{n, want}
		if !m.Matches([]byte("before"+text[:n])) || m.Matches([]byte(text[:n]+"x")) || m.Matches([]byte(text[:n-1])) {
			t.Errorf("%d bytes: %x", n, xxh3([]byte(text[:n])))
		}
	}
	if !(Marker{}).Matches(nil) || !(Marker{maxMarker + 1, 1}).Matches(nil) {
		t.Error("what is not noted does not match")
	}
}

// TestWriteAheadLog reads the database of a Fluent Bit that was killed, with ever less of its log:
// as SQLite does, up to the last transaction that is there whole. What is damaged ends the log.
func TestWriteAheadLog(t *testing.T) {
	const folder = "../testdata/takeover/fluent-bit/killed/positions/tail.db"
	db, err := os.ReadFile(folder)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(folder + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	total := func(wal []byte) (files int, bytes uint64, read bool) {
		path := filepath.Join(t.TempDir(), "tail.db")
		if err := errors.Join(os.WriteFile(path, db, 0o600), os.WriteFile(path+"-wal", wal, 0o600)); err != nil {
			t.Fatal(err)
		}
		p, err := ReadPositions(FluentBit, path)
		for _, f := range p.Files {
			bytes += f.Offset
		}
		return len(p.Files), bytes, err == nil
	}
	files, most, read := total(wal)
	if !read || files < 10 || most < 10_000 {
		t.Fatalf("%d files, %d bytes, %v", files, most, read)
	}
	const frame = walFrameHeader + 4096
	if (len(wal)-walHeader)%frame != 0 {
		t.Fatalf("a log of %d bytes", len(wal))
	}
	for size := len(wal) - frame; size > walHeader; size -= frame {
		damaged := bytes.Clone(wal)
		damaged[size+walFrameHeader+99] ^= 1
		otherSalt := bytes.Clone(wal)
		otherSalt[size+8] ^= 1
		_, want, whole := total(wal[:size])
		for name, log := range map[string][]byte{"cut": wal[:size+100], "damaged": damaged, "left over": otherSalt} {
			if _, got, read := total(log); got != want || read != whole {
				t.Errorf("%s at %d: %d bytes, %v, want %d, %v", name, size, got, read, want, whole)
			}
		}
	}
	if whole(t, db, wal) == whole(t, db, nil) || whole(t, db, wal[:walHeader-1]) != string(db) {
		t.Error("the log does not count, or half a header does")
	}
}

func whole(t *testing.T, db, wal []byte) string {
	t.Helper()
	data, err := withWAL(db, wal)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestHotJournal: a rollback journal that was not done with is told, with what to do; one that was
// is no matter.
func TestHotJournal(t *testing.T) {
	db, err := os.ReadFile("testdata/fluent-bit.db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tail.db")
	for journal, want := range map[string]string{
		"": "", strings.Repeat("\x00", 512): "", hotJournal + "more": "sqlite3 " + path + " 'select",
	} {
		err := errors.Join(os.WriteFile(path, db, 0o600), os.WriteFile(path+"-journal", []byte(journal), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		_, err = ReadPositions(FluentBit, path)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", journal, err)
		}
	}
}

// TestTailRows: where Fluent Bit has several rows of an inode, as after it was reused, the last
// counts, as for itself (fluent-bit#2960); what is no file of this machine is only counted.
func TestTailRows(t *testing.T) {
	table := tailTable{rows: map[uint64]int{}}
	for _, row := range []map[string]any{
		{"name": "/var/log/a.log.2", "offset": int64(83636851), "inode": int64(7)},
		{"name": "/var/log/b.log", "offset": int64(3), "inode": int64(8), "offset_marker": int64(-2),
			"offset_marker_size": int64(3)},
		{"name": "/var/log/a.log", "offset": int64(5), "inode": int64(7)},
		{"name": "/var/log/c.log", "offset": int64(-1), "inode": int64(9)},
		{"name": "/var/log/d.log", "offset": int64(1), "inode": int64(10), "offset_marker_size": int64(1 << 40)},
	} {
		if err := table.add(row); err != nil {
			t.Fatal(err)
		}
	}
	want := Positions{Others: 1, Files: []Position{at("/var/log/a.log", 5, 7),
		{Path: "/var/log/b.log", Offset: 3, Inode: 8, Before: Marker{3, 1<<64 - 2}}, at("/var/log/d.log", 1, 10)}}
	if diff := cmp.Diff(want, table.Positions); diff != "" {
		t.Error(diff)
	}
}
