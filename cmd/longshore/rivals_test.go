package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/cmd/longshore/importer"
)

// recordedRoot is the folder in which the rivals ran that testdata/takeover is of.
const recordedRoot = "/srv/takeover"

// A rivalRun is what there was when a rival had run, and files had changed since: see
// testdata/takeover/README.md.
type rivalRun struct {
	Files []struct {
		Name  string `json:"name"`
		Inode uint64 `json:"inode"`
		Link  string `json:"link"`
		Text  string `json:"text"`
		Lines int    `json:"lines"` // in place of the text
	} `json:"files"`
	// Recorded is what the rival's positions say, read by other programs than ours.
	Recorded []struct {
		Name   string `json:"name"`
		Offset uint64 `json:"offset"`
		Inode  uint64 `json:"inode"`
	} `json:"recorded"`
	Sent []string `json:"sent"` // lines that the rival has delivered

	t      *testing.T
	folder string            // in testdata
	dir    string            // of this test
	inodes map[uint64]uint64 // now, by those then
	texts  map[string]string // of all files, by their names
}

func newRivalRun(t *testing.T, folder string) *rivalRun {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rivalRun{t: t, folder: folder, dir: t.TempDir(), inodes: map[uint64]uint64{}, texts: map[string]string{}}
	if err := json.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	for i, line := range r.Sent {
		r.Sent[i] = strings.TrimSuffix(line, "\r") // which Promtail leaves there
	}
	f := takenOver{t, r.dir}
	for _, old := range r.Files {
		if old.Link != "" {
			if err := os.Symlink(old.Link, filepath.Join(r.dir, old.Name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var text strings.Builder
		text.WriteString(old.Text)
		for n := range old.Lines {
			fmt.Fprintf(&text, "big %06d\n", n)
		}
		r.texts[old.Name] = text.String()
		r.inodes[old.Inode] = f.inode(f.put(old.Name, text.String()))
	}
	return r
}

// inode returns the inode that a file has here, or one that no file has.
func (r *rivalRun) inode(then uint64) uint64 {
	if now, ok := r.inodes[then]; ok {
		return now
	}
	return then | 1<<50
}

var inodeIn = regexp.MustCompile(`(native::|"inode":)(\d+)`)

// here returns a text of the rival's with the folder and the inodes of this test.
func (r *rivalRun) here(text string) string {
	text = strings.ReplaceAll(text, recordedRoot, r.dir)
	return inodeIn.ReplaceAllStringFunc(text, func(s string) string {
		m := inodeIn.FindStringSubmatch(s)
		then, _ := strconv.ParseUint(m[2], 10, 64)
		return m[1] + strconv.FormatUint(r.inode(then), 10)
	})
}

// takeOver puts the config and the positions of the rival into this test's folder.
func (r *rivalRun) takeOver() (config, positions string) {
	f := takenOver{r.t, r.dir}
	err := filepath.Walk(r.folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || info.Name() == "state.json" {
			return err
		}
		name, _ := filepath.Rel(r.folder, path)
		if strings.HasPrefix(info.Name(), "tail.db") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := f.put(name, r.here(string(text)))
		switch {
		case filepath.Dir(name) == ".":
			config = to
		case info.Name() == "positions.yaml":
			positions = to
		default:
			positions = filepath.Join(r.dir, "positions")
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if db := filepath.Join(r.folder, "positions", "tail.db"); positions == "" {
		positions = r.database(db)
	}
	return config, positions
}

// database makes the rows of a recorded database into one with the inodes of this test, which
// differ in their widths.
func (r *rivalRun) database(path string) string {
	noted, err := importer.ReadPositions(importer.FluentBit, path)
	if err != nil {
		r.t.Fatal(err)
	}
	var rows []tailRow
	for _, at := range noted.Files {
		rows = append(rows, tailRow{r.here(at.Path), at.Offset, r.inode(at.Inode), at.Before.Hash, at.Before.Size})
	}
	return takenOver{r.t, r.dir}.put("positions/tail.db", tailDatabase(rows))
}

// at returns the position that ours reads for each of the recorded, to compare them.
func (r *rivalRun) noted(tool importer.Tool) map[string]uint64 {
	path := filepath.Join(r.folder, "positions")
	for _, name := range []string{"positions.yaml", "tail.db"} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			path = filepath.Join(path, name)
		}
	}
	noted, err := importer.ReadPositions(tool, path)
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]uint64{}
	for _, at := range noted.Files {
		name, _ := filepath.Rel(recordedRoot, at.Path)
		all[fmt.Sprint(name, " ", at.Inode, " ", at.Offset)] = at.Offset
	}
	return all
}

// everyLine returns all lines that there were, each once.
func (r *rivalRun) everyLine() map[string]bool {
	all := map[string]bool{}
	for _, text := range r.texts {
		for line := range strings.Lines(text) {
			all[strings.TrimRight(line, "\r\n")] = true
		}
	}
	for _, line := range r.Sent {
		all[line] = true
	}
	return all
}

// condensed shortens consecutive lines such as "app 000007", "app 000008" to "app 7-8".
func condensed(lines []string) (short []string) {
	slices.Sort(lines)
	name, from, to := "", 0, 0
	end := func() {
		if name != "" {
			short = append(short, fmt.Sprintf("%s %d-%d", name, from, to))
		}
		name = ""
	}
	for _, line := range lines {
		what, number, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		switch {
		case err != nil:
			end()
			short = append(short, line)
		case what == name && n == to+1:
			to = n
		default:
			end()
			name, from, to = what, n, n
		}
	}
	end()
	return short
}

// countOf returns how many lines condensed has shortened.
func countOf(short []string) (lines int) {
	for _, s := range short {
		from, to := 0, 0
		if _, err := fmt.Sscanf(s[strings.LastIndexByte(s, ' ')+1:], "%d-%d", &from, &to); err != nil {
			from, to = 0, 0
		}
		lines += to - from + 1
	}
	return lines
}

// TestTakeOverFromRivals: what Promtail, Filebeat and Fluent Bit themselves have written, stopped
// or killed, is taken over at exactly the byte that they recorded, with files that they had read in
// part, that were rotated, copied and truncated, deleted and linked: what they have delivered does
// not come again, and what they have not is not left out. What differs from that is listed.
func TestTakeOverFromRivals(t *testing.T) {
	renamed := []string{"later.log.1 by now, and goes on there", "rotated.log.1 by now, and goes on there",
		"gone.log: is gone; what it had beyond byte 360 is lost", "latercopied.log: "}
	anew := []string{"later.log.1 by now, and goes on there", "gone.log: is gone",
		"regrown.log: was truncated and written anew, or is another file: before byte 600 is not what was read"}
	tests := []struct {
		folder string
		tool   importer.Tool
		// lost are lines that come from neither: "another" are those of a file that was truncated
		// and grew beyond the position, "later" those of one that was rotated where no inodes are
		// noted, "big" what Fluent Bit had noted when it was killed, and not sent.
		lost []string
		// again are lines that come from both: what was delivered, and not noted yet.
		again []string
		told  []string
	}{
		{"promtail/stopped", importer.Promtail, []string{"another 0-39", "later 40-44"}, nil, []string{
			"later.log: was truncated, or is another file: 520 bytes were read and it has 65; it is read from its " +
				"beginning; if it was rotated, what the earlier one had beyond byte 520 is lost"}},
		{"promtail/killed", importer.Promtail, []string{"another 0-39", "later 40-44"}, []string{"big 419-2039"}, nil},
		{"filebeat-log/stopped", importer.Filebeat, []string{"another 0-39"}, nil, renamed},
		{"filebeat-log/killed", importer.Filebeat, []string{"another 0-39"}, []string{"big 129-192"}, renamed},
		{"filebeat-filestream/stopped", importer.Filebeat, []string{"another 0-39"}, []string{"rotated 61-64"},
			renamed},
		{"filebeat-filestream/killed", importer.Filebeat, []string{"another 0-39"}, []string{"big 65-128"}, renamed},
		{"filebeat-fingerprint/stopped", importer.Filebeat, nil, nil, append(renamed, "its fingerprint has changed")},
		{"filebeat-fingerprint/killed", importer.Filebeat, nil, []string{"big 129-192"}, renamed},
		{"fluent-bit/stopped", importer.FluentBit, nil, nil, anew},
		{"fluent-bit/killed", importer.FluentBit, []string{"big 5956-8933"}, nil, anew},
	}
	for _, test := range tests {
		t.Run(test.folder, func(t *testing.T) {
			r := newRivalRun(t, filepath.Join("testdata", "takeover", test.folder))
			recorded := map[string]uint64{}
			for _, at := range r.Recorded {
				recorded[fmt.Sprint(at.Name, " ", at.Inode, " ", at.Offset)] = at.Offset
			}
			if diff := cmp.Diff(recorded, r.noted(test.tool)); diff != "" {
				t.Errorf("positions: %s", diff)
			}
			config, positions := r.takeOver()
			made := filepath.Join(r.dir, "longshore.yml")
			code, _, stderr := call(t, "", "import", config, "-o", made, "--positions", positions, "--data-dir",
				filepath.Join(r.dir, "state"))
			for _, text := range test.told {
				if !strings.Contains(stderr, text) {
					t.Errorf("%q is not told", text)
				}
			}
			if code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			lost, again := r.continued(made, countOf(test.again)-countOf(test.lost))
			if diff := cmp.Diff(test.lost, lost); diff != "" {
				t.Errorf("not what is lost: %s", diff)
			}
			if diff := cmp.Diff(test.again, again); diff != "" {
				t.Errorf("not what comes again: %s", diff)
			}
			if t.Failed() {
				t.Log(stderr)
			}
		})
	}
}

// continued runs Longshore with the config that was made until it has delivered what the rival has
// not, and so many more lines, and returns which of all lines come from neither, and which from
// both.
func (r *rivalRun) continued(config string, more int) (lost, again []string) {
	r.t.Helper()
	all := r.everyLine()
	got := runUntil(r.t, config, len(all)-len(r.Sent)+more)
	sent := map[string]bool{}
	for _, line := range r.Sent {
		sent[line] = true
	}
	came := map[string]bool{}
	for _, line := range got {
		if sent[line] || came[line] {
			again = append(again, line)
		}
		came[line] = true
	}
	for line := range all {
		if !sent[line] && !came[line] {
			lost = append(lost, line)
		}
	}
	return condensed(lost), condensed(again)
}
