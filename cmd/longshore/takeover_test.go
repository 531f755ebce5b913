package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/components"
)

// A takenOver folder has logs that another tool has read a part of.
type takenOver struct {
	t   *testing.T
	dir string
}

func (f takenOver) put(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func (f takenOver) inode(path string) uint64 {
	f.t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// noted writes what a tool notes of files, as its source does, and its config. It returns the two
// paths.
type noted struct {
	path   string
	offset int
	inode  uint64
}

func (f takenOver) promtail(entries []noted) (config, positions string) {
	text := "positions:\n"
	for _, e := range entries {
		text += fmt.Sprintf("  %s: \"%d\"\n", e.path, e.offset)
	}
	config = f.put("promtail.yml", "clients: [{url: 'http://localhost:3100'}]\nscrape_configs:\n- job_name: app\n  "+
		"static_configs:\n"+
		"  - labels: {job: app, __path__: "+f.dir+"/logs/*.log}\n")
	return config, f.put("positions.yaml", text)
}

func (f takenOver) filebeat(entries []noted) (config, positions string) {
	text := ""
	for i, e := range entries {
		text += fmt.Sprintf(`{"op":"set","id":%d}`+"\n"+
			`{"k":"filestream::app::native::%d-2049","v":{"ttl":1800000000000,"updated":[280445103831836,1716310115],`+
			`"cursor":{"offset":%d},"meta":{"source":%q,"identifier_name":"native"}}}`+"\n",
			i+1, e.inode, e.offset, e.path)
	}
	f.put("registry/filebeat/meta.json", `{"version":"1"}`)
	f.put("registry/filebeat/log.json", text)
	config = f.put("filebeat.yml", "filebeat.inputs:\n- {type: filestream, id: app, paths: ['"+f.dir+"/logs/*.log']}\n"+
		"output.elasticsearch.hosts: ['http://localhost:9200']\n")
	return config, f.dir + "/registry"
}

func (f takenOver) fluentBit(entries []noted) (config, positions string) {
	config = f.put("fluent-bit.conf", "[INPUT]\n  Name tail\n  Path "+f.dir+"/logs/*.log\n  Read_from_Head "+
		"On\n[OUTPUT]\n"+
		"  Name loki\n  Match *\n  Drop_Single_Key raw\n  Labels job=app\n")
	var rows []tailRow
	for _, e := range entries {
		rows = append(rows, tailRow{path: e.path, offset: uint64(e.offset), inode: e.inode})
	}
	return config, f.put("tail.db", tailDatabase(rows))
}

// A tailRow is what Fluent Bit notes of a file.
type tailRow struct {
	path          string
	offset, inode uint64
	marker        uint64
	markerSize    int
}

// tailDatabase makes a database with Fluent Bit's table, on two pages.
func tailDatabase(entries []tailRow) string {
	const page = 4096
	record := func(values ...any) []byte {
		var types, body []byte
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				types = append(types, 0)
			case int:
				types = append(types, 6)
				body = binary.BigEndian.AppendUint64(body, uint64(v))
			case string:
				n := 13 + 2*len(v)
				types = append(types, byte(n>>7)|0x80, byte(n&0x7f))
				body = append(body, v...)
			}
		}
		return append(append([]byte{byte(len(types) + 1)}, types...), body...)
	}
	leaf := func(p []byte, head int, rows [][]byte) {
		p[head] = 13
		binary.BigEndian.PutUint16(p[head+3:], uint16(len(rows)))
		end := len(p)
		for i, row := range rows {
			cell := append([]byte{byte(len(row)>>7) | 0x80, byte(len(row) & 0x7f), byte(i + 1)}, row...)
			end -= len(cell)
			copy(p[end:], cell)
			binary.BigEndian.PutUint16(p[head+8+2*i:], uint16(end))
		}
		binary.BigEndian.PutUint16(p[head+5:], uint16(end))
	}
	data := make([]byte, 2*page)
	copy(data, "SQLite format 3\x00")
	binary.BigEndian.PutUint16(data[16:], page)
	copy(data[18:], []byte{1, 1, 0, 64, 32, 32})
	binary.BigEndian.PutUint32(data[28:], 2)
	binary.BigEndian.PutUint32(data[44:], 4)
	binary.BigEndian.PutUint32(data[56:], 1)
	leaf(data[:page], 100, [][]byte{record("table", "in_tail_files", "in_tail_files", 2,
		"CREATE TABLE in_tail_files (  id      INTEGER PRIMARY KEY,  name    TEXT NOT NULL,  offset  INTEGER,"+
			"  inode   INTEGER,  created INTEGER,  rotated INTEGER DEFAULT 0,  offset_marker INTEGER DEFAULT 0,"+
			"  offset_marker_size INTEGER DEFAULT 0)")})
	var rows [][]byte
	for _, e := range entries {
		rows = append(rows, record(nil, e.path, int(e.offset), int(e.inode), 1777636800, 0,
			int(e.marker), e.markerSize))
	}
	leaf(data[page:], 0, rows)
	return string(data)
}

