package receiver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ingest stores of a request what Loki would, and answers as it does: its distributor looks at
// every entry and passes on the valid ones, then its ingester takes them stream by stream, and
// remembers the error of the last stream alone.
func (p *push) ingest(keep func(i int) bool) reply {
	limits := &p.loki.config.Limits
	if until, err := time.Parse(time.RFC3339, limits.BlockedUntil); err == nil && time.Now().Before(until) {
		return text(limits.BlockedStatus, fmt.Sprintf("ingestion blocked for user 'fake' until '%s' with status "+
			"code '%d'",
			until.Format(time.RFC3339), limits.BlockedStatus))
	}
	if len(p.streams) == 0 {
		return text(http.StatusUnprocessableEntity, "error at least one valid stream is required for ingestion")
	}
	valid, said := p.validate(keep)
	lines, bytes := 0, 0
	for _, s := range valid {
		lines += len(s.entries)
		for i := range s.entries {
			bytes += s.entries[i].size()
		}
	}
	const mega = 1 << 20
	if lines > 0 {
		p.to.mu.Lock()
		allowed := p.to.rate.allow(bytes, limits.RateMB*mega, limits.BurstMB*mega)
		p.to.mu.Unlock()
		if !allowed {
			return text(http.StatusTooManyRequests,
				fmt.Sprintf("ingestion rate limit exceeded for user fake (limit: %d bytes/sec) "+
					"while attempting to ingest '%d' lines totaling '%d' bytes, reduce log volume or contact "+
					"your Loki administrator "+
					"to see if the limit can be increased", int(limits.RateMB*mega), lines, bytes))
		}
	}
	if p.bytes > mostBytes {
		return text(http.StatusInternalServerError,
			fmt.Sprintf("rpc error: code = ResourceExhausted desc = grpc: received message "+
				"larger than max (%d vs. %d)", p.bytes, mostBytes))
	}
	answer := reply{status: http.StatusNoContent}
	for i := range valid {
		answer = p.append(&valid[i]) // the answer to one before is lost
	}
	if answer.status == http.StatusNoContent && len(said) > 0 {
		return text(http.StatusBadRequest, grouped(said))
	}
	return answer
}

func (e *entry) size() int {
	n := len(e.line)
	for _, m := range e.metadata {
		n += len(m.name) + len(m.value)
	}
	return n
}

// validate returns what the distributor passes on, and what it says of the rest.
func (p *push) validate(keep func(i int) bool) (valid []pushed, said []string) {
	i := 0
	for _, s := range p.streams {
		entries := s.entries[:0:0]
		for k := range s.entries {
			if keep(i) {
				entries = append(entries, s.entries[k])
			}
			i++
		}
		s.entries = entries
		s.set = withService(s.set)
		s.labels = textOf(s.set)
		if why := p.loki.config.Limits.labels(&s); why != "" {
			said = append(said, why)
			continue
		}
		s.entries = slices.DeleteFunc(s.entries, func(e entry) bool {
			why := p.loki.config.Limits.entry(&s, &e)
			if why != "" {
				said = append(said, why)
			}
			return why != ""
		})
		if len(s.entries) > 0 {
			valid = append(valid, s)
		}
	}
	return valid, said
}

// services are the labels that service_name is made of, the first that there is.
var services = []string{"service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container",
	"container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name"}

const serviceName = "service_name"

