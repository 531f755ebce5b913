package receiver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/soak/numbered"
)

// Loki imitates Grafana Loki: its push endpoint, and of its query endpoints
// what it takes to find out what is stored.
type Loki struct {
	*Server
	Tally  numbered.Tally
	config *LokiConfig // nil for no limits, and a repeat hidden only when it follows at once
	store  *store      // of the only tenant

	mu      sync.Mutex
	tenants map[string]*store // with auth_enabled
}

// NewLoki starts one without limits. It keeps lines that can be asked for in a folder.
func NewLoki(dir string, faults *Faults) (*Loki, error) { return NewLokiLike(dir, faults, nil) }

// NewLokiLike starts one that behaves as a Loki so configured was measured to.
func NewLokiLike(dir string, faults *Faults, config *LokiConfig) (*Loki, error) {
	l := &Loki{config: config, tenants: map[string]*store{}}
	l.store = l.newStore(dir)
	mux := http.NewServeMux()
	take := func(w http.ResponseWriter, r *http.Request) {
		takeWrite(faults, w, r, func(body []byte) (write, error) { return l.readRequest(r, body) })
	}
	mux.HandleFunc("POST /loki/api/v1/push", take)
	mux.HandleFunc("POST /api/prom/push", take)
	mux.HandleFunc("POST /flush", l.flush)
	mux.HandleFunc("GET /config", l.showConfig)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	ask := func(how func(*http.Request) reply) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			takeRead(faults, w, r, func() reply { return how(r) })
		}
	}
	mux.HandleFunc("/loki/api/v1/query", ask(l.query))
	mux.HandleFunc("/loki/api/v1/query_range", ask(l.queryRange))
	var err error
	l.Server, err = newServer(faults, mux)
	return l, err
}

// Close ends the server and drops what it keeps.
func (l *Loki) Close() {
	l.Server.Close()
	l.store.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.tenants {
		s.close()
	}
}

// A push is a decoded request to store.
type push struct {
	loki    *Loki
	to      *store
	streams []pushed
	entries int
	bytes   int // of the request, as one ingester would be sent it
}

type pushed struct {
	labels  string
	set     []label // by name
	entries []entry
}

// An entry is one line with its time. Raw is its protobuf message.
type entry struct {
	time     int64
	line     []byte
	metadata []label
	raw      []byte
}

type label struct{ name, value string }

func (l *Loki) readPush(body []byte) (write, error) {
	raw, err := s2.Decode(nil, body)
	if err != nil {
		return nil, fmt.Errorf("decompressing the request: %w", err)
	}
	p := &push{loki: l, to: l.store, bytes: len(raw)}
	err = fields(raw, func(number, _ uint64, value []byte) error {
		if number != 1 {
			return nil
		}
		return p.readStream(value)
	})
	return p, err
}

func (p *push) readStream(raw []byte) error {
	var s pushed
	err := fields(raw, func(number, _ uint64, value []byte) error {
		switch number {
		case 1:
			s.labels = string(value)
		case 2:
			e, err := readEntry(value)
			if err != nil {
				return err
			}
			s.entries = append(s.entries, e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("a stream: %w", err)
	}
	return p.add(s)
}

func (p *push) add(s pushed) (err error) {
	if s.set, err = parseLabels(s.labels); err != nil {
		return fmt.Errorf("couldn't parse labels: %w", err)
	}
	p.streams = append(p.streams, s)
	p.entries += len(s.entries)
	return nil
}

func readEntry(raw []byte) (entry, error) {
	e := entry{raw: raw}
	err := fields(raw, func(number, _ uint64, value []byte) error {
		switch number {
		case 1:
			var sec, nanos uint64
			err := fields(value, func(number, v uint64, _ []byte) error {
				if number == 1 {
					sec = v
				} else {
					nanos = v
				}
				return nil
			})
			e.time = int64(sec)*1e9 + int64(nanos)
			return err
		case 2:
			e.line = value
		case 3:
			var m label
			err := fields(value, func(number, _ uint64, value []byte) error {
				if number == 1 {
					m.name = string(value)
				} else {
					m.value = string(value)
				}
				return nil
			})
			e.metadata = append(e.metadata, m)
			return err
		}
		return nil
	})
	if err != nil {
		return e, fmt.Errorf("an entry: %w", err)
	}
	return e, nil
}

var errProtobuf = errors.New("it is not the protobuf of a push request")

// fields calls each for every field of a protobuf message: with its number if it is
// a varint, else with its bytes. A push request has no other kinds.
func fields(p []byte, each func(number, varint uint64, value []byte) error) error {
	for len(p) > 0 {
		tag, n := binary.Uvarint(p)
		if n <= 0 {
			return errProtobuf
		}
		p = p[n:]
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return errProtobuf
		}
		p = p[n:]
		var value []byte
		switch {
		case tag&7 == 2 && v <= uint64(len(p)):
			value, p = p[:v:v], p[v:]
		case tag&7 != 0:
			return errProtobuf
		}
		if err := each(tag>>3, v, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *push) len() int { return p.entries }

// store implements write.
func (p *push) store(keep func(i int) bool) reply {
	if p.loki.config != nil {
		return p.ingest(keep)
	}
	i := 0
	for _, s := range p.streams {
		to := p.to.stream(s.labels, s.set)
		for k := range s.entries {
			if keep(i) {
				p.keep(to, &s.entries[k])
			}
			i++
		}
	}
	return reply{status: http.StatusNoContent}
}

// keep stores an entry unless it is a repeat that Loki would hide, and counts it.
func (p *push) keep(s *stream, e *entry) {
	if !p.to.add(s, e) {
		return
	}
	if w, n, ok := numbered.Find(e.line); ok {
		p.loki.Tally.Add(w, n)
		return
	}
	p.loki.Tally.Damaged(e.line)
}

// mostNamed is how many entries Loki names in an error (limits_config: max_returned_stream_errors).
const mostNamed = 10

// refuse implements write: of the last stream, the last entries meet the stream's limit. The words
// are those of pkg/ingester/stream.go, errorForFailedEntries.
func (p *push) refuse() reply {
	if len(p.streams) == 0 || len(p.streams[len(p.streams)-1].entries) == 0 {
		return p.store(func(int) bool { return true })
	}
	last := &p.streams[len(p.streams)-1]
	total := len(last.entries)
	refused := 1 + p.loki.Faults.intN(min(total, mostNamed))
	p.store(func(i int) bool { return i < p.entries-refused })
	var said strings.Builder
	for _, e := range last.entries[total-refused:] {
		fmt.Fprintf(&said, "entry with timestamp %s ignored, reason: 'Per stream rate limit exceeded (limit: "+
			"3MB/sec) while attempting to ingest for stream '%s' totaling %dB, consider splitting a stream via "+
			"additional labels or contact your Loki administrator to see if the limit can be increased',\n",
			time.Unix(0, e.time).UTC(), last.labels, len(e.line))
	}
	fmt.Fprintf(&said, "user 'fake', total ignored: %d out of %d for stream: %s", refused, total, last.labels)
	return text(http.StatusTooManyRequests, said.String())
}
