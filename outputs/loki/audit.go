package loki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Auditor = (*Output)(nil)

type audit struct {
	output *Output
	since  time.Time
	seed   maphash.Seed

	mu      sync.Mutex
	untimed map[string]*untimedLines // by stream
	claims  map[uint64]claimant      // by stream, time and line
}

// Audit implements pipeline.Auditor.
func (o *Output) Audit(since time.Time) pipeline.Audit {
	return &audit{output: o, since: since, seed: maphash.MakeSeed(), untimed: map[string]*untimedLines{},
		claims: map[uint64]claimant{}}
}

const (
	reasonReplaced = "another line is stored at its time: it was sent with other settings, or ended by a timeout"
	reasonLookback = "it is older than what Loki shows before it has stored it"
)

// Presence implements pipeline.Audit. It fetches what each stream holds in the time range of the
// body and counts it, which shows duplicates that log queries hide.
func (a *audit) Presence(ctx context.Context, body *pipeline.Body, presence []pipeline.Presence) error {
	if a.output.querier == nil {
		return fmt.Errorf("reconcile is off: %w", pipeline.ErrUnknowable)
	}
	var timed, untimed []int
	for i := range body.Items {
		if at := timeOf(body.Item(i)); at >= 0 && at < pipeline.UntimedUntil {
			untimed = append(untimed, i)
		} else {
			timed = append(timed, i)
		}
	}
	err := a.checkTimed(ctx, body, timed, presence)
	if err == nil {
		err = a.checkUntimed(ctx, body, untimed, presence)
	}
	var rejected *queryRejected
	if errors.As(err, &rejected) {
		return fmt.Errorf("%w: %w; let longshore query, at url or at query.url", pipeline.ErrUnknowable, rejected)
	}
	return err
}

func (a *audit) checkTimed(ctx context.Context, body *pipeline.Body, items []int, presence []pipeline.Presence) error {
	if len(items) == 0 {
		return nil
	}
	part := body
	if len(items) < len(body.Items) {
		part = subset(body, items)
	}
	found, untold := make([]pipeline.Presence, len(items)), map[int]int64{}
	for _, s := range a.output.searches(part, make([]bool, len(items))) {
		d := &timedTally{tally: tally{search: s}, presence: found, untold: untold}
		if err := d.run(ctx, a.output.health.now()); err != nil {
			return err
		}
	}
	if err := a.checkMoved(ctx, part, found); err != nil {
		return err
	}
	for k, i := range items {
		if at, is := untold[k]; is {
			a.claim(body, i, at, &found[k])
		}
		presence[i] = found[k]
	}
	return nil
}

// checkMoved adds the copies of items that were ahead of Loki's clock, which have other times.
func (a *audit) checkMoved(ctx context.Context, body *pipeline.Body, found []pipeline.Presence) error {
	moved, items := a.output.movedForms(body, func(int) bool { return true })
	if moved == nil {
		return nil
	}
	copies := make([]pipeline.Presence, len(items))
	for _, s := range a.output.searches(moved, make([]bool, len(items))) {
		d := &timedTally{tally: tally{search: s}, presence: copies, untold: map[int]int64{}}
		if err := d.run(ctx, a.output.health.now()); err != nil {
			return err
		}
	}
	for k, i := range items {
		found[i].Copies += copies[k].Copies
	}
	return nil
}

// claim takes an entry that does not say whose it is for a record. It is not there for another one,
// of a source that shares the stream.
func (a *audit) claim(body *pipeline.Body, i int, at int64, p *pipeline.Presence) {
	if body.Sources == nil || p.Copies == 0 {
		return
	}
	item := body.Items[i]
	key := maphash.String(a.seed, body.Groups[item.Group]) ^ uint64(at) ^
		hashText(a.seed, readEntry(body.Item(i)).line)*31
	mine := claimant{uint64(body.SourceOf(i).ID), item.Pos}
	a.mu.Lock()
	defer a.mu.Unlock()
	first, claimed := a.claims[key]
	switch {
	case claimed && first != mine:
		p.Copies--
	case !claimed && len(a.claims) < maxClaims:
		a.claims[key] = mine
	}
}

// A tally counts how often each wanted entry is stored.
type tally struct {
	*search
	// itemOf returns the item that an entry is, preferably one not yet taken; -1 for none.
	itemOf     func(e *shownEntry, taken map[int]bool) int
	perEntry   bool        // locate the duplicates of each entry, not only of some
	shown      []shownItem // by time
	duplicates map[int]int // by item
	budget     int         // of queries to locate duplicates
}

