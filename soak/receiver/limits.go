package receiver

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	logproto "github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/gzip"
)

// LokiConfig is as much of Loki's configuration as the imitation follows. What it does not name is
// as by Loki's defaults.
type LokiConfig struct {
	AuthEnabled bool        `yaml:"auth_enabled"`
	Limits      LokiLimits  `yaml:"limits_config"`
	Ingester    ingester    `yaml:"ingester"`
	Querier     querier     `yaml:"querier"`
	Distributor distributor `yaml:"distributor"`
}

// LokiLimits are those of a tenant.
type LokiLimits struct {
	RateMB        float64 `yaml:"ingestion_rate_mb"`
	BurstMB       float64 `yaml:"ingestion_burst_size_mb"`
	StreamRate    size    `yaml:"per_stream_rate_limit"`
	StreamBurst   size    `yaml:"per_stream_rate_limit_burst"`
	Shard         shard   `yaml:"shard_streams"`
	Streams       int     `yaml:"max_global_streams_per_user"`
	Labels        int     `yaml:"max_label_names_per_series"`
	LabelName     int     `yaml:"max_label_name_length"`
	LabelValue    int     `yaml:"max_label_value_length"`
	Line          size    `yaml:"max_line_size"`
	Metadata      bool    `yaml:"allow_structured_metadata"`
	MetadataSize  size    `yaml:"max_structured_metadata_size"`
	MetadataCount int     `yaml:"max_structured_metadata_entries_count"`
	RejectOld     bool    `yaml:"reject_old_samples"`
	MaxAge        period  `yaml:"reject_old_samples_max_age"`
	MaxFuture     period  `yaml:"creation_grace_period"`
	BlockedUntil  string  `yaml:"block_ingestion_until"`
	BlockedStatus int     `yaml:"block_ingestion_status_code"`
	MostEntries   int     `yaml:"max_entries_limit_per_query"`
	MostSeries    int     `yaml:"max_query_series"`
}

type shard struct {
	Enabled bool `yaml:"enabled"`
}

type ingester struct {
	MaxChunkAge period `yaml:"max_chunk_age"`
	LookBack    period `yaml:"query_store_max_look_back_period"`
}

type querier struct {
	IngestersWithin period `yaml:"query_ingesters_within"`
}

type distributor struct {
	MostBytes int `yaml:"max_recv_msg_size"`
}

