package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MaxPositions bounds a file of positions.
const MaxPositions = 256 << 20

// maxPositionEntries bounds how many files have positions.
const maxPositionEntries = 1_000_000

// A Position is how far a tool has read a file.
type Position struct {
	Path   string
	Offset uint64
	Inode  uint64 // 0 where the tool notes none
	Before Marker // what stands right before the offset
	Head   Head   // how the file begins
}

// Identified reports whether the tool has noted by what to know the file, beside its name.
func (p Position) Identified() bool { return p.Inode != 0 || p.Head.Sum != "" }

// Positions are what a tool has noted.
type Positions struct {
	Files []Position
	// Others are entries that are no positions in files, such as those of containers.
	Others int
}

// ReadPositions reads the positions that a tool has noted: Promtail's and Alloy's positions.yml,
// Filebeat's registry (the folder, or a file of it), Fluent Bit's database.
func ReadPositions(tool Tool, path string) (Positions, error) {
	switch tool {
	case Promtail, Alloy:
		return readOf(path, promtailPositions)
	case Filebeat:
		return registry(path)
	case FluentBit:
		return fluentPositions(path)
	}
	return Positions{}, fmt.Errorf("positions of %s are not taken over: it notes no paths with them; those of "+
		"Promtail, "+
		"Alloy, Filebeat and Fluent Bit are", tool.Title())
}

// readOf opens a regular file of bounded size and reads it.
func readOf(path string, read func(io.Reader) (Positions, error)) (Positions, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Positions{}, err
	}
	if !info.Mode().IsRegular() {
		return Positions{}, fmt.Errorf("%s is no regular file", path)
	}
	if info.Size() > MaxPositions {
		return Positions{}, fmt.Errorf("%s is larger than %d MiB; is it the right file?", path, MaxPositions>>20)
	}
	f, err := os.Open(path)
	if err != nil {
		return Positions{}, err
	}
	defer f.Close()
	p, err := read(io.LimitReader(f, MaxPositions))
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return p, err
}

var errPromtail = errors.New(`not as Promtail writes it: positions: with a line "/path: "offset"" for each file`)

// promtailPositions reads what Promtail and Alloy write, line by line: it may be far larger than
// other YAML. An entry is `path: "123"`, or in Alloy's `? path: …`, `labels: …`, `: "123"`.
func promtailPositions(r io.Reader) (p Positions, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	begun, complex := false, ""
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " \t\r")
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text == "---":
		case !begun:
			if text != "positions:" && text != "positions: {}" {
				return p, errPromtail
			}
			begun = true
		case line[0] != ' ' && line[0] != '?':
			return p, errPromtail
		case strings.HasPrefix(text, "? path:"):
			complex = yamlText(strings.TrimSpace(strings.TrimPrefix(text, "? path:")))
		case complex != "" && strings.HasPrefix(text, ": "):
			if err := p.add(complex, yamlText(text[2:])); err != nil {
				return p, err
			}
			complex = ""
		case complex != "": // its labels
		default:
			cut := strings.LastIndex(text, ": ")
			if cut < 0 {
				return p, errPromtail
			}
			if err := p.add(yamlText(text[:cut]), yamlText(text[cut+2:])); err != nil {
				return p, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return p, err
	}
	if !begun {
		return p, errPromtail
	}
	return p, nil
}

func (p *Positions) add(path, offset string) error {
	if len(p.Files)+p.Others > maxPositionEntries {
		return fmt.Errorf("it has more than %d entries", maxPositionEntries)
	}
	v, err := strconv.ParseUint(offset, 10, 64)
	if err != nil || !filepath.IsAbs(path) || v > 1<<62 {
		p.Others++ // the cursor of a journal, the time of a container
		return nil
	}
	p.Files = append(p.Files, Position{Path: path, Offset: v})
	return nil
}

// yamlText returns the text of a scalar on one line.
func yamlText(s string) string {
	s = strings.TrimSpace(s)
	if text, err := strconv.Unquote(s); err == nil && strings.HasPrefix(s, `"`) {
		return text
	}
	if len(s) > 1 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
	}
	return s
}

