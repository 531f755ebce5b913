package s3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// attempts is what is known of the objects that were tried: a file of notes, each with its length
// and checksum. That an object is tried is on disk before its request; what became of it follows,
// and need not be: whoever does not find it asks the bucket.
//
// Another process, such as a replay, may use the file at the same time: it is locked while notes
// are added, and whoever finds that it was compacted meanwhile opens it anew.
type attempts struct {
	path string // "" keeps them in memory
	now  func() time.Time

	mu        sync.Mutex
	memory    []byte
	compactAt int64
	seen      os.FileInfo // the file up to whose place whole is
	whole     int64       // end of the last note that was seen
}

const (
	attemptsFile = "attempts"
	// keepFor is how long it is known which records an object has, after what became of it is: by
	// then what was delivered is in the ledger, also of sources that an outage held up.
	keepFor = 24 * time.Hour
	// maxAttempts bounds the file, but for what became of nothing yet and for what is recent.
	maxAttempts = 16 << 20
	recently    = time.Minute
	// compactLess is a size that is not worth compacting.
	compactLess = 1 << 20
	// maxFile is more than the file can have.
	maxFile = 256 << 20
)

// A state is what became of an object.
type state byte

const (
	tried   state = iota + 1 // nobody knows
	there                    // it is in the bucket
	absent                   // it is not, and never will be
	fencing                  // an empty object may be in its place
)

// A note is one entry of the file.
type note struct {
	state state
	at    int64 // Unix seconds
	url   string
	held  []heldSource // of an object that is tried
}

// A heldSource is what an object has of one source: the positions, ascending.
type heldSource struct {
	source    event.SourceID
	positions []uint64
}

func newAttempts(folder string) *attempts {
	a := &attempts{now: time.Now}
	if folder != "" {
		a.path = filepath.Join(folder, attemptsFile)
	}
	return a
}

// add adds notes. With durable it returns once they are on disk.
func (a *attempts) add(durable bool, notes ...note) error {
	if len(notes) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var added []byte
	for i := range notes {
		notes[i].at = a.now().Unix()
		added = appendNote(added, &notes[i])
	}
	if a.path == "" {
		a.memory = append(a.memory, added...)
		if len(a.memory) > maxAttempts {
			a.memory = a.needed(a.memory)
		}
		return nil
	}
	if err := a.write(added, durable); err != nil {
		return fmt.Errorf("noting on disk which objects are made: %w", err)
	}
	return nil
}

func (a *attempts) write(added []byte, durable bool) (err error) {
	folder := filepath.Dir(a.path)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	f, err := pipeline.OpenLocked(a.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > max(compactLess, a.compactAt) {
		if f, err = a.compact(f, info); err != nil {
			return err
		}
	}
	if err := a.mend(f); err != nil {
		return err
	}
	if _, err := f.Write(added); err != nil {
		return err // mended by the next
	}
	a.whole += int64(len(added))
	if !durable {
		return nil
	}
	return errors.Join(f.Sync(), pipeline.SyncFolder(folder))
}

// mend cuts off what a crash has left behind the last whole note: nothing follows from it, as it
// was not on disk. What is behind it would never be read.
func (a *attempts) mend(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if a.seen == nil || !os.SameFile(a.seen, info) || info.Size() < a.whole {
		a.whole = 0
	}
	content, err := io.ReadAll(io.NewSectionReader(f, a.whole, info.Size()-a.whole))
	if err != nil {
		return err
	}
	rest := eachNote(content, func(*note, []byte) {})
	a.seen, a.whole = info, info.Size()-int64(len(rest))
	if len(rest) == 0 {
		return nil
	}
	return f.Truncate(a.whole)
}

// compact replaces the locked file by one without what nobody needs any more, and returns that. It
// is looked at again when it has doubled.
func (a *attempts) compact(f *os.File, info os.FileInfo) (*os.File, error) {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		return f, err
	}
	kept := a.needed(content)
	a.compactAt = max(compactLess, 2*int64(len(kept)))
	if len(kept) == len(content) {
		return f, nil
	}
	next, err := pipeline.OpenDataFile(a.path+".new", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_RDWR)
	if err != nil {
		return f, err
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok { // root may be replaying for the agent's user
		err = next.Chown(int(of.Uid), int(of.Gid))
	}
	if err == nil {
		err = syscall.Flock(int(next.Fd()), syscall.LOCK_EX)
	}
	if err == nil {
		_, err = next.Write(kept)
	}
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = os.Rename(a.path+".new", a.path)
	}
	if err != nil {
		return f, errors.Join(err, next.Close())
	}
	return next, f.Close()
}