// size is bytes, as 256KB or 3MB, which are powers of 1024 to Loki; period a duration, or 0.
type (
	size   int
	period time.Duration
)

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (s *size) UnmarshalYAML(text []byte) error {
	word := strings.Trim(strings.TrimSpace(string(text)), `"'`)
	factor := 1
	for i, unit := range []string{"KB", "MB", "GB"} {
		if number, ok := strings.CutSuffix(word, unit); ok {
			word, factor = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.Atoi(strings.TrimSuffix(word, "B"))
	*s = size(n * factor)
	return err
}

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (p *period) UnmarshalYAML(text []byte) error {
	d, err := time.ParseDuration(strings.Trim(strings.TrimSpace(string(text)), `"'`))
	*p = period(d)
	return err
}

// ReadLokiConfig reads a configuration of Loki, made of texts of which the later ones win.
func ReadLokiConfig(texts ...string) (*LokiConfig, error) {
	const mega = 1 << 20
	c := &LokiConfig{
		AuthEnabled: true,
		Limits: LokiLimits{
			RateMB: 4, BurstMB: 6, StreamRate: 3 * mega, StreamBurst: 15 * mega, Shard: shard{Enabled: true},
			Streams: 5000,
			Labels:  15, LabelName: 1024, LabelValue: 2048, Line: 256 << 10,
			Metadata: true, MetadataSize: 64 << 10, MetadataCount: 128,
			RejectOld: true, MaxAge: period(7 * 24 * time.Hour), MaxFuture: period(10 * time.Minute),
			BlockedStatus: 260, MostEntries: mostEntries,
		},
		Ingester:    ingester{MaxChunkAge: period(2 * time.Hour)},
		Querier:     querier{IngestersWithin: period(3 * time.Hour)},
		Distributor: distributor{MostBytes: 100 * mega},
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		if err := yaml.Unmarshal([]byte(text), c); err != nil {
			return nil, fmt.Errorf("reading the configuration of the imitated Loki: %w", err)
		}
	}
	return c, nil
}

// headBlock is the chunk_block_size of Loki's ingesters.
const headBlock = 256 << 10

func (l *Loki) newStore(dir string) *store {
	s := newStore(dir)
	if l.config == nil {
		return s
	}
	s.headBlock = headBlock
	if l.config.Ingester.LookBack == 0 {
		s.lookBack = time.Duration(l.config.Querier.IngestersWithin)
	}
	s.lookBack = max(0, s.lookBack)
	return s
}

// tenantHeader names the tenant of a request, where Loki has auth_enabled.
const tenantHeader = "X-Scope-OrgID"

// of returns the store of the tenant that a request names, or the answer that it names none.
func (l *Loki) of(r *http.Request) (*store, reply) {
	if l.config == nil || !l.config.AuthEnabled {
		return l.store, reply{}
	}
	name := r.Header.Get(tenantHeader)
	if name == "" {
		return nil, text(http.StatusUnauthorized, "no org id")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenants[name] == nil {
		s := l.newStore(l.store.dir)
		s.prefix = fmt.Sprintf("tenant-%d-", len(l.tenants))
		l.tenants[name] = s
	}
	return l.tenants[name], reply{}
}

func (l *Loki) flush(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range append(slices.Collect(maps.Values(l.tenants)), l.store) {
		s.flush()
	}
	w.WriteHeader(http.StatusNoContent)
}

// showConfig shows what Longshore reads of a configuration.
func (l *Loki) showConfig(w http.ResponseWriter, _ *http.Request) {
	if l.config == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, "ingester:\n  query_store_max_look_back_period: %s\nquerier:\n  query_ingesters_within: %s\n",
		time.Duration(l.config.Ingester.LookBack), time.Duration(l.config.Querier.IngestersWithin))
}

// readRequest decodes a push of either kind: snappy's protobuf, or JSON.
func (l *Loki) readRequest(r *http.Request, body []byte) (write, error) {
	to, refusal := l.of(r)
	if to == nil {
		return answered(refusal), nil
	}
	if l.config != nil && len(body) > l.config.Distributor.MostBytes {
		said := fmt.Sprintf("request body too large: %d bytes, limit: %d bytes", len(body),
			l.config.Distributor.MostBytes)
		return answered(text(http.StatusRequestEntityTooLarge, said)), nil
	}
	read := l.readPush
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		unpacked, err := unpack(r.Header.Get("Content-Encoding"), body)
		if err != nil {
			return nil, err
		}
		body, read = unpacked, l.readJSON
	}
	w, err := read(body)
	if err != nil {
		return nil, err
	}
	w.(*push).to = to
	return w, nil
}

// answered is a write that stores nothing, whatever goes wrong besides.
type answered reply

func (a answered) len() int                   { return 1 }
func (a answered) store(func(int) bool) reply { return reply(a) }
func (a answered) refuse() reply              { return reply(a) }

func unpack(encoding string, body []byte) ([]byte, error) {
	switch encoding {
	case "":
		return body, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(z, 4*maxRequest))
	case "deflate":
		return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body)), 4*maxRequest))
	}
	return nil, fmt.Errorf("Content-Encoding %q not supported", encoding)
}

// readJSON reads
// {"streams":[{"stream":{"a":"b"},"values":[["nanoseconds","line",{"metadata":"value"}]]}]}.
func (l *Loki) readJSON(body []byte) (write, error) {
	var request struct {
		Streams []struct {
			Stream map[string]string
			Values [][]json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	p := &push{loki: l, to: l.store, bytes: len(body)}
	for _, s := range request.Streams {
		set := pushed{labels: labelText(s.Stream)}
		for _, value := range s.Values {
			e, err := readValue(value)
			if err != nil {
				return nil, err
			}
			set.entries = append(set.entries, e)
		}
		if err := p.add(set); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func readValue(value []json.RawMessage) (entry, error) {
	if len(value) < 2 {
		return entry{}, errors.New("an entry without a line")
	}
	var at string
	var e logproto.Entry
	if err := errors.Join(json.Unmarshal(value[0], &at), json.Unmarshal(value[1], &e.Line)); err != nil {
		return entry{}, err
	}
	ns, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return entry{}, err
	}
	e.Timestamp = time.Unix(0, ns)
	if len(value) > 2 {
		var metadata map[string]string
		if err := json.Unmarshal(value[2], &metadata); err != nil {
			return entry{}, err
		}
		for _, name := range slices.Sorted(maps.Keys(metadata)) {
			e.StructuredMetadata = append(e.StructuredMetadata,
				logproto.LabelAdapter{Name: name, Value: metadata[name]})
		}
	}
	raw, err := e.Marshal()
	if err != nil {
		return entry{}, err
	}
	return readEntry(raw)
}

// labelText writes labels as Loki does: {a="b", c="d"}.
func labelText(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, name+"="+strconv.Quote(labels[name]))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// A bucket meters bytes. The zero value is full.
type bucket struct {
	used float64
	when time.Time
}

func (b *bucket) allow(n int, rate, burst float64) bool {
	now := time.Now()
	b.used = max(0, b.used-rate*now.Sub(b.when).Seconds())
	b.when = now
	if b.used+float64(n) > burst {
		return false
	}
	b.used += float64(n)
	return true
}