// A beatState is what Filebeat notes of a file: of the log input, or of filestream.
type beatState struct {
	Key    string `json:"_key"`
	Source string `json:"source"`
	Offset *int64 `json:"offset"`
	OS     struct {
		Inode uint64 `json:"inode"`
	} `json:"FileStateOS"`
	Cursor *struct {
		Offset int64 `json:"offset"`
	} `json:"cursor"`
	Meta struct {
		Source string `json:"source"`
	} `json:"meta"`
}

// registry reads Filebeat's registry: a checkpoint and a log of what came after it, in one folder;
// or a single data.json of earlier versions.
func registry(path string) (Positions, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Positions{}, err
	}
	if !info.IsDir() {
		if filepath.Base(path) != "log.json" {
			return readOf(path, checkpointOnly)
		}
		path = filepath.Dir(path)
	}
	for _, below := range []string{"registry/filebeat", "filebeat", "data/registry/filebeat"} {
		if _, err := os.Stat(filepath.Join(path, below, "meta.json")); err == nil {
			path = filepath.Join(path, below)
		}
	}
	states := map[string]beatState{}
	if name := checkpointName(path); name != "" {
		_, err := readOf(name, func(r io.Reader) (Positions, error) { return Positions{}, readCheckpoint(r, states) })
		if err != nil {
			return Positions{}, err
		}
	}
	_, err = readOf(filepath.Join(path, "log.json"), func(r io.Reader) (Positions, error) {
		return Positions{}, readOperations(r, states)
	})
	if err != nil && (!errors.Is(err, os.ErrNotExist) || len(states) == 0) {
		return Positions{}, err
	}
	return positionsOf(states), nil
}

// checkpointName returns the newest checkpoint in a registry, or "".
func checkpointName(folder string) string {
	if data, err := os.ReadFile(filepath.Join(folder, "active.dat")); err == nil && len(data) < 4096 {
		name := filepath.Join(folder, filepath.Base(strings.TrimSpace(string(data))))
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "data.json")); err == nil {
		return filepath.Join(folder, "data.json")
	}
	return ""
}

func checkpointOnly(r io.Reader) (Positions, error) {
	states := map[string]beatState{}
	err := readCheckpoint(r, states)
	return positionsOf(states), err
}

// readCheckpoint reads a list of states.
func readCheckpoint(r io.Reader, states map[string]beatState) error {
	in := bufio.NewReader(r)
	if head, _ := in.Peek(1); len(head) == 0 || head[0] == 0 {
		return errors.New("empty or full of zeros, as a power failure leaves it; Filebeat would not start with it " +
			"either: name an older one as --positions (another N.json, registry.old), or go on without")
	}
	d := json.NewDecoder(in)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("not as Filebeat writes it: a list of states")
	}
	for i := 0; d.More(); i++ {
		var s beatState
		if err := d.Decode(&s); err != nil {
			return fmt.Errorf("not as Filebeat writes it: %w", err)
		}
		if i > maxPositionEntries {
			return fmt.Errorf("it has more than %d entries", maxPositionEntries)
		}
		if s.Key == "" {
			s.Key = strconv.Itoa(i)
		}
		states[s.Key] = s
	}
	return nil
}

// readOperations reads the log: pairs of lines, what is done and with which key. A last line that
// was not written whole counts for nothing, as for Filebeat.
func readOperations(r io.Reader, states map[string]beatState) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	op := ""
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var action struct {
			Op string `json:"op"`
			K  string `json:"k"`
			V  beatState
		}
		if json.Unmarshal(line, &action) != nil {
			return nil // what was written last, before a crash
		}
		switch {
		case action.Op != "":
			op = action.Op
		case op == "set" && action.K != "":
			states[action.K] = action.V
		case op == "remove":
			delete(states, action.K)
		}
		if len(states) > maxPositionEntries {
			return fmt.Errorf("it has more than %d entries", maxPositionEntries)
		}
	}
	return lines.Err()
}

