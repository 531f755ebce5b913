package secrets

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// A document is what is at one path, with all of its fields.
type document struct {
	text   string                     // all of it, where a source has such
	fields map[string]json.RawMessage // nil where it has none
	// lasts is how long it is valid, 0 for as long as nobody changes it; leaseID is what is
	// renewed.
	lasts     time.Duration
	leaseID   string
	renewable bool
	login     int // by which a lease was had
}

// get returns a field, or all of it where that is empty.
func (d *document) get(field string) (string, error) {
	if field == "" {
		return d.text, nil
	}
	raw, ok := d.fields[field]
	if !ok {
		return "", fmt.Errorf("has no field %q%s", field, d.names())
	}
	text, ok := textOf(raw)
	if !ok {
		return "", fmt.Errorf("has no text in its field %q", field)
	}
	return text, nil
}

func (d *document) names() string {
	switch {
	case d.fields == nil:
		return ", as it is not a JSON object; leave out the # and what is behind it"
	case len(d.fields) == 0 || len(d.fields) > 20:
		return ""
	}
	return "; it has " + strings.Join(slices.Sorted(maps.Keys(d.fields)), ", ")
}

// A source reads documents.
type source interface {
	read(ctx context.Context, path string) (*document, error)
	// due returns when the source needs a request of its own; zero for never.
	due() time.Time
}

// Options of a Store.
type Options struct {
	LookupEnv func(string) (string, bool)
	Now       func() time.Time
	// Log is told of what cannot be read again, and that it can.
	Log *slog.Logger
}

// A Store has the secrets that a config names. It is safe for concurrent use.
type Store struct {
	env func(string) string
	now func() time.Time
	log *slog.Logger

	mu       sync.Mutex
	settings Settings
	sources  map[string]source
	kept     map[location]*kept
}

// A location is where a document is.
type location struct{ source, path string }

// kept is a document that was read.
type kept struct {
	*document
	until  time.Time // when its lease ends; zero where it has none
	due    time.Time // when it is to be read or renewed
	failed string    // why it could not be, the last time
}

// retryAfter is when what could not be read is tried again.
const retryAfter = 15 * time.Second

// New returns an empty store.
func New(o Options) *Store {
	return &Store{now: o.Now, log: o.Log, env: func(name string) string {
		value, _ := o.LookupEnv(name)
		return value
	}}
}

// Get returns a secret, from where the settings say. It reads what it does not have. An error that
// is an Unavailable may pass.
func (s *Store) Get(ctx context.Context, settings Settings, ref Ref) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources == nil || !reflect.DeepEqual(s.settings, settings) {
		s.settings, s.sources, s.kept = settings, map[string]source{}, map[location]*kept{}
	}
	at := location{ref.Source, ref.Path}
	k := s.kept[at]
	if k == nil || k.due.IsZero() {
		var err error
		if k, err = s.fetch(ctx, at, k); err != nil {
			return "", err
		}
	}
	return k.get(ref.Field)
}

// Stale has Get read again what has no lease, as one who asks for a reload expects.
func (s *Store) Stale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kept {
		if k.leaseID == "" {
			k.due = time.Time{}
		}
	}
}

// Keep forgets all but what these references name.
func (s *Store) Keep(refs []Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[location]bool{}
	for _, ref := range refs {
		used[location{ref.Source, ref.Path}] = true
	}
	maps.DeleteFunc(s.kept, func(at location, _ *kept) bool { return !used[at] })
}

// fetch reads a document. One that was read before stays where that fails.
func (s *Store) fetch(ctx context.Context, at location, before *kept) (*kept, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	doc, err := s.readAt(ctx, at)
	if err != nil && before == nil {
		return nil, err
	}
	if err != nil {
		s.failing(at, before, err)
		return before, nil
	}
	k := &kept{document: doc}
	k.due = s.now().Add(s.interval())
	if doc.leaseID != "" {
		s.leased(k, doc.lasts)
	} else if doc.lasts > 0 {
		k.due = s.now().Add(min(doc.lasts, s.interval()))
	}
	if before != nil && before.failed != "" {
		s.log.Info("a secret can be read again", "secret", at.String())
	}
	s.kept[at] = k
	return k, nil
}

func (at location) String() string { return "${" + at.source + ":" + at.path + "}" }

