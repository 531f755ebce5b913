package deliver

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Bounds on a Summary: dead letters may be as many as the disk has room for.
const (
	summaryBytes   = 16 << 20 // of a file; the newest
	summaryReasons = 30
	summarySamples = 3 // of a reason
	sampleBytes    = 4 << 10
)

// A Summary says what dead letters there are, by their reasons.
type Summary struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"` // on disk, of all
	// Partial: there are more than was looked at, and these are the newest.
	Partial bool `json:"partial"`
	Damaged int  `json:"damaged,omitempty"` // lines that cannot be read
	// Unsendable count with the others, but no replay can send them: they are of an output of
	// another type, or could not be encoded.
	Unsendable int             `json:"unsendable,omitempty"`
	Reasons    []ReasonSummary `json:"reasons"`
	Others     int             `json:"others,omitempty"` // for reasons beyond these
}

// A ReasonSummary is the part of a Summary that is for one kind of reason.
type ReasonSummary struct {
	Reason  string    `json:"reason"` // of the newest
	Status  int       `json:"status,omitempty"`
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Samples []Sample  `json:"samples"` // the newest
}

// A Sample is a dead letter as people see it.
type Sample struct {
	Time     time.Time `json:"time"`
	Source   string    `json:"source"`
	Position uint64    `json:"position"`
	Reason   string    `json:"reason"`
	Record   string    `json:"record"` // its beginning, if it is long
}

// Summarize returns what dead letters there are for an output of a type, those that a replay has
// taken out and not yet dealt with included.
func (f *DeadLetterFile) Summarize(outputType string) (Summary, error) {
	s := summary{byKind: map[string]*ReasonSummary{}, outputType: outputType}
	for _, path := range []string{f.path + replaySuffix, f.path} {
		if err := s.file(path); err != nil {
			return Summary{}, err
		}
	}
	for _, r := range s.byKind {
		s.Reasons = append(s.Reasons, *r)
	}
	slices.SortFunc(s.Reasons, func(a, b ReasonSummary) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	if s.Reasons == nil {
		s.Reasons = []ReasonSummary{}
	}
	return s.Summary, nil
}

// Stamp returns what changes when the dead letters do, as far as the file system tells.
func (f *DeadLetterFile) Stamp() (stamp [4]int64) {
	for i, path := range []string{f.path, f.path + replaySuffix} {
		if info, err := os.Stat(path); err == nil {
			stamp[2*i], stamp[2*i+1] = info.Size(), info.ModTime().UnixNano()
		}
	}
	return stamp
}

// Bytes returns what the dead letters take on disk, as far as the file system tells.
func (f *DeadLetterFile) Bytes() int64 {
	stamp := f.Stamp()
	return stamp[0] + stamp[2]
}

type summary struct {
	Summary
	byKind     map[string]*ReasonSummary
	outputType string
}

// file adds the end of a file.
func (s *summary) file(path string) error {
	file, err := pipeline.OpenDataFile(path, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	s.Bytes += size
	from := max(0, size-summaryBytes)
	// What is added meanwhile is for the next time.
	lines := bufio.NewReader(io.NewSectionReader(file, from, size-from))
	if from > 0 {
		s.Partial = true
		if _, err := lines.ReadBytes('\n'); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return eachLine(lines, func(l *DeadLetter, _ []byte) error {
		s.add(l)
		return nil
	})
}

func (s *summary) add(l *DeadLetter) {
	if l == nil {
		s.Damaged++
		return
	}
	s.Count++
	if len(l.Encoded) == 0 || !l.Fits(s.outputType) {
		s.Unsendable++
	}
	kind := reasonKind(l.Status, l.Reason)
	r := s.byKind[kind]
	if r == nil {
		if len(s.byKind) >= summaryReasons {
			s.Others++
			return
		}
		r = &ReasonSummary{Status: l.Status, First: l.Time}
		s.byKind[kind] = r
	}
	r.Count++
	r.Reason, r.Last = cut(l.Reason, maxReasonLen), l.Time
	if len(r.Samples) == summarySamples {
		r.Samples = append(r.Samples[:0], r.Samples[1:]...)
	}
	r.Samples = append(r.Samples, Sample{l.Time, l.Key, l.Position, cut(l.Reason, maxReasonLen),
		cut(l.Record, sampleBytes)})
}
