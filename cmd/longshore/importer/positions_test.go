package importer

import (
	"bytes"
	"os"
	"path/filepath"
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
	if f := p.Files[0]; f != (Position{"/var/log/containers/pod-001_shop_web-0123456789abcdef.log", 1000000007,
		131169}) {
		t.Errorf("the first row: %v", f)
	}
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
			{"/var/log/syslog", 4711, 0}, {"/var/log/a: b.log", 12, 0}, {"/var/log/café.log", 0, 0}}}, ""},
		{"of nothing yet", put("empty.yml", "positions: {}\n"), Promtail, Positions{}, ""},
		{"Alloy's", put("alloy.yml", alloy), Alloy, Positions{Others: 1, Files: []Position{{"/var/log/x.log", 100,
			0}}}, ""},
		{"another file", put("other.yml", "clients: []\n"), Promtail, Positions{}, "not as Promtail writes it"},
		{"Filebeat's", filepath.Join(dir, "beat"), Filebeat, Positions{Others: 1, Files: []Position{
			{"/var/log/b.log", 7, 43}, {"/var/log/f.log", 5, 0}, {"/var/log/app.log", 132, 42}}}, ""},
		{"Filebeat's of old", put("data.json",
			`[{"source":"/a.log","offset":3,"FileStateOS":{"inode":8,"device":1}}]`), Filebeat,
			Positions{Files: []Position{{"/a.log", 3, 8}}}, ""},
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
	db := put("wal.db", "")
	put("wal.db-wal", "x")
	if _, err := ReadPositions(FluentBit, db); err == nil || !strings.Contains(err.Error(), "wal_checkpoint") {
		t.Errorf("a log beside the database: %v", err)
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
	f.Add(uint8(3), []byte(`[{"_key":"a","source":"/a","offset":1}]`))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		states := map[string]beatState{}
		var p Positions
		switch kind % 4 {
		case 0:
			_ = sqliteTable(data, "in_tail_files", func(map[string]any) error { return nil })
		case 1:
			p, _ = promtailPositions(bytes.NewReader(data))
		case 2:
			_ = readOperations(bytes.NewReader(data), states)
		case 3:
			_ = readCheckpoint(bytes.NewReader(data), states)
		}
		for _, at := range append(p.Files, positionsOf(states).Files...) {
			if !filepath.IsAbs(at.Path) {
				t.Errorf("a position without a path: %v", at)
			}
		}
	})
}