func positionsOf(states map[string]beatState) (p Positions) {
	keys := make([]string, 0, len(states))
	for key := range states {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		s := states[key]
		at := Position{Path: firstOf(s.Source, s.Meta.Source), Inode: s.OS.Inode}
		offset := int64(-1)
		switch {
		case s.Offset != nil:
			offset = *s.Offset
		case s.Cursor != nil:
			offset = s.Cursor.Offset
		case filepath.IsAbs(at.Path):
			continue // known to filestream, and nothing of it acknowledged
		}
		at.identify(key)
		if offset < 0 || !filepath.IsAbs(at.Path) {
			p.Others++
			continue
		}
		at.Offset = uint64(offset)
		p.Files = append(p.Files, at)
	}
	return p
}

// identify notes by what a state's key knows the file.
func (at *Position) identify(key string) {
	if at.Inode != 0 {
		return
	}
	for _, identity := range []string{"::native::", "::inode_marker::"} {
		if _, file, ok := strings.Cut(key, identity); ok {
			number, _, _ := strings.Cut(file, "-")
			at.Inode, _ = strconv.ParseUint(number, 10, 64)
		}
	}
	if _, sum, ok := strings.Cut(key, "::fingerprint::"); ok {
		at.Head = Head{Size: defaultHead, Sum: sum}
	}
}

// fluentPositions reads the table of Fluent Bit's tail input. What a killed one has left in a
// write-ahead log beside the database belongs to it.
func fluentPositions(path string) (Positions, error) {
	if err := noHotJournal(path); err != nil {
		return Positions{}, err
	}
	data, err := contentOf(path)
	if err != nil {
		return Positions{}, err
	}
	wal, err := contentOf(path + "-wal")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Positions{}, err
	}
	t := tailTable{rows: map[uint64]int{}}
	if data, err = withWAL(data, wal); err == nil {
		err = sqliteTable(data, "in_tail_files", t.add)
	}
	if err != nil {
		return Positions{}, fmt.Errorf("%s: %w", path, err)
	}
	return t.Positions, nil
}

func contentOf(path string) (data []byte, err error) {
	_, err = readOf(path, func(r io.Reader) (Positions, error) {
		data, err = io.ReadAll(r)
		return Positions{}, err
	})
	return data, err
}

// hotJournal is how a rollback journal begins that SQLite has not done with.
const hotJournal = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

// noHotJournal refuses a database that was being changed when its program was killed, with
// db.journal_mode other than WAL: it may be half of one state and half of another.
func noHotJournal(path string) error {
	f, err := os.Open(path + "-journal")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var head [len(hotJournal)]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:]) != hotJournal {
		return nil // done with, and kept empty
	}
	return fmt.Errorf("%[1]s-journal has what Fluent Bit was changing in the database when it was killed: run "+
		"sqlite3 %[1]s 'select count(*) from in_tail_files', which takes that back, and import again; or start "+
		"Fluent Bit once more, and stop it", path)
}

// A tailTable is Fluent Bit's table. Of several rows of an inode the last counts.
type tailTable struct {
	Positions
	rows map[uint64]int // of Files, by their inodes
}

func (t *tailTable) add(row map[string]any) error {
	name, _ := row["name"].(string)
	offset, _ := row["offset"].(int64)
	inode, _ := row["inode"].(int64)
	hash, _ := row["offset_marker"].(int64)
	size, _ := row["offset_marker_size"].(int64)
	if len(t.Files) > maxPositionEntries {
		return fmt.Errorf("it has more than %d entries", maxPositionEntries)
	}
	if offset < 0 || !filepath.IsAbs(name) {
		t.Others++
		return nil
	}
	at := Position{Path: name, Offset: uint64(offset), Inode: uint64(inode)}
	if size > 0 && size <= maxMarker {
		at.Before = Marker{int(size), uint64(hash)}
	}
	if i, before := t.rows[at.Inode]; before && inode != 0 {
		t.Files[i] = at
		return nil
	}
	t.rows[at.Inode] = len(t.Files)
	t.Files = append(t.Files, at)
	return nil
}
