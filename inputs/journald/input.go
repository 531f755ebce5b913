package journald

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/inputs/journald/journalfile"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	pollInterval = 250 * time.Millisecond
	scanEvery    = 8 // polls
	batchBytes   = 128 << 10
	batchRecords = 2000
	quietNumbers = 5000 // entries that are left out, after which the position is noted
)

var _ pipeline.Rereader = (*input)(nil)

type input struct {
	config  Config
	env     pipeline.Env
	metrics *metrics
	lowest  int // the least severe priority that is wanted
	poll    time.Duration

	running atomic.Pointer[run]
	warned  sync.Map // paths of files of which something was said
}

// A run is what one Run follows.
type run struct {
	in    *input
	feed  pipeline.Feed
	known map[[16]byte]pipeline.Known
	first bool // nothing was ever read

	mu       sync.Mutex // guards journals, and the files of each
	journals map[[16]byte]*journal
	bad      map[string]fileInfo // files that are none
}

// A journal is what one journald writes: a source.
type journal struct {
	id     [16]byte
	files  []*file
	merger *merger
	src    *event.Source
	began  uint64        // the first number that was ever read, or is
	read   uint64        // the next number
	sent   atomic.Uint64 // To of the last batch
}

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	r := &run{in: in, feed: feed, known: map[[16]byte]pipeline.Known{}, journals: map[[16]byte]*journal{},
		bad: map[string]fileInfo{}, first: true}
	for _, k := range feed.Known() {
		if id, err := idOf(k); err == nil {
			r.known[id] = k
			r.first = r.first && k.Cursor.State == nil
		}
	}
	in.running.Store(r)
	defer r.close()
	var scanned error
	said := ""
	for poll := 0; ctx.Err() == nil; poll++ {
		if poll%scanEvery == 0 {
			scanned = r.scan()
			r.noteFound()
		}
		busy, err := r.readAll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		err = cmp.Or(err, scanned)
		in.env.Health(err)
		if now := fmt.Sprint(err); now != said && err != nil {
			in.env.Log.Warn("not all of the journal can be read, will try again", "error", err)
		}
		said = fmt.Sprint(err)
		if !busy {
			_ = backoff.Sleep(ctx, in.poll, nil)
		}
	}
	return nil
}

func (r *run) noteFound() {
	if n := len(r.journals); n > 0 {
		r.in.env.Found(pipeline.Count(n, "journal"))
	}
}

// idOf returns which journal a known source is.
func idOf(k pipeline.Known) (id [16]byte, err error) {
	if len(k.Cursor.State) == 1+len(id) && k.Cursor.State[0] == stateVersion {
		copy(id[:], k.Cursor.State[1:])
		return id, nil
	}
	p, err := hex.DecodeString(k.Key)
	if err != nil || len(p) != len(id) {
		return id, fmt.Errorf("the source %q is none of a journal", k.Key)
	}
	copy(id[:], p)
	return id, nil
}

// stateVersion is the first byte of a cursor's state; the id of the journal follows.
const stateVersion = 1

