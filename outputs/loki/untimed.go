package loki

import (
	"bytes"
	"context"
	"hash/maphash"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Lines without a time of their own got the time of reading, which is not remembered. An audit
// compares them by text with all lines of their stream from since on.

const (
	// maxUntimed bounds the lines of a stream kept for comparison, some 50 bytes each.
	maxUntimed = 1_000_000
	// maxUntimedAge bounds how far back they are searched.
	maxUntimedAge = 30 * 24 * time.Hour
	// comparedBytes is how much of a line is compared.
	comparedBytes = 400
)

const (
	reasonSince   = "it has no time of its own, and may be older than the range searched"
	reasonTooMany = "it has no time of its own, and its stream has too many lines to compare it with all of them"
)

// untimedLines are the lines of one stream, by the hash of their text.
type untimedLines struct {
	times      map[uint64]int // copies not yet matched
	duplicates map[uint64]int // further copies at the same time
	full       bool           // not all are kept
	started    map[event.SourceID]bool
}

func (a *audit) checkUntimed(ctx context.Context, body *pipeline.Body, items []int,
	presence []pipeline.Presence) error {
	if len(items) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range items {
		stream := body.Groups[body.Items[i].Group]
		if a.untimed[stream] != nil {
			continue
		}
		lines, err := a.fetchLines(ctx, stream)
		if err != nil {
			return err
		}
		a.untimed[stream] = lines
	}
	for _, i := range items {
		lines := a.untimed[body.Groups[body.Items[i].Group]]
		presence[i] = lines.match(a.hashOf(readEntry(body.Item(i)).line), body.SourceOf(i).ID)
	}
	return nil
}

// match returns the presence of a line of a source.
func (l *untimedLines) match(sum uint64, source event.SourceID) pipeline.Presence {
	switch {
	case l.times[sum] > 0:
		l.times[sum]--
		l.started[source] = true
		copies := l.duplicates[sum]
		delete(l.duplicates, sum)
		return pipeline.Presence{Copies: 1 + copies}
	case l.full:
		return pipeline.Presence{Uncertain: reasonTooMany}
	case !l.started[source]:
		return pipeline.Presence{Uncertain: reasonSince}
	}
	return pipeline.Presence{}
}

// fetchLines returns what a stream has from since until now.
func (a *audit) fetchLines(ctx context.Context, stream string) (*untimedLines, error) {
	s := &search{querier: a.output.querier, labels: labelsOf(stream)}
	s.selector = selectorOf(s.labels, a.output.labels)
	lines := &untimedLines{times: map[uint64]int{}, duplicates: map[uint64]int{}, started: map[event.SourceID]bool{}}
	now := a.output.health.now().UnixNano()
	from := max(a.since.UnixNano(), now-int64(maxUntimedAge))
	for kept := 0; from < now; from += longestSearch {
		w := windowAround(from, min(from+longestSearch, now)-1)
		n, err := s.count(ctx, w)
		if err != nil {
			return nil, err
		}
		if kept += n; kept > maxUntimed {
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
func (a *audit) fetchDay(ctx context.Context, s *search, w window, lines *untimedLines) error {
	var sums []uint64
	t := &tally{search: s, perEntry: true, itemOf: func(e *shownEntry, _ map[int]bool) int {
		if !e.ours {
			return -1
		}
		_, head, _ := bytes.Cut([]byte(e.line), []byte(" "))
		sums = append(sums, a.hash(head))
		return len(sums) - 1
	}}
	if err := t.run(ctx, w, safePage); err != nil {
		return err
	}
	for _, shown := range t.shown {
		if shown.item >= 0 {
			lines.times[sums[shown.item]]++
		}
	}
	for item, n := range t.duplicates {
		lines.duplicates[sums[item]] += n
	}
	return nil
}

// hashOf hashes a line as it would come back from Loki.
func (a *audit) hashOf(line []byte) uint64 {
	_, head, _ := bytes.Cut(appendHead(nil, line), []byte(" "))
	return a.hash(head)
}

// hash hashes the head of a line without the time in it.
func (a *audit) hash(text []byte) uint64 {
	if !a.output.raw {
		text = withoutTime(text)
	}
	return maphash.Bytes(a.seed, event.TruncateText(asJSONText(text), comparedBytes))
}

// withoutTime removes the time at the start of a record in JSON, whose name depends on the schema.
func withoutTime(head []byte) []byte {
	name, rest, ok := bytes.Cut(bytes.TrimPrefix(head, []byte(`{"`)), []byte(`":"`))
	if _, after, closed := bytes.Cut(rest, []byte(`"`)); ok && closed &&
		bytes.HasSuffix(bytes.ToLower(name), []byte("timestamp")) {
		return after
	}
	return head
}