func withService(set []label) []label {
	value := func(name string) string {
		for _, l := range set {
			if l.name == name {
				return l.value
			}
		}
		return ""
	}
	if len(set) == 0 || value(serviceName) != "" {
		return set
	}
	found := "unknown_service"
	for _, name := range services {
		if v := value(name); v != "" {
			found = v
			break
		}
	}
	set = append(slices.Clone(set), label{serviceName, found})
	slices.SortFunc(set, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return set
}

func textOf(set []label) string {
	pairs := make([]string, len(set))
	for i, l := range set {
		pairs[i] = fmt.Sprintf("%s=%q", l.name, l.value)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

func (l *LokiLimits) labels(s *pushed) (why string) {
	named := len(s.set)
	if slices.ContainsFunc(s.set, func(l label) bool { return l.name == serviceName }) {
		named--
	}
	if named > l.Labels {
		return fmt.Sprintf("entry for stream '%s' has %d label names; limit %d", s.labels, named, l.Labels)
	}
	for _, one := range s.set {
		switch {
		case len(one.name) > l.LabelName:
			return fmt.Sprintf("stream '%s' has label name too long: '%s'", s.labels, one.name)
		case len(one.value) > l.LabelValue:
			return fmt.Sprintf("stream '%s' has label value too long: '%s'", s.labels, one.value)
		}
	}
	return ""
}

func (l *LokiLimits) entry(s *pushed, e *entry) (why string) {
	now, at := time.Now(), time.Unix(0, e.time)
	oldest := now.Add(-time.Duration(l.MaxAge))
	metadata := e.size() - len(e.line)
	const ask = "or contact your Loki administrator to "
	switch {
	case l.RejectOld && at.Before(oldest):
		return fmt.Sprintf("entry for stream '%s' has timestamp too old: %s, oldest acceptable timestamp is: %s",
			s.labels, at.UTC().Format(time.RFC3339), oldest.UTC().Format(time.RFC3339))
	case at.After(now.Add(time.Duration(l.MaxFuture))):
		return fmt.Sprintf("entry for stream '%s' has timestamp too new: %s", s.labels, at.UTC().Format(time.RFC3339))
	case len(e.line) > int(l.Line):
		return fmt.Sprintf("max entry size '%d' bytes exceeded for stream '%s' while adding an entry with "+
			"length '%d' bytes",
			l.Line, s.labels, len(e.line))
	case len(e.metadata) > 0 && !l.Metadata:
		return fmt.Sprintf("stream '%s' includes structured metadata, but this feature is disallowed. Please see "+
			"`limits_config.allow_structured_metadata` "+ask+"enable it", s.labels)
	case metadata > int(l.MetadataSize):
		return fmt.Sprintf("stream '%s' has structured metadata too large: '%d' bytes, limit: '%d' bytes. Please see "+
			"`limits_config.max_structured_metadata_size` "+ask+"increase it", s.labels, metadata, l.MetadataSize)
	case len(e.metadata) > l.MetadataCount:
		return fmt.Sprintf("stream '%s' has too many structured metadata labels: '%d', limit: '%d'. Please see "+
			"`limits_config.max_structured_metadata_entries_count` "+ask+
			"increase it", s.labels, len(e.metadata), l.MetadataCount)
	}
	return ""
}

// grouped joins what a distributor says, equal words counted.
func grouped(said []string) string {
	counts := map[string]int{}
	var order, all []string
	for _, why := range said {
		if counts[why]++; counts[why] == 1 {
			order = append(order, why)
		}
	}
	for _, why := range order {
		if n := counts[why]; n > 1 {
			why = fmt.Sprintf("%d errors like: %s", n, why)
		}
		all = append(all, why)
	}
	return strings.Join(all, "; ")
}

// append gives a stream's entries to the ingester. Over its rate, the stream is rejected whole.
func (p *push) append(s *pushed) reply {
	limits := &p.loki.config.Limits
	if known, all := p.to.known(s.labels); !known && all >= limits.Streams {
		return text(http.StatusTooManyRequests, fmt.Sprintf("maximum active stream limit exceeded when trying "+
			"to create stream %s, "+
			"reduce the number of active streams (reduce labels or reduce label values), or contact your Loki "+
			"administrator to see "+
			"if the limit can be increased, user: 'fake'", s.labels))
	}
	to := p.to.stream(s.labels, s.set)
	taken, behind, cutoff := p.inTime(to, s)
	taken, over := p.withinRate(to, taken)
	for i := range taken {
		p.keep(to, &taken[i])
	}
	switch {
	case len(over) > 0:
		return ignored(http.StatusTooManyRequests, s, over, func(e *entry) string {
			return fmt.Sprintf("Per stream rate limit exceeded (limit: %s/sec) while attempting to ingest for "+
				"stream '%s' totaling %dB, "+
				"consider splitting a stream via additional labels or contact your Loki administrator to see if "+
				"the limit can be "+
				"increased", sizeText(limits.StreamRate), s.labels, e.size())
		})
	case len(behind) == 0:
		return reply{status: http.StatusNoContent}
	}
	return ignored(http.StatusBadRequest, s, behind, func(e *entry) string {
		return fmt.Sprintf("entry too far behind, entry timestamp is: %s, oldest acceptable timestamp is: %s",
			time.Unix(0, e.time).UTC().Format(time.RFC3339), time.Unix(0, cutoff).UTC().Format(time.RFC3339))
	})
}

// inTime separates the entries that are too far behind their stream's newest, which is before the
// cutoff.
func (p *push) inTime(to *stream, s *pushed) (taken, behind []entry, cutoff int64) {
	age := int64(p.loki.config.Ingester.MaxChunkAge) / 2
	newest := to.newest
	for _, e := range s.entries {
		if newest != 0 && e.time < newest-age {
			cutoff, behind = newest-age, append(behind, e)
			continue
		}
		newest = max(newest, e.time)
		taken = append(taken, e)
	}
	return taken, behind, cutoff
}

// withinRate separates the entries that are over their stream's rate. Loki shards a stream by
// default that it knows to be busy, and takes each push as a whole then; else entry by entry.
func (p *push) withinRate(to *stream, entries []entry) (taken, over []entry) {
	p.to.mu.Lock()
	defer p.to.mu.Unlock()
	limits := &p.loki.config.Limits
	rate, burst := float64(limits.StreamRate), float64(limits.StreamBurst)
	if limits.Shard.Enabled {
		bytes := 0
		for i := range entries {
			bytes += entries[i].size()
		}
		if to.busy {
			shards := 1 + bytes/int(limits.StreamBurst)
			rate, burst = rate*float64(shards), burst*float64(shards)
		}
		to.busy = true
		if to.rate.allow(bytes, rate, burst) {
			return entries, nil
		}
		return nil, entries
	}
	for i := range entries {
		if to.rate.allow(entries[i].size(), rate, burst) {
			taken = append(taken, entries[i])
			continue
		}
		over = append(over, entries[i])
	}
	return taken, over
}

func sizeText(s size) string {
	switch {
	case s >= 1<<20 && s%(1<<20) == 0:
		return fmt.Sprintf("%dMB", s>>20)
	case s >= 1<<10 && s%(1<<10) == 0:
		return fmt.Sprintf("%dKB", s>>10)
	}
	return fmt.Sprintf("%dB", s)
}

// ignored words which entries of a stream were not stored, of which it names ten.
func ignored(status int, s *pushed, entries []entry, why func(*entry) string) reply {
	var said strings.Builder
	for i := range entries[:min(len(entries), mostNamed)] {
		fmt.Fprintf(&said, "entry with timestamp %s ignored, reason: '%s',\n", time.Unix(0, entries[i].time).UTC(),
			why(&entries[i]))
	}
	fmt.Fprintf(&said, "user 'fake', total ignored: %d out of %d for stream: %s", len(entries), len(s.entries),
		s.labels)
	return text(status, said.String())
}
