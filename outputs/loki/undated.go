package loki

import (
	"bytes"
	"context"
	"hash/maphash"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Lines without a time of their own were dated when they were read, and that time
// is not remembered. An audit compares them with all lines that their stream has
// from since on, by their text alone.

const (
	// maxUndated bounds the lines of a stream that are kept for comparison, some 50
	// bytes each.
	maxUndated = 1_000_000
	// farthestBack is where looking for them begins where since is older.
	farthestBack = 30 * 24 * time.Hour
	// comparedBytes is how much of a line is compared, without its time.
	comparedBytes = 400
)

const (
	doubtSince = "it has no time of its own, and may be older than what was looked at"
	doubtMany  = "it has no time of its own, and its stream has too many lines to compare it with all of them"
)

// undatedLines are the lines of one stream, by the hash of their text.
type undatedLines struct {
	times   map[uint64]int // how often each is there, and was not yet found
	repeats map[uint64]int // how often there is the same once more, at the same time
	full    bool           // there are more
	begun   map[event.SourceID]bool
}

func (a *audit) heldUndated(ctx context.Context, body *pipeline.Body, items []int, held []pipeline.Presence) error {
	if len(items) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range items {
		stream := body.Groups[body.Items[i].Group]
		if a.undated[stream] != nil {
			continue
		}
		lines, err := a.fetchLines(ctx, stream)
		if err != nil {
			return err
		}
		a.undated[stream] = lines
	}
	run := 0
	for _, i := range items {
		for run+1 < len(body.Runs) && body.Runs[run+1].First <= i {
			run++
		}
		lines := a.undated[body.Groups[body.Items[i].Group]]
		held[i] = lines.take(a.sumOf(readEntry(body.Item(i)).line), body.Runs[run].Source.ID)
	}
	return nil
}

// take finds a line of a source.
func (l *undatedLines) take(sum uint64, source event.SourceID) pipeline.Presence {
	switch {
	case l.times[sum] > 0:
		l.times[sum]--
		l.begun[source] = true
		repeats := l.repeats[sum]
		delete(l.repeats, sum)
		return pipeline.Presence{Copies: 1 + repeats}
	case l.full:
		return pipeline.Presence{Uncertain: doubtMany}
	case !l.begun[source]:
		return pipeline.Presence{Uncertain: doubtSince}
	}
	return pipeline.Presence{}
}

// fetchLines fetches a stream from since until now.
func (a *audit) fetchLines(ctx context.Context, stream string) (*undatedLines, error) {
	s := &search{querier: a.output.querier, labels: labelsOf(stream)}
	s.selector = selectorOf(s.labels, a.output.labels)
	lines := &undatedLines{times: map[uint64]int{}, repeats: map[uint64]int{}, begun: map[event.SourceID]bool{}}
	now := a.output.standings.now().UnixNano()
	from := max(a.since.UnixNano(), now-int64(farthestBack))
	for kept := 0; from < now; from += longestSearch {
		w := around(from, min(from+longestSearch, now)-1)
		n, err := s.count(ctx, w)
		if err != nil {
			return nil, err
		}
		if kept += n; kept > maxUndated {
			lines.full = true
			break
		}
		if err := a.fetchDay(ctx, s, w, lines); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// fetchDay adds what a stream has in a window.
func (a *audit) fetchDay(ctx context.Context, s *search, w window, lines *undatedLines) error {
	var sums []uint64
	t := &tally{search: s, fine: true, itemOf: func(e *seen, _ map[int]bool) int {
		if !e.ours {
			return -1
		}
		_, head, _ := bytes.Cut([]byte(e.line), []byte(" "))
		sums = append(sums, a.sum(head))
		return len(sums) - 1
	}}
	if err := t.run(ctx, w, surePage); err != nil {
		return err
	}
	for _, shown := range t.shown {
		if shown.item >= 0 {
			lines.times[sums[shown.item]]++
		}
	}
	for item, n := range t.repeats {
		lines.repeats[sums[item]] += n
	}
	return nil
}

// sumOf is the hash of a line of ours, as it would come back from Loki.
func (a *audit) sumOf(line []byte) uint64 {
	_, head, _ := bytes.Cut(appendHead(nil, line), []byte(" "))
	return a.sum(head)
}

// sum is the hash of the head of a line without the time that stands in it.
func (a *audit) sum(head []byte) uint64 {
	if !a.output.raw {
		head = withoutTime(head)
	}
	return maphash.Bytes(a.seed, cutText(asShown(head), comparedBytes))
}

// withoutTime takes the time off a record in JSON, which it begins with under a name
// that depends on the schema.
func withoutTime(head []byte) []byte {
	name, rest, ok := bytes.Cut(bytes.TrimPrefix(head, []byte(`{"`)), []byte(`":"`))
	if _, after, closed := bytes.Cut(rest, []byte(`"`)); ok && closed && bytes.HasSuffix(bytes.ToLower(name), []byte("timestamp")) {
		return after
	}
	return head
}
