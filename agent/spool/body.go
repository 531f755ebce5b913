package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk/payload"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A body as a record is
//
//	version 2
//	a record of version 1, as a block of s2 (Snappy with longer matches)
//
// or, where that gives nothing, of version 1 itself. In it numbers are varints (zigzag where they
// may be negative), strings are preceded by their length:
//
//	version 1
//	flags:   1 where the body is uncertain
//	sources: count, then each: ID uint64 little endian, input, key,
//	         labels: count, then each: name, value
//	groups:  count, then each: name
//	runs:    count, then each: index of its source, first item after that of
//	         the run before, from, length
//	items:   count, then each: position after that of the item before (signed), length, group
//	bytes:   the items' bytes, to the end
//
// A line takes 380 bytes of version 1, for Loki and Elasticsearch alike. By s2 that becomes 90, for
// 0.3 µs of CPU time a line and 0.1 to read it, which the disk gives back; by zstd at its fastest
// 54, for 0.9 and 0.2: half as much again as all else that is done for a line. See performance.md.
const (
	plainVersion  = 1
	packedVersion = 2
	flagUncertain = 1

	// maxPacked bounds the memory that unpacking takes, whatever a file says. An output's bodies
	// have a MiB and one record; a longer one is not packed.
	maxPacked = 4 << 20
)

// ErrBody is the error of a record that is not a body.
var ErrBody = errors.New("the record is not a body that this version of longshore can read")

// A BodyCoder turns bodies into records, and back. Its methods are safe for use by several
// goroutines, which share its memory; the zero value is ready.
type BodyCoder struct {
	mu            sync.Mutex
	plain, packed []byte
}

// Append appends a body, but for its tracks, in a form that Read reads.
func (c *BodyCoder) Append(dst []byte, b *deliver.Body) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plain = appendPlain(c.plain[:0], b)
	if len(c.plain) > maxPacked {
		return append(dst, c.plain...)
	}
	c.packed = resize(c.packed, s2.MaxEncodedLen(len(c.plain)))
	packed := s2.Encode(c.packed, c.plain)
	if 1+len(packed) >= len(c.plain) {
		return append(dst, c.plain...)
	}
	dst = append(dst, packedVersion)
	return append(dst, packed...)
}

func appendPlain(dst []byte, b *deliver.Body) []byte {
	dst = append(dst, plainVersion, flagsOf(b))
	dst, index := appendSources(dst, b.Runs)
	dst = binary.AppendUvarint(dst, uint64(len(b.Groups)))
	for _, group := range b.Groups {
		dst = payload.AppendString(dst, group)
	}
	dst = appendRuns(dst, b.Runs, index)
	dst = appendItems(dst, b.Items)
	return append(dst, b.Bytes...)
}

func flagsOf(b *deliver.Body) byte {
	if b.Uncertain {
		return flagUncertain
	}
	return 0
}

func appendSources(dst []byte, runs []deliver.Run) ([]byte, map[*event.Source]int) {
	index := make(map[*event.Source]int, 1)
	var sources []*event.Source
	for i := range runs {
		src := runs[i].Source
		if _, ok := index[src]; !ok {
			index[src] = len(sources)
			sources = append(sources, src)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(sources)))
	for _, src := range sources {
		dst = appendSource(dst, src)
	}
	return dst, index
}

func appendSource(dst []byte, src *event.Source) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(src.ID))
	dst = payload.AppendString(dst, src.Input)
	dst = payload.AppendString(dst, src.Key)
	dst = binary.AppendUvarint(dst, uint64(len(src.Labels)))
	for _, l := range src.Labels {
		dst = payload.AppendString(dst, l.Name)
		dst = payload.AppendString(dst, l.Value)
	}
	return dst
}

func appendRuns(dst []byte, runs []deliver.Run, index map[*event.Source]int) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	first := 0
	for i := range runs {
		r := &runs[i]
		dst = binary.AppendUvarint(dst, uint64(index[r.Source]))
		dst = binary.AppendUvarint(dst, uint64(r.First-first))
		dst = binary.AppendUvarint(dst, r.From)
		dst = binary.AppendUvarint(dst, r.To-r.From)
		first = r.First
	}
	return dst
}

func appendItems(dst []byte, items []pipeline.Item) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(items)))
	var pos uint64
	var end uint32
	for i := range items {
		item := &items[i]
		dst = binary.AppendVarint(dst, int64(item.Pos-pos))
		dst = binary.AppendUvarint(dst, uint64(item.End-end))
		dst = binary.AppendUvarint(dst, uint64(item.Group))
		pos, end = item.Pos, item.End
	}
	return dst
}