// needed returns the notes of a file that are needed still: of objects of which nobody knows what
// became, and of those whose records an input may yet read again.
func (a *attempts) needed(content []byte) []byte {
	ends := map[string]state{}
	eachNote(content, func(n *note, _ []byte) {
		if n.state != fencing && ends[n.url] != there {
			ends[n.url] = n.state
		}
	})
	now := a.now()
	old, recent := now.Add(-keepFor).Unix(), now.Add(-recently).Unix()
	over := len(content) - maxAttempts/2
	var kept []byte
	eachNote(content, func(n *note, raw []byte) {
		known := ends[n.url] != tried
		if known && (n.at < old || len(content) > maxAttempts && over > 0 && n.at < recent) {
			over -= len(raw)
			return
		}
		kept = append(kept, raw...)
	})
	return kept
}

// An attempt is an object that was tried.
type attempt struct {
	url   string
	state state
	// fenced is set where an empty object may be in its place.
	fenced bool
	items  []int // of the body that is asked for
}

// of returns the objects that may have items of a body.
func (a *attempts) of(body *pipeline.Body) ([]*attempt, error) {
	wanted := map[event.SourceID]map[uint64]int{}
	for i := range body.Items {
		id, pos := identityOf(body, i)
		if wanted[id] == nil {
			wanted[id] = map[uint64]int{}
		}
		wanted[id][pos] = i
	}
	var all []*attempt
	byURL := map[string]*attempt{}
	err := a.each(func(n *note) {
		if n.state != tried {
			if known := byURL[n.url]; known != nil {
				known.note(n.state)
			}
			return
		}
		if items := n.itemsOf(wanted); len(items) > 0 {
			byURL[n.url] = &attempt{url: n.url, state: tried, items: items}
			all = append(all, byURL[n.url])
		}
	})
	return all, err
}

func (t *attempt) note(s state) {
	if s == fencing {
		t.fenced = true
		return
	}
	t.state = s
}

func (n *note) itemsOf(wanted map[event.SourceID]map[uint64]int) (items []int) {
	for _, h := range n.held {
		of := wanted[h.source]
		if of == nil {
			continue
		}
		for _, pos := range h.positions {
			if i, ok := of[pos]; ok {
				items = append(items, i)
			}
		}
	}
	return items
}

// each calls a function for every note.
func (a *attempts) each(call func(*note)) error {
	content, err := a.content()
	if err != nil {
		return fmt.Errorf("reading what this output knows of earlier requests: %w", err)
	}
	eachNote(content, func(n *note, _ []byte) { call(n) })
	return nil
}

func (a *attempts) content() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.path == "" {
		return slices.Clone(a.memory), nil
	}
	f, err := pipeline.OpenDataFile(a.path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %s; it is not the output's own", a.path, pipeline.Size(info.Size()).Rounded())
	}
	return io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
}

// frameHead is the length and the checksum of a note.
const frameHead = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendNote(dst []byte, n *note) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	dst = append(dst, byte(n.state))
	dst = binary.AppendVarint(dst, n.at)
	dst = binary.AppendUvarint(dst, uint64(len(n.url)))
	dst = append(dst, n.url...)
	for _, h := range n.held {
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.source))
		dst = binary.AppendUvarint(dst, uint64(len(h.positions)))
		before := uint64(0)
		for _, pos := range h.positions {
			dst = binary.AppendUvarint(dst, pos-before)
			before = pos
		}
	}
	payload := dst[start+frameHead:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

// eachNote calls a function for every note, and with its bytes, up to the first that is not whole.
// It returns what is left from there on.
func eachNote(content []byte, call func(n *note, raw []byte)) (rest []byte) {
	for len(content) > frameHead {
		size := int(binary.LittleEndian.Uint32(content))
		if size == 0 || size > len(content)-frameHead {
			break
		}
		payload := content[frameHead : frameHead+size]
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(content[4:]) {
			break
		}
		n, ok := readNote(payload)
		if !ok {
			break
		}
		call(n, content[:frameHead+size])
		content = content[frameHead+size:]
	}
	return content
}

func readNote(b []byte) (*note, bool) {
	n := &note{state: state(b[0])}
	r := noteReader{b: b[1:]}
	n.at = r.varint()
	n.url = string(r.bytes(r.uvarint()))
	for len(r.b) > 0 && !r.failed {
		n.held = append(n.held, r.held())
	}
	return n, !r.failed && n.state >= tried && n.state <= fencing
}

// A noteReader reads numbers; failed is set once there are too few bytes.
type noteReader struct {
	b      []byte
	failed bool
}

func (r *noteReader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *noteReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *noteReader) skip(n int) {
	if n <= 0 {
		r.failed, r.b = true, nil
		return
	}
	r.b = r.b[n:]
}

func (r *noteReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.failed, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *noteReader) held() (h heldSource) {
	if id := r.bytes(8); id != nil {
		h.source = event.SourceID(binary.BigEndian.Uint64(id))
	}
	count := r.uvarint()
	if count > uint64(len(r.b)) { // each has a byte at least
		r.failed = true
		return h
	}
	h.positions = make([]uint64, 0, count)
	pos := uint64(0)
	for range count {
		pos += r.uvarint()
		h.positions = append(h.positions, pos)
	}
	return h
}
