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

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/spool"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/metric"
)

// How long a lane is full before it spools; see the package comment.
const (
	spoolAfterEphemeral = 500 * time.Millisecond
	spoolAfterFiles     = time.Minute
	spoolNever          = 10 * 365 * 24 * time.Hour
)

// spoolKeepFree is what a spool leaves free on its disk.
const spoolKeepFree = 64 << 20

// spools are those of one output: one for each lane, in the folders 0, 1, …, and those of lanes
// that an earlier run had more of. Together they take no more than the output's size.
type spools struct {
	log    *slog.Logger
	size   int64
	all    []*spool.Spool
	lanes  int
	bodies spool.BodyCoder
}

// SpoolFolder returns the folder that has a spool for each lane of an output. Its type is in the
// name: bodies that were encoded for one mean nothing to another.
func SpoolFolder(cfg *config.Config, c config.Output) string {
	return filepath.Join(cfg.DataDir, spoolFolder, c.Name, c.Type)
}

// openSpools opens the spools of an output, which are there even without a size when an earlier run
// has left something.
func openSpools(dir string, c config.Output, o spool.Options) (*spools, error) {
	s := &spools{log: o.Log, size: int64(c.Common.Spool), lanes: max(1, c.Common.Lanes)}
	o.MaxSize = max(s.size, spool.MinSize)
	o.SegmentSize = min(4<<20, max(64<<10, s.size/int64(4*s.lanes)))
	for i := 0; ; i++ {
		folder := filepath.Join(dir, strconv.Itoa(i))
		if _, err := os.Stat(folder); err != nil && i >= s.lanes {
			return s, nil
		}
		one, err := spool.Open(disk.OS{}, folder, o)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("opening the spool: %w", err)
		}
		s.all = append(s.all, one)
	}
}

func (s *spools) close() {
	for _, one := range s.all {
		_ = one.Close() // what is in it is on disk
	}
}

// bytes returns what all of them take on disk.
func (s *spools) bytes() (n int64) {
	for _, one := range s.all {
		_, b := one.Len()
		n += b
	}
	return n
}

// age returns how long ago the oldest file that is not done was last written; 0 for none.
func (s *spools) age(now time.Time) time.Duration {
	var oldest time.Duration
	for _, one := range s.all {
		if info, err := os.Stat(one.Oldest()); err == nil { // else it is done, or was just removed
			oldest = max(oldest, now.Sub(info.ModTime()))
		}
	}
	return oldest
}

// register adds the metrics of what an output keeps on disk.
func (o *output) register(reg prometheus.Registerer, letters *deliver.DeadLetterFile) {
	gauge := func(name, help string, value func() float64) {
		metric.GaugeOf(reg, "longshore_output_"+name, help, value)
	}
	gauge("spool_bytes", "Size of the spool on disk.", func() float64 { return float64(o.spools.bytes()) })
	gauge("spool_limit_bytes", "Size that the spool may have: the setting spool_size.",
		func() float64 { return float64(o.spools.size) })
	gauge("spool_age_seconds", "How long ago the oldest file of the spool with records to deliver was last written.",
		func() float64 { return o.spools.age(time.Now()).Seconds() })
	gauge("dead_letter_bytes", "Size of the file of dead letters.", func() float64 {
		size, _, _ := letters.Size() // none is told where it cannot be read
		return float64(size)
	})
	gauge("dead_letter_age_seconds", "How long ago the oldest dead letter was written; 0 for none.", func() float64 {
		if _, since, _ := letters.Size(); !since.IsZero() {
			return max(0, time.Since(since).Seconds())
		}
		return 0
	})
}

// lane returns the spool of a lane, which reads first what was left by lanes that are no more; nil
// where there is no size and nothing left.
func (s *spools) lane(i int) deliver.Spool {
	l := &laneSpool{of: s, own: s.all[i]}
	for k := i; k < len(s.all); k += s.lanes {
		left, _ := s.all[k].Len()
		l.from = append(l.from, &spoolReader{spool: s.all[k], left: left, earlier: left})
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
	from []*spoolReader
	buf  []byte
}

// spoolReader is one spool as a lane reads it: how many bodies are left to be read, and how many of
// these an earlier run has put there.
type spoolReader struct {
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
	l.buf = l.of.bodies.Append(l.buf[:0], b)
	if l.of.bytes()+int64(len(l.buf)) > l.of.size {
		return fmt.Errorf("all %s that spool_size allows are in use: %w", pipeline.Size(l.of.size), spool.ErrFull)
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
		if err := l.readBody(r.spool, record, b); err != nil {
			b.Reset()
			return l.setAside(r.spool, record, err, b)
		}
		return earlier, true, nil
	}
	return false, false, nil
}

// setAside keeps a record that is no body out of the way, and goes on with the next.
func (l *laneSpool) setAside(
	from *spool.Spool, record spool.Record, cause error, b *deliver.Body,
) (earlier, ok bool, err error) {
	path, err := from.SetAside(record)
	if err != nil {
		return false, false, fmt.Errorf("%w; %w", cause, err)
	}
	l.of.log.Warn("records in the spool cannot be read and are not delivered; "+
		"they are kept, and \"longshore verify\" sends what its sources still have", "error", cause, "kept_as", path)
	return l.Next(b)
}

// readBody reads a record into a body, whose runs tell the spool when all of it is done.
func (l *laneSpool) readBody(from *spool.Spool, record spool.Record, b *deliver.Body) error {
	track := &spoolTrack{spool: from, id: record.ID}
	if err := l.of.bodies.Read(record.Data, b, track); err != nil {
		return err
	}
	for i := range b.Runs {
		track.left.Add(b.Runs[i].To - b.Runs[i].From)
	}
	return nil
}

// spoolTrack is the track of a spooled body: when the stretches of all its runs are done, so is the
// spool's record. All that a run finds in its spool is uncertain, so it need not be reserved.
type spoolTrack struct {
	spool *spool.Spool
	id    spool.ID
	left  atomic.Uint64
}

// Done implements deliver.Track.
func (t *spoolTrack) Done(from, to uint64) {
	if t.left.Add(from-to) == 0 {
		_ = t.spool.Done(t.id) // it is done all the same, but may come again after a restart
	}
}

func (t *spoolTrack) Skip(uint64) bool      { return false }
func (t *spoolTrack) Uncertain(uint64) bool { return false }
func (t *spoolTrack) Reserve(uint64) error  { return nil }

// spoolAfter returns how long a lane of an output is full before it spools.
func (g *Graph) spoolAfter(output string) time.Duration {
	for _, p := range g.Config.Pipelines {
		if slices.Contains(p.Outputs, output) && g.fedByEphemeral(p) {
			return spoolAfterEphemeral
		}
	}
	if len(g.Config.Outputs) > 1 {
		return spoolNever // it is let go instead
	}
	return spoolAfterFiles
}

// isWaitedFor reports whether an input that waits for what is done feeds an output.
func (g *Graph) isWaitedFor(output string) bool {
	for _, p := range g.Config.Pipelines {
		fed := slices.ContainsFunc(g.inputs, func(in *input) bool {
			return in.acknowledges && slices.Contains(p.Inputs, in.name)
		})
		if fed && slices.Contains(p.Outputs, output) {
			return true
		}
	}
	return false
}

// fedByEphemeral reports whether an ephemeral input feeds a pipeline. One without inputs is for
// sources whose options choose it.
func (g *Graph) fedByEphemeral(p config.Pipeline) bool {
	return slices.ContainsFunc(g.inputs, func(in *input) bool {
		return in.ephemeral && (len(p.Inputs) == 0 || slices.Contains(p.Inputs, in.name))
	})
}
