package otlp

import (
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
	"github.com/longshore/longshore/pipeline/otlplog"
)

// An Output sends to one receiver. Config makes it.
type Output struct {
	url         *url.URL
	client      *httpclient.Client
	log         *slog.Logger
	metrics     *metrics
	now         func() time.Time
	grpc        bool
	json        bool
	identity    bool
	sender      string      // who we are to another Longshore
	noted       atomic.Bool // that the receiver is one
	compression string
	scope       otlplog.Scope
	zstd        *zstd.Encoder // with that compression
	frames      *sync.Pool    // of *frame
	isolation   isolation
	answered    atomic.Bool // there was an answer, so the protocol cannot be all wrong
}

var _ pipeline.Output = (*Output)(nil)

// maxBytes is a quarter of what servers of gRPC take by default.
const maxBytes = 1 << 20

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: maxBytes, InOrder: true} }

// Original implements pipeline.Output: the record as JSON.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	return otlplog.AppendJSONRecord(nil, body.Item(i))
}

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.client.CloseIdleConnections()
	if o.zstd != nil {
		return o.zstd.Close()
	}
	return nil
}

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	return &encoder{output: o, sources: map[*event.Source]*source{}}
}

// Bounds of an encoder's memory of sources, and of a source's resources. A full one is cleared;
// what is in use comes back.
const (
	maxSources   = 512
	maxResources = 1024
)

type encoder struct {
	output  *Output
	sources map[*event.Source]*source
	last    *source
	key     []byte

	batch    *event.Batch // that of the last record
	from     uint64
	observed int64
}

// A source is what an encoder remembers of one event.Source.
type source struct {
	src     *event.Source
	records *otlplog.SourceEncoder
	// Resources differ by the service, which a record may name, and by whose identity it has.
	id        event.SourceID
	unnamed   *resource
	resources map[string]*resource
}

// A resource is the name of a group, and its index in the last body.
type resource struct {
	name  string
	group uint32
}

// groupIn returns the resource's group in a body. Within one body the strings are the same, so
// comparing them is cheap.
func (r *resource) groupIn(body *pipeline.Body) uint32 {
	if int(r.group) < len(body.Groups) && body.Groups[r.group] == r.name {
		return r.group
	}
	r.group = body.Group([]byte(r.name))
	r.name = body.Groups[r.group]
	return r.group
}

// Encode implements pipeline.Encoder. It rejects no record.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	src := e.last
	if src == nil || src.src != b.Source {
		src = e.sourceOf(b.Source)
	}
	if b != e.batch || b.From != e.from || i == 0 {
		e.batch, e.from, e.observed = b, b.From, e.output.now().UnixNano()
	}
	dst.Bytes = src.records.AppendRecord(dst.Bytes, b, i, e.observed)
	return e.resourceOf(src, b, i).groupIn(dst), nil
}

func (e *encoder) sourceOf(src *event.Source) *source {
	known := e.sources[src]
	if known == nil {
		if len(e.sources) >= maxSources {
			clear(e.sources)
		}
		known = &source{src: src, records: otlplog.NewSourceEncoder(src, e.output.identity),
			resources: map[string]*resource{}}
		e.sources[src] = known
	}
	e.last = known
	return known
}

func (e *encoder) resourceOf(s *source, b *event.Batch, i int) *resource {
	if id, _ := b.IdentityOf(i); id != s.id {
		s.id, s.unnamed = id, nil
		clear(s.resources)
	}
	service := b.Records[i].Service
	if service.Kind == event.None {
		if s.unnamed == nil {
			s.unnamed = &resource{name: string(s.records.AppendResource(nil, b, i))}
		}
		return s.unnamed
	}
	e.key = b.AppendText(e.key[:0], service)
	known := s.resources[string(e.key)]
	if known == nil {
		if len(s.resources) >= maxResources {
			clear(s.resources)
		}
		known = &resource{name: string(s.records.AppendResource(nil, b, i))}
		s.resources[string(e.key)] = known
	}
	return known
}

type metrics struct {
	unattributed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		unattributed: metric.Counter(reg, "longshore_otlp_unattributed_records_total",
			"Records of requests of which the receiver rejected some without saying which: all of them are dead "+
				"letters."),
	}
}