func (r *run) close() {
	r.in.running.Store(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range r.journals {
		for _, f := range j.files {
			if f.users == 0 {
				f.close()
			}
		}
		if j.src != nil {
			r.feed.Close(j.src, false)
		}
	}
}

// readAll reads what is new in all journals, and reports whether there was something.
func (r *run) readAll(ctx context.Context) (busy bool, err error) {
	var failed []error
	ids := slices.SortedFunc(maps.Keys(r.journals), func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		more, err := r.readNew(ctx, r.journals[id])
		failed = append(failed, err)
		busy = busy || more
	}
	return busy, errors.Join(failed...)
}

// readNew reads what is new in a journal.
func (r *run) readNew(ctx context.Context, j *journal) (busy bool, err error) {
	r.mu.Lock()
	if j.merger == nil {
		j.merger = &merger{in: r.in}
	}
	j.merger.follow(j.files)
	r.mu.Unlock()
	end, err := j.merger.refresh()
	if err != nil {
		return false, err
	}
	if j.src == nil {
		if err := r.start(ctx, j, end); err != nil {
			return false, err
		}
	}
	r.noteLost(j)
	before := j.read
	s := &sender{feed: r.feed, src: j.src, id: j.id, from: j.sent.Load(), progress: &j.sent}
	err = j.merger.pass(ctx, j.read, end, s, &j.read)
	r.tidy(j)
	return j.read > before, err
}

// start opens the source of a journal, and finds where to begin.
func (r *run) start(ctx context.Context, j *journal, end uint64) error {
	k := r.known[j.id]
	labels := []event.Label{
		{Name: event.LabelHost, Value: j.merger.hostname()},
		{Name: event.LabelService, Value: "journald"},
	}
	src, err := r.feed.Open(k.ID, hex.EncodeToString(j.id[:]), labels)
	if err != nil {
		return fmt.Errorf("opening the source of a journal: %w", err)
	}
	from := k.Cursor.Pos
	if k.Cursor.State == nil {
		if from, err = j.merger.firstSince(r.oldest(), end); err != nil {
			r.feed.Close(src, false)
			return err
		}
	}
	r.mu.Lock()
	j.src, j.began, j.read = src, from, from
	r.mu.Unlock()
	if k.Cursor.State != nil || from == 0 {
		j.sent.Store(from)
		return nil
	}
	s := &sender{feed: r.feed, src: src, id: j.id, progress: &j.sent}
	return s.send(ctx, from, false) // so that a restart goes on from there
}

// oldest returns the time, in µs, before which entries of a new journal are left out.
func (r *run) oldest() uint64 {
	switch since := time.Duration(r.in.config.Since); {
	case r.first && r.in.config.ReadFrom == "end":
		return uint64(time.Now().UnixMicro())
	case since == 0:
		return 0
	default:
		return uint64(max(0, time.Now().Add(-since).UnixMicro()))
	}
}

// firstSince returns the lowest number of an entry that is not older than a time; end if there is
// none.
func (m *merger) firstSince(oldest, end uint64) (uint64, error) {
	first := end
	for _, c := range m.cursors {
		err := c.reader.Seek(func(h journalfile.Head) bool { return h.Realtime >= oldest })
		if err != nil && !errors.Is(err, journalfile.ErrDamaged) {
			return 0, err
		}
		if h, ok, err := c.reader.Head(); err == nil && ok {
			first = min(first, h.Seqnum)
		}
	}
	return first, nil
}

// hostname returns the name of the host that wrote the last entry.
func (m *merger) hostname() string {
	var newest *cursor
	last := uint64(0)
	for _, c := range m.cursors {
		if tail, ok, err := c.reader.Tail(); err == nil && ok && tail.Seqnum >= last {
			newest, last = c, tail.Seqnum
			c.head = tail
		}
	}
	if newest == nil {
		return ""
	}
	e, err := m.read(newest)
	newest.ok = false
	if err != nil {
		return ""
	}
	return e.get("_HOSTNAME")
}

// noteLost counts the entries that a vacuum has taken before they were read.
func (r *run) noteLost(j *journal) {
	oldest, ok := j.merger.oldest()
	if !ok || oldest <= j.read || j.read == 0 { // 0 is where verify begins
		return
	}
	n := oldest - j.read
	j.read = oldest
	r.in.metrics.lost.Add(float64(n))
	r.in.env.Log.Warn("entries of the journal were deleted before they were read", "entries", n)
}

// oldest returns the lowest number that is there.
func (m *merger) oldest() (first uint64, ok bool) {
	for _, c := range m.cursors {
		if c.header.Entries > 0 && (!ok || c.header.HeadSeqnum < first) {
			first, ok = c.header.HeadSeqnum, true
		}
	}
	return first, ok
}

// pass sends the entries from a number up to end. progress is the next number.
func (m *merger) pass(ctx context.Context, from, end uint64, s *sender, progress *uint64) error {
	for *progress = from; ctx.Err() == nil; {
		c, err := m.next(*progress, end)
		if err != nil || c == nil {
			return errors.Join(err, s.flush(ctx, *progress, false))
		}
		*progress = c.head.Seqnum + 1
		e, err := m.read(c)
		switch {
		case errors.Is(err, journalfile.ErrDamaged):
			m.in.damaged(c.file, err)
		case err != nil:
			*progress = c.head.Seqnum
			return errors.Join(err, s.flush(ctx, *progress, false))
		case m.in.wanted(e):
			s.add(c.head, e)
		}
		c.skip()
		if s.full() {
			if err := s.send(ctx, *progress, true); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// damaged notes that something of a file makes no sense.
func (in *input) damaged(f *file, err error) {
	in.metrics.damaged.Inc()
	if _, said := in.warned.LoadOrStore(f.path, true); !said {
		in.env.Log.Warn("entries of the journal are left out", "error", err)
	}
}

// unreadable notes that a field cannot be read.
func (in *input) unreadable(f *file, err error) {
	in.metrics.unreadable.Inc()
	if _, said := in.warned.LoadOrStore(f.path, true); !said {
		in.env.Log.Warn("fields of the journal are left out", "path", f.path, "error", err)
	}
}

// tidy closes files that nobody needs any more.
func (r *run) tidy(j *journal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	leaving := uint64(0)
	for _, c := range j.merger.cursors {
		f := c.file
		if tail, ok, err := c.reader.Tail(); err == nil && ok {
			f.tail, f.first = tail.Seqnum, c.header.HeadSeqnum
		}
		if f.deleted {
			leaving = max(leaving, f.tail+1)
		}
	}
	from, behind := r.feed.Behind(j.src, leaving)
	var kept []*file
	for _, f := range j.files {
		c := j.merger.find(f)
		done := c == nil || (c.ended() || f.deleted) && f.tail < j.read
		if done && f.users == 0 && (!behind || f.tail < from) {
			f.close()
			if f.deleted {
				continue
			}
		}
		kept = append(kept, f)
	}
	j.files = kept
}

func (m *merger) find(f *file) *cursor {
	for _, c := range m.cursors {
		if c.file == f {
			return c
		}
	}
	return nil
}