// Read decodes what Append encoded into an empty body, and copies what it needs of p. track becomes
// the track of all runs. Any bytes are safe to read; after an error, which is ErrBody, the body is
// to be reset.
func (c *BodyCoder) Read(p []byte, b *deliver.Body, track deliver.Track) error {
	if len(p) == 0 || p[0] != packedVersion {
		return readPlain(p, b, track)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := s2.DecodedLen(p[1:])
	if err != nil || n > maxPacked {
		return fmt.Errorf("%w: it unpacks to %d bytes: %v", ErrBody, n, err)
	}
	c.plain = resize(c.plain, n)
	if _, err := s2.Decode(c.plain, p[1:]); err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	return readPlain(c.plain, b, track)
}

func readPlain(p []byte, b *deliver.Body, track deliver.Track) error {
	d := decoder{payload.Reader{Rest: p}}
	if version := d.Byte(); version != plainVersion && !d.Damaged {
		return fmt.Errorf("%w: its version is %d", ErrBody, version)
	}
	b.Uncertain = d.Byte()&flagUncertain != 0
	sources := d.sources()
	d.groups(b)
	d.runs(b, sources, track)
	d.items(b)
	b.Bytes = append(b.Bytes, d.Rest...)
	if d.Damaged {
		return ErrBody
	}
	return check(b)
}

// check compares the parts of a body, so that no index in it leads out of it.
func check(b *deliver.Body) error {
	end, items := 0, len(b.Items)
	if items > 0 {
		end = int(b.Items[items-1].End)
	}
	if end != len(b.Bytes) {
		return fmt.Errorf("%w: its items take %d of %d bytes", ErrBody, end, len(b.Bytes))
	}
	if items > 0 && (len(b.Runs) == 0 || b.Runs[0].First != 0) {
		return fmt.Errorf("%w: some of its items belong to no source", ErrBody)
	}
	if n := len(b.Runs); n > 0 && b.Runs[n-1].First > items {
		return fmt.Errorf("%w: a run begins after the last of %d items", ErrBody, items)
	}
	for i := range b.Items {
		if g := int(b.Items[i].Group); g >= len(b.Groups) && g > 0 {
			return fmt.Errorf("%w: item %d is in group %d of %d", ErrBody, i, g, len(b.Groups))
		}
	}
	return nil
}

// A decoder decodes a body.
type decoder struct{ payload.Reader }

func (d *decoder) sources() (sources []*event.Source) {
	for n := d.Count(); n > 0 && !d.Damaged; n-- {
		sources = append(sources, event.NewSource(event.SourceID(d.Uint64()), string(d.Bytes()), string(d.Bytes()),
			d.labels()))
	}
	return sources
}

func (d *decoder) labels() (labels []event.Label) {
	for n := d.Count(); n > 0 && !d.Damaged; n-- {
		labels = append(labels, event.Label{Name: string(d.Bytes()), Value: string(d.Bytes())})
	}
	return labels
}

// groups reads names that are all different.
func (d *decoder) groups(b *deliver.Body) {
	n := d.Count()
	for i := 0; i < n && !d.Damaged; i++ {
		if b.Group(d.Bytes()) != uint32(i) {
			d.Fail()
		}
	}
}

func (d *decoder) runs(b *deliver.Body, sources []*event.Source, track deliver.Track) {
	first := uint64(0)
	for n := d.Count(); n > 0 && !d.Damaged; n-- {
		src, after, from, length := d.Uint(), d.Uint(), d.Uint(), d.Uint()
		first += after
		if src >= uint64(len(sources)) || after > uint64(len(d.Rest)) || first > uint64(len(d.Rest)) ||
			from+length < from {
			d.Fail()
			return
		}
		b.Runs = append(b.Runs, deliver.Run{Source: sources[src], Track: track, First: int(first), From: from,
			To: from + length})
	}
}

func (d *decoder) items(b *deliver.Body) {
	var pos uint64
	end := uint64(0)
	for n := d.Count(); n > 0 && !d.Damaged; n-- {
		pos += uint64(d.Int())
		length, group := d.Uint(), d.Uint()
		end += length
		if length > uint64(len(d.Rest)) || end > uint64(len(d.Rest)) || group > uint64(len(b.Groups)) {
			d.Fail()
			return
		}
		b.Items = append(b.Items, pipeline.Item{Pos: pos, End: uint32(end), Group: uint32(group)})
	}
}
