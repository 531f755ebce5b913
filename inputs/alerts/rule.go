package alerts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/condition"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	bucketsInWindow = 60
	// maxBuckets is how many a group keeps that are not looked at yet.
	maxBuckets = 16384
	// maxValue bounds a value by which records are grouped, maxSample what is shown of one.
	maxValue, maxSample = 256, 256
)

// never is the number of a bucket that there is not.
const never = math.MinInt64

// A rule is an alert as it is evaluated. What follows done is guarded by engine.mu.
type rule struct {
	name  string
	alert pipeline.Alert
	when  *condition.Condition // nil: all records
	text  event.Template       // empty: the default
	quiet []silence
	step  int64  // length of a bucket, in nanoseconds
	n     int64  // buckets in a window
	print string // of what counts; where it has changed, counts are begun anew
	keeps int    // buckets of a group

	done    int64 // the last bucket that was looked at
	groups  map[string]*group
	crowded bool // it was said that there are too many groups
}

// newRule returns an error only for settings that Check rejects.
func newRule(name string, a pipeline.Alert) (*rule, error) {
	r := &rule{name: name, alert: a, groups: map[string]*group{}, done: never, keeps: maxBuckets}
	if a.AtLeast == 0 && a.Below == 0 && a.Unusual.Deviations == 0 {
		r.alert.AtLeast = 1
	}
	r.n = bucketsInWindow
	r.step = int64(time.Second) * max(1, int64(math.Ceil(time.Duration(a.Window).Seconds()/bucketsInWindow)))
	r.n = (int64(a.Window) + r.step - 1) / r.step
	r.print = fmt.Sprint(a.If, "\x00", strings.Join(a.By, "\x00"), "\x00", a.Window)
	var err error
	if a.If != "" {
		if r.when, err = condition.Compile(a.If); err != nil {
			return nil, fmt.Errorf("alert %s: %w", name, err)
		}
	}
	if r.text, err = parseText(a.Text, a.By); err != nil {
		return nil, fmt.Errorf("alert %s: text %w", name, err)
	}
	for _, s := range a.Silences {
		made, path, err := newSilence(s)
		if err != nil {
			return nil, fmt.Errorf("alert %s: silences: %s %w", name, path, err)
		}
		r.quiet = append(r.quiet, made)
	}
	return r, nil
}

// learns reports whether the threshold is learned.
func (r *rule) learns() bool { return r.alert.Unusual.Deviations > 0 }

// risesOnly reports whether more records can only make it ring: then it need not be known that all
// of a window are there.
func (r *rule) risesOnly() bool {
	return r.alert.Below == 0 && (!r.learns() || r.alert.Unusual.Direction == "more")
}

// bucket returns the number of the bucket of a time.
func (r *rule) bucket(at int64) int64 {
	k := at / r.step
	if at%r.step < 0 {
		k--
	}
	return k
}

// end returns the end of a bucket.
func (r *rule) end(k int64) int64 { return (k + 1) * r.step }

func (r *rule) isSilent(k int64) bool {
	at := time.Unix(0, r.end(k))
	return slices.ContainsFunc(r.quiet, func(s silence) bool { return s.holds(at) })
}

// appendKey appends what groups record i: the values of by, each with a zero byte behind it.
func (r *rule) appendKey(dst []byte, b *event.Batch, i int) []byte {
	for _, name := range r.alert.By {
		start := len(dst)
		dst = b.AppendNamed(dst, i, name)
		if len(dst)-start > maxValue {
			end := start + maxValue
			for end > start && !utf8.RuneStart(dst[end]) {
				end--
			}
			dst = dst[:end]
		}
		if !utf8.Valid(dst[start:]) {
			dst = append(dst[:start], bytes.ToValidUTF8(dst[start:], []byte("\uFFFD"))...)
		}
		for k, c := range dst[start:] {
			if c == 0 {
				dst[start+k] = ' '
			}
		}
		dst = append(dst, 0)
	}
	return dst
}

// keyOf returns the key of a group by the values of by.
func (r *rule) keyOf(values map[string]string) string {
	var key strings.Builder
	for _, name := range r.alert.By {
		key.WriteString(values[name] + "\x00")
	}
	return key.String()
}

// valuesOf returns the values of a group.
func (r *rule) valuesOf(key string) map[string]string {
	if len(r.alert.By) == 0 {
		return nil
	}
	values, parts := map[string]string{}, strings.Split(key, "\x00")
	for i, name := range r.alert.By {
		values[name] = parts[i]
	}
	return values
}

// group returns the group of a key, from a bucket on; nil where there are too many.
func (r *rule) group(key string, k int64) *group {
	g := r.groups[key]
	if g == nil && len(r.groups) < r.alert.MaxGroups {
		g = newGroup(k)
		if r.learns() {
			g.base = newBaseline(k * r.step)
		}
		r.groups[key] = g
	}
	return g
}

// fixedKey returns what a group is known by at destinations, for good.
func fixedKey(host, alert, key string) string {
	sum := sha256.Sum256([]byte(host + "\x00" + alert + "\x00" + key))
	return alert + "/" + hex.EncodeToString(sum[:8])
}

// A group counts the records of a rule that have the same values.
type group struct {
	buckets []bucket // ascending; none is empty
	since   int64    // the bucket from which on all is counted
	last    int64    // the latest bucket with a record
	sample  string   // one of the latest messages
	sampled uint64   // the batch that it is of, see engine.batches
	touched bool     // there are more records since it was last looked at
	base    *baseline

	phase
	decided int64 // what was concluded about it goes up to here
}

