package graph

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/spool"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// How long a lane is full before it spools: what cannot wait is given half a
// second, and files, which wait where they are, as long as an outage takes that may
// outlast their rotation.
const (
	impatience = 500 * time.Millisecond
	patience   = time.Minute
)

// keepFree is what a spool leaves free on its disk.
const keepFree = 64 << 20

// spools are those of one output: one for each lane, in the folders 0, 1, …,
// and those of lanes that an earlier run had more of. Together they take no more than
// the output's size.
type spools struct {
	log   *slog.Logger
	size  int64
	all   []*spool.Spool
	lanes int
}

// spoolOf gives the folder of an output's spools. Its type is in the name: bodies
// that were encoded for one mean nothing to another.
func spoolOf(cfg *config.Config, c config.Output) string {
	return filepath.Join(cfg.DataDir, spoolFolder, c.Name, c.Type)
}

// openSpools opens the spools of an output, which are there even without a size
// when an earlier run has left something.
func openSpools(dir string, size int64, lanes int, o spool.Options) (*spools, error) {
	s := &spools{log: o.Log, size: size, lanes: lanes}
	o.MaxSize = max(size, spool.MinSize)
	o.SegmentSize = min(4<<20, max(64<<10, size/int64(4*lanes)))
	for i := 0; i < lanes || exists(filepath.Join(dir, strconv.Itoa(i))); i++ {
		one, err := spool.Open(disk.OS{}, filepath.Join(dir, strconv.Itoa(i)), o)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("opening the spool: %w", err)
		}
		s.all = append(s.all, one)
	}
	return s, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *spools) close() {
	for _, one := range s.all {
		_ = one.Close() // what is in it is on disk
	}
}

// bytes is what all of them take on disk.
func (s *spools) bytes() (n int64) {
	for _, one := range s.all {
		_, b := one.Len()
		n += b
	}
	return n
}

// lane gives the spool of a lane, which reads first what was left by lanes that
// are no more; nil where there is no size and nothing left.
func (s *spools) lane(i int) deliver.Spool {
	l := &laneSpool{of: s, own: s.all[i]}
	for k := i; k < len(s.all); k += s.lanes {
		left, _ := s.all[k].Len()
		l.from = append(l.from, &reading{spool: s.all[k], left: left, earlier: left})
	}
	// The lane's own comes last: what is added to it comes behind all others.
	l.from = append(l.from[1:], l.from[0])
	if s.size == 0 && l.Len() == 0 {
		return nil
	}
	return l
}

// laneSpool implements deliver.Spool.
type laneSpool struct {
	of   *spools
	own  *spool.Spool
	from []*reading
	buf  []byte
}

// reading is one spool as a lane reads it: how many bodies are left to be
// given, and how many of these an earlier run has put there.
type reading struct {
	spool         *spool.Spool
	left, earlier int
}

var _ deliver.Spool = (*laneSpool)(nil)

func (l *laneSpool) Len() (n int) {
	for _, r := range l.from {
		n += r.left
	}
	return n
}

func (l *laneSpool) Append(b *deliver.Body) error {
	l.buf = spool.AppendBody(l.buf[:0], b)
	if l.of.bytes()+int64(len(l.buf)) > l.of.size {
		return fmt.Errorf("all %s that the setting spool allows are in use: %w", pipeline.Size(l.of.size), spool.ErrFull)
	}
	if err := l.own.Append(l.buf); err != nil {
		return err
	}
	l.from[len(l.from)-1].left++
	return nil
}

func (l *laneSpool) Next(b *deliver.Body) (earlier, ok bool, err error) {
	for _, r := range l.from {
		if r.left == 0 {
			continue
		}
		record, ok, err := r.spool.Next(l.buf)
		if err != nil {
			return false, false, fmt.Errorf("reading the spool: %w", err)
		}
		if !ok { // the rest was damaged, and set aside
			r.left, r.earlier = 0, 0
			continue
		}
		l.buf = record.Data[:cap(record.Data)]
		r.left--
		earlier = r.earlier > 0
		r.earlier = max(0, r.earlier-1)
		if err := decode(r.spool, record, b); err != nil {
			b.Reset()
			return l.setAside(r.spool, record, err, b)
		}
		return earlier, true, nil
	}
	return false, false, nil
}

// setAside keeps a record that is no body out of the way, and goes on with the next.
func (l *laneSpool) setAside(from *spool.Spool, record spool.Record, cause error, b *deliver.Body) (earlier, ok bool, err error) {
	path, err := from.SetAside(record)
	if err != nil {
		return false, false, fmt.Errorf("%w; %w", cause, err)
	}
	l.of.log.Warn("records in the spool cannot be read and are not delivered; they are kept, and \"longshore verify\" sends what its sources still have", "error", cause, "kept_as", path)
	return l.Next(b)
}

// decode reads a record into a body, whose runs tell the spool when all of it is
// done.
func decode(from *spool.Spool, record spool.Record, b *deliver.Body) error {
	note := &receipt{spool: from, id: record.ID}
	if err := spool.ReadBody(record.Data, b, note); err != nil {
		return err
	}
	for i := range b.Runs {
		note.left.Add(b.Runs[i].To - b.Runs[i].From)
	}
	return nil
}

// receipt is the track of a body out of a spool: when the stretches of all its
// runs are done, so is the spool's record.
type receipt struct {
	spool *spool.Spool
	id    spool.ID
	left  atomic.Uint64
}

// Done implements deliver.Track.
func (r *receipt) Done(from, to uint64) {
	if r.left.Add(from-to) == 0 {
		_ = r.spool.Done(r.id) // it is done all the same, but may come again after a restart
	}
}

// Skip implements deliver.Track.
func (r *receipt) Skip(uint64) bool { return false }

// Uncertain implements deliver.Track.
func (r *receipt) Uncertain(uint64) bool { return false }

// Reserve implements deliver.Track: what is in a spool is uncertain after a
// restart, whether it was sent or not.
func (r *receipt) Reserve(uint64) error { return nil }

// patienceOf says how long a lane of an output is full before it spools.
func (g *Graph) patienceOf(output string) time.Duration {
	for _, p := range g.Config.Pipelines {
		if slices.Contains(p.Outputs, output) && g.impatient(p) {
			return impatience
		}
	}
	return patience
}

// impatient says whether an input that cannot wait feeds a pipeline. One without inputs is
// for sources that choose it.
func (g *Graph) impatient(p config.Pipeline) bool {
	for _, in := range g.inputs {
		if in.ephemeral && (len(p.Inputs) == 0 || slices.Contains(p.Inputs, in.name)) {
			return true
		}
	}
	return false
}