// A shownItem is an entry that Loki returned, and the item it is; -1 for none.
type shownItem struct {
	at   int64
	item int
}

const (
	millisecond = int64(time.Millisecond)
	// safePage entries fit into an answer, however long they are.
	safePage = 500
	// maxExtraQueries bounds the queries that locate duplicates in one run.
	maxExtraQueries = 1000
)

// windowAround returns the whole milliseconds that cover a time range.
func windowAround(from, to int64) window {
	from = floorMillisecond(from)
	return window{from, (floorMillisecond(to)-from)/millisecond + 1}
}

func floorMillisecond(at int64) int64 { return at - ((at%millisecond)+millisecond)%millisecond }

// run fetches and counts what is in a window of whole milliseconds.
func (t *tally) run(ctx context.Context, w window, page int) error {
	n, err := t.count(ctx, w)
	if err != nil || n == 0 {
		return err
	}
	t.budget, t.duplicates = maxExtraQueries, map[int]int{}
	if t.shown, err = t.fetch(ctx, w, min(n+1, page)); err != nil {
		return err
	}
	return t.split(ctx, w, n)
}

// fetch returns all entries that Loki returns for a window of whole milliseconds.
func (t *tally) fetch(ctx context.Context, w window, limit int) ([]shownItem, error) {
	var all []shownItem
	for rest := w; rest.from < w.to(); {
		limit = min(limit, t.querier.entryLimit())
		rest.milliseconds = (w.to()-rest.from-1)/millisecond + 1
		page, err := t.ask(ctx, rest, limit)
		if limit > 1 && (errors.Is(err, errTooLarge) || t.timedOut(ctx, err)) {
			limit /= 2
			continue
		}
		if err != nil {
			return nil, tooLarge(err)
		}
		if len(page) < limit {
			return t.match(all, page, w.to()), nil
		}
		last := page[len(page)-1].at
		next := last
		if page[0].at == last {
			next++ // it has no other instant
		}
		all = t.match(all, page, next)
		rest.from = next
	}
	return all, nil
}

// match appends the entries of a page before a time.
func (t *tally) match(all []shownItem, page []shownEntry, before int64) []shownItem {
	taken := map[int]bool{}
	for _, e := range page {
		if e.at >= before {
			break
		}
		all = append(all, shownItem{e.at, t.itemOf(&e, taken)})
	}
	return all
}

// split finds the entries of which n-len(shown) duplicates are hidden, by bisection: once all
// entries of a part are wanted, the duplicates are theirs. Within one millisecond they are
// attributed to the earliest entry, so that a search for the others does not count them too.
func (t *tally) split(ctx context.Context, w window, n int) error {
	shown := t.inside(w)
	if n <= len(shown) {
		return nil
	}
	if len(shown) <= safePage && t.budget > 0 {
		t.budget--
		again, err := t.fetch(ctx, w, safePage)
		if err != nil {
			return err
		}
		if len(again) > len(shown) { // an answer was too large, and came empty
			t.replace(w, again)
			if shown = t.inside(w); n <= len(shown) {
				return nil
			}
		}
		if first, all := onlyWanted(shown); all && !t.perEntry {
			t.duplicates[first] += n - len(shown)
			return nil
		}
	}
	if w.milliseconds == 1 || t.budget <= 0 {
		if len(shown) > 0 && shown[0].item >= 0 {
			t.duplicates[shown[0].item] += n - len(shown)
		}
		return nil
	}
	t.budget--
	left := window{w.from, w.milliseconds / 2}
	right := window{left.to(), w.milliseconds - left.milliseconds}
	k, err := t.count(ctx, left)
	if err != nil {
		return err
	}
	if err := t.split(ctx, left, k); err != nil {
		return err
	}
	return t.split(ctx, right, n-k)
}

func (t *tally) inside(w window) []shownItem {
	from, to := t.indexOf(w.from), t.indexOf(w.to())
	return t.shown[from:to]
}

func (t *tally) indexOf(at int64) int {
	i, _ := slices.BinarySearchFunc(t.shown, at, func(s shownItem, at int64) int { return cmp.Compare(s.at, at) })
	return i
}