// leased notes how long a lease lasts: at two thirds of that it is renewed.
func (s *Store) leased(k *kept, lasts time.Duration) {
	k.until, k.due = s.now().Add(lasts), s.now().Add(max(lasts*2/3, time.Second))
}

func (s *Store) interval() time.Duration {
	if s.settings.Refresh <= 0 {
		return 5 * time.Minute
	}
	return time.Duration(s.settings.Refresh)
}

// failing notes that a document could not be read again.
func (s *Store) failing(at location, k *kept, err error) {
	k.due = s.now().Add(retryAfter)
	if why := err.Error(); why != k.failed {
		k.failed = why
		s.log.Warn("a secret cannot be read again, and its last value stays", "secret", at.String(), "why", why)
	}
}

func (s *Store) readAt(ctx context.Context, at location) (*document, error) {
	src, err := s.source(at.source)
	if err != nil {
		return nil, err
	}
	return src.read(ctx, at.path)
}

func (s *Store) source(name string) (source, error) {
	if src, made := s.sources[name]; made {
		return src, nil
	}
	var src source
	var err error
	if name == FromVault {
		src, err = newVault(s.settings.Vault, s.env, s.now)
	} else {
		src, err = newAWS(s.settings.AWS, s.env, s.now)
	}
	if err != nil {
		return nil, err
	}
	s.sources[name] = src
	return src, nil
}

// Next returns when Refresh has something to do; zero for never.
func (s *Store) Next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, k := range s.kept {
		sooner(k.due)
		if s.orphaned(k) {
			sooner(s.now())
		}
	}
	if len(s.kept) > 0 {
		for _, src := range s.sources {
			sooner(src.due())
		}
	}
	return next
}

// Refresh reads and renews what is due, or with all set everything, but for leases that are still
// good. It reports
// whether a document has changed, so that the config is to be read again.
func (s *Store) Refresh(ctx context.Context, all bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, k := range maps.Clone(s.kept) {
		if ctx.Err() != nil {
			return changed
		}
		due := !s.now().Before(k.due) || s.orphaned(k)
		if !due && !all || s.extend(ctx, k, due) {
			continue
		}
		now, err := s.fetch(ctx, at, k)
		changed = changed || err == nil && !now.same(k.document)
	}
	for _, src := range s.sources {
		if v, ok := src.(*vault); ok && !v.due().IsZero() && !s.now().Before(v.due()) {
			s.authorize(ctx, v)
		}
	}
	return changed
}

// authorize renews a token that is due though no secret is.
func (s *Store) authorize(ctx context.Context, v *vault) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := v.authorize(ctx)
	if now := s.now(); err != nil || !v.due().IsZero() && !now.Before(v.due()) {
		v.session.renewAt = now.Add(retryAfter)
	}
}

// orphaned reports whether a lease ends with a token that another login has replaced.
func (s *Store) orphaned(k *kept) bool {
	v, ok := s.sources[FromVault].(*vault)
	return ok && k.leaseID != "" && k.login != v.logins && k.failed == ""
}

// extend renews a lease, and reports whether it lasts long enough for now. One that is due and
// comes to its end for good is not renewed any more: there it is time to read anew.
func (s *Store) extend(ctx context.Context, k *kept, due bool) bool {
	v, ok := s.sources[FromVault].(*vault)
	if !ok || k.leaseID == "" || !k.renewable || s.orphaned(k) {
		return false
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	lasts, err := v.renew(ctx, k.document)
	if err != nil || due && s.now().Add(lasts).Before(k.until.Add(k.lasts/3)) {
		return false
	}
	s.leased(k, lasts)
	k.failed = ""
	return true
}

func (d *document) same(other *document) bool {
	return d.text == other.text && maps.EqualFunc(d.fields, other.fields, func(a, b json.RawMessage) bool {
		return string(a) == string(b)
	})
}

// Failing returns why secrets cannot be read again; nil where all can be.
func (s *Store) Failing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range slices.SortedFunc(maps.Keys(s.kept), func(a, b location) int {
		return strings.Compare(a.String(), b.String())
	}) {
		if k := s.kept[at]; k.failed != "" {
			return fmt.Errorf("%s cannot be read again, and its last value stays: %s", at, k.failed)
		}
	}
	return nil
}