type bucket struct {
	k int64
	n uint32
}

// A phase is where a group stands with its alert.
type phase struct {
	firing bool
	from   int64 // the bucket since which the condition holds; never: it does not
	held   int64 // the last one at which it held, while firing
	fired  int64 // when it began to fire
	rung   int64 // when it last rang, while firing; never: it has not
}

func newGroup(k int64) *group {
	return &group{since: k, last: k, phase: phase{from: never, rung: never}, decided: never}
}

// add counts records of a bucket, and forgets the oldest where there are more than it keeps.
func (g *group) add(k int64, n uint32, keeps int) {
	g.last, g.touched = max(g.last, k), true
	i := len(g.buckets)
	for i > 0 && g.buckets[i-1].k >= k {
		i--
	}
	if i < len(g.buckets) && g.buckets[i].k == k {
		g.buckets[i].n += min(n, math.MaxUint32-g.buckets[i].n)
		return
	}
	g.buckets = slices.Insert(g.buckets, i, bucket{k, n})
	if len(g.buckets) > keeps {
		g.buckets = slices.Delete(g.buckets, 0, len(g.buckets)-keeps)
	}
}

// sum counts the records of the buckets in (from, to].
func (g *group) sum(from, to int64) (n int64) {
	i := len(g.buckets)
	if i > 0 && g.buckets[i-1].k > to {
		i = sort.Search(i, func(i int) bool { return g.buckets[i].k > to })
	}
	for i--; i >= 0 && g.buckets[i].k > from; i-- {
		n += int64(g.buckets[i].n)
	}
	return n
}

// trim forgets the buckets up to one.
func (g *group) trim(to int64) {
	n := 0
	for n < len(g.buckets) && g.buckets[n].k <= to {
		n++
	}
	if n > 0 {
		g.buckets = slices.Delete(g.buckets, 0, n)
	}
}

// A finding is what was found of a group at a bucket.
type finding struct {
	holds bool
	count int64
	usual usual // of a learned threshold
}

// find looks at the window that ends with bucket k.
func (r *rule) find(g *group, k int64) finding {
	f := finding{count: g.sum(k-r.n, k)}
	switch {
	case r.learns():
		f.holds = r.isUnusual(g, k, &f)
	case r.alert.Below > 0:
		f.holds = g.since <= k-r.n+1 && f.count < int64(r.alert.Below)
	default:
		f.holds = f.count >= int64(r.alert.AtLeast)
	}
	return f
}

func (r *rule) isUnusual(g *group, k int64, f *finding) bool {
	known := false
	if g.base != nil {
		f.usual, known = g.base.at(r.end(k) - 1)
	}
	if !known || r.end(k)-g.base.Since < int64(r.alert.Unusual.Learn) {
		return false
	}
	away := r.alert.Unusual.Deviations * f.usual.spread
	more := float64(f.count) > f.usual.median+away && f.count >= int64(r.alert.AtLeast)
	fewer := float64(f.count) < f.usual.median-away && g.since <= k-r.n+1
	switch r.alert.Unusual.Direction {
	case directionFewer:
		return fewer
	case directionBoth:
		return more || fewer
	}
	return more
}

// learn takes the window that ends with bucket k for what is usual, if it is one of those.
func (r *rule) learn(g *group, k int64) {
	if g.base == nil || (k+1)%r.n != 0 || g.since > k-r.n+1 {
		return
	}
	every := max(1, int64(time.Hour)/(r.n*r.step)/samplesAnHour)
	if (k+1)/r.n%every == 0 {
		g.base.add(r.end(k)-1, g.sum(k-r.n, k))
	}
}

// What rings.
const (
	noRing   = ""
	firing   = "firing"
	resolved = "resolved"
)

// next moves a phase on to bucket k, and returns what rings.
func (r *rule) next(p *phase, k int64, holds bool) string {
	since := func(from int64) time.Duration { return time.Duration((k - from) * r.step) }
	switch {
	case !p.firing && !holds:
		p.from = never
		return noRing
	case !p.firing:
		if p.from == never {
			p.from = k
		}
		if since(p.from) < time.Duration(r.alert.For) {
			return noRing
		}
		p.firing, p.fired, p.held, p.rung = true, k, k, never
	case holds:
		p.held = k
	case since(p.held) >= time.Duration(r.alert.ResolveAfter):
		return p.resolve()
	}
	again := r.alert.Repeat > 0 && p.rung != never && since(p.rung) >= time.Duration(r.alert.Repeat)
	if p.rung != never && !again || r.isSilent(k) {
		return noRing
	}
	p.rung = k
	return firing
}

// resolve ends what fires. Nobody is told of what has never rung.
func (p *phase) resolve() string {
	rung := p.rung != never
	p.firing, p.from, p.rung = false, never, never
	if rung {
		return resolved
	}
	return noRing
}

// newRules returns the rules of some alerts, in the order of their names.
func newRules(alerts map[string]pipeline.Alert) (rules []*rule, err error) {
	for _, name := range slices.Sorted(maps.Keys(alerts)) {
		r, err := newRule(name, alerts[name])
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// MarshalJSON implements json.Marshaler.
func (b bucket) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{b.k, int64(b.n)}) }

// UnmarshalJSON implements json.Unmarshaler.
func (b *bucket) UnmarshalJSON(text []byte) error {
	var pair [2]int64
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	if pair[1] < 0 || pair[1] > math.MaxUint32 {
		return fmt.Errorf("%d is no count", pair[1])
	}
	b.k, b.n = pair[0], uint32(pair[1])
	return nil
}