// replace replaces what was returned for a window by a second answer.
func (t *tally) replace(w window, again []shownItem) {
	t.shown = slices.Replace(t.shown, t.indexOf(w.from), t.indexOf(w.to()), again...)
}

// onlyWanted reports whether all entries are wanted, and returns the first item.
func onlyWanted(shown []shownItem) (first int, all bool) {
	if len(shown) == 0 {
		return 0, false
	}
	return shown[0].item, !slices.ContainsFunc(shown, func(s shownItem) bool { return s.item < 0 })
}

// A timedTally counts items that have times of their own.
type timedTally struct {
	tally
	presence []pipeline.Presence // of the body's items
	untold   map[int]int64       // the times of items that were found and may be another source's
}

func (d *timedTally) run(ctx context.Context, now time.Time) error {
	d.itemOf = d.identify
	w := windowAround(d.wanted[0].at, d.wanted[len(d.wanted)-1].at)
	n, err := d.count(ctx, w)
	if err != nil {
		return err
	}
	if k := d.middle(); k > 0 && n > sparse*len(d.wanted)+safePage {
		return d.searchHalves(ctx, k, now)
	}
	if err := d.tally.run(ctx, w, max(1, pageBytes/max(1, d.size/len(d.wanted)))); err != nil {
		return err
	}
	for _, s := range d.shown {
		if s.item >= 0 {
			d.presence[s.item].Copies++
		}
	}
	for item, n := range d.duplicates {
		d.presence[item].Copies += n
	}
	d.markUncertain(ctx, now)
	return nil
}

// sparse is how many other entries there may be for each wanted one.
const sparse = 4

// middle returns the index of a wanted entry, near the middle, whose time differs from the one
// before; 0 if there is none.
func (d *timedTally) middle() int {
	for k := len(d.wanted) / 2; k > 0; k-- {
		if d.wanted[k].at > d.wanted[k-1].at {
			return k
		}
	}
	return 0
}

// searchHalves searches two windows, for wanted entries that are few among many others.
func (d *timedTally) searchHalves(ctx context.Context, k int, now time.Time) error {
	for _, wanted := range [][]wantedEntry{d.wanted[:k], d.wanted[k:]} {
		part := *d.search
		part.wanted, part.size = wanted, d.size/len(d.wanted)*len(wanted)
		half := &timedTally{tally: tally{search: &part}, presence: d.presence, untold: d.untold}
		if err := half.run(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

// identify returns the item that an entry is. An entry of our stream that is none of the items at
// its time may be one of them with another text.
func (d *timedTally) identify(e *shownEntry, taken map[int]bool) int {
	if !e.ours {
		return -1
	}
	sum, item, sure := hashText(d.seed, []byte(e.line)), -1, true
	k, _ := slices.BinarySearchFunc(d.wanted, e.at, func(x wantedEntry, at int64) int { return cmp.Compare(x.at, at) })
	for ; k < len(d.wanted) && d.wanted[k].at == e.at; k++ {
		x := d.wanted[k]
		same, told := sameSource(d.body.Item(x.item), e.metadata)
		if !same {
			continue
		}
		if x.hash != sum {
			d.presence[x.item].Uncertain = reasonReplaced
			continue
		}
		if item, sure = x.item, told; !taken[item] {
			break
		}
	}
	if item >= 0 {
		taken[item] = true
	}
	if item >= 0 && !sure {
		d.untold[item] = e.at
	}
	return item
}

// markUncertain marks entries that were not found and are so old that Loki may not return them yet.
// Anything before an entry that it returned would be returned too: a stream's chunks are stored in
// order.
func (d *timedTally) markUncertain(ctx context.Context, now time.Time) {
	last := int64(math.MinInt64)
	if n := len(d.shown); n > 0 {
		last = d.shown[n-1].at
	}
	limit := defaultLookback
	for _, x := range d.wanted {
		h := &d.presence[x.item]
		if h.Copies > 0 || x.unlikely || x.at <= last || x.at > now.Add(lookbackMargin-limit).UnixNano() {
			continue
		}
		if limit == defaultLookback {
			limit = d.querier.maxLookback(ctx)
		}
		if limit == unlimitedLookback {
			return
		}
		if h.Uncertain == "" && x.at <= now.Add(lookbackMargin-limit).UnixNano() {
			h.Uncertain = reasonLookback
		}
	}
}