// TestTakeOver: Longshore goes on at exactly the byte that Promtail, Filebeat and Fluent Bit have
// noted: no line that they have sent comes again, and none is left out, also of a file that was
// renamed. What they cannot know is told.
func TestTakeOver(t *testing.T) {
	tools := map[string]func(takenOver, []noted) (string, string){
		"promtail": takenOver.promtail, "filebeat": takenOver.filebeat, "fluent-bit": takenOver.fluentBit,
	}
	for tool, note := range tools {
		t.Run(tool, func(t *testing.T) {
			f := takenOver{t, t.TempDir()}
			app := f.put("logs/app.log", "app line one\napp line two\n")
			cut := f.put("logs/cut.log", "cut line one is long\n")
			half := f.put("logs/half.log", "half line one\nhalf li")
			entries := []noted{{app, 26, f.inode(app)}, {cut, 21, f.inode(cut)}, {half, 21, f.inode(half)},
				{f.dir + "/logs/gone.log", 99, 1}, {"/elsewhere/x.log", 5, 2}}
			want := []string{"app line three", "cut line new", "ne two", "half line three", "new line one"}
			told := []string{"gone.log: is gone; what it had beyond byte 99 is lost", "cut.log: was truncated",
				"half.log: position 21 is within a line", "/elsewhere/x.log: no input of the config reads it",
				"is not read again: stop it"}
			goesOn := 2
			if tool != "promtail" { // which notes no inodes
				old := f.put("logs/old.log", "old line one\nold line two\n")
				entries = append(entries, noted{old, 13, f.inode(old)})
				if err := os.Rename(old, old+".1"); err != nil {
					t.Fatal(err)
				}
				f.put("logs/old.log", "old line new\n")
				want = append(want, "old line two", "old line new")
				told = append(told, "old.log: is "+old+".1 by now, and goes on there")
				late := f.put("logs/late.log.1", "late line one\nlate line two\n") // followed through its rotation
				again := f.put("logs/late.log", "late line three\n")
				entries = append(entries, noted{late, 14, f.inode(late)}, noted{again, 0, f.inode(again)})
				want = append(want, "late line two", "late line three")
				goesOn = 5
			}
			config, positions := note(f, entries)
			appendTo(t, app, "app line three\n")
			appendTo(t, half, "ne two\nhalf line three\n")
			f.put("logs/cut.log", "cut line new\n")
			f.put("logs/new.log", "new line one\n")

			made := f.dir + "/longshore.yml"
			code, _, stderr := call(t, "", "import", config, "-o", made, "--positions", positions, "--data-dir",
				f.dir+"/data")
			told = append(told, fmt.Sprintf("positions: %d of %d files go on where", goesOn, len(entries)))
			for _, text := range told {
				if !strings.Contains(stderr, text) {
					t.Errorf("%q is not told", text)
				}
			}
			if code != 0 || t.Failed() {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			got := runUntil(t, made, len(want))
			if diff := cmp.Diff(sorted(want), got); diff != "" {
				t.Errorf("%s\n%s", diff, stderr)
			}
			_, _, stderr = call(t, "", "import", config, "-o", made, "--force", "--positions", positions,
				"--data-dir", f.dir+"/data")
			if !strings.Contains(stderr, "app.log: is known in data_dir already") {
				t.Errorf("taken over twice: %s", stderr)
			}
		})
	}
}

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

var messageIn = regexp.MustCompile(`"message":"([^"]*)"`)

// runUntil runs a config against a server until it has so many lines, and returns them. One that
// comes when there should be no more comes before the run has ended, as stopping delivers what was
// read.
func runUntil(t *testing.T, path string, lines int) (got []string) {
	t.Helper()
	sink := &receiver{enough: lines, done: make(chan struct{})}
	server := httptest.NewServer(sink)
	defer server.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := sentTo.ReplaceAllStringFunc(string(text), func(old string) string {
		if strings.Contains(old, "urls") {
			return "    urls: ['" + server.URL + "']"
		}
		return "    url: " + server.URL + "\n    reconcile: off"
	})
	config = listenIn.ReplaceAllString(config, "")
	config = strings.Replace(config, "version: 1\n", "version: 1\nhttp: {listen: '127.0.0.1:0'}\n", 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, components: components.All(),
		env: func(string) (string, bool) { return "", false }}
	ended := make(chan int)
	go func() { ended <- a.run(ctx, []string{"run", written(t, config)}) }()
	select {
	case <-sink.done:
	case code := <-ended:
		t.Fatalf("run ended with %d: %s\n%s", code, &stderr, config)
	case <-ctx.Done():
	}
	cancel()
	<-ended
	for entry := range strings.SplitSeq(strings.TrimSuffix(sink.text(), "\n"), "\n") {
		if m := messageIn.FindStringSubmatch(entry); m != nil {
			got = append(got, m[1])
			continue
		}
		got = append(got, entry[strings.LastIndex(entry, "} ")+2:])
	}
	return sorted(got)
}
