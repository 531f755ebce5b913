package otlp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/otlplog"
)

type input struct {
	config Config
	env    pipeline.Env
	hub    *receive.Hub
	turns  *receive.Turns // of other Longshores
}

var (
	_ pipeline.Input     = (*input)(nil)
	_ pipeline.Committer = (*input)(nil)
)

// Commit implements pipeline.Committer.
func (in *input) Commit(id event.SourceID, at pipeline.Cursor) { in.hub.Commit(id, at) }

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	if err := in.hub.Begin(ctx, feed, "otlp"); err != nil {
		return err
	}
	defer in.hub.End()
	var err error
	if in.turns, err = in.hub.BeginTurns("otlp"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, len(in.config.Listen))
	var serving sync.WaitGroup
	for i, listen := range in.config.Listen {
		server := &receive.Server{
			Hub: in.hub, Listen: listen, Settings: &in.config.Settings, Handler: in, Env: in.env, HTTP2: true,
		}
		serving.Add(1)
		go func() {
			defer in.env.Panicked.Contain()
			defer serving.Done()
			if failed[i] = server.Run(ctx); failed[i] != nil {
				cancel()
			}
		}()
	}
	serving.Wait()
	return errors.Join(failed...)
}

const (
	httpPath   = "/v1/logs"
	healthPath = "/grpc.health.v1.Health/Check"
)

// ServeHTTP implements http.Handler.
func (in *input) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(otlplog.ReceiverHeader, otlplog.ReceiverIs)
	isGRPC := strings.HasPrefix(r.Header.Get("Content-Type"), otlplog.GRPCType)
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "OTLP is sent by POST", http.StatusMethodNotAllowed)
	case isGRPC && r.URL.Path == otlplog.ExportPath:
		in.serveGRPC(w, r)
	case isGRPC && r.URL.Path == healthPath:
		answerGRPC(w, []byte{1 << 3, 1}) // SERVING
	case isGRPC:
		failGRPC(w, otlplog.Status{Code: otlplog.Unimplemented, RetryDelay: -1,
			Message: "only logs are taken here: " + otlplog.ExportPath})
	case r.URL.Path == httpPath:
		in.serveHTTP(w, r)
	default:
		http.Error(w, "logs are taken at "+httpPath, http.StatusNotFound)
	}
}

// receive takes a request in protobuf, and returns when it is done.
// release gives back the room that the message takes.
func (in *input) receive(r *http.Request, message []byte, release func()) (otlplog.PartialSuccess, error) {
	d := decoder{request: in.hub.NewRequest(), hub: in.hub, max: int64(in.config.MaxBodySize)}
	defer d.release()
	d.request.ReleaseOnceHandedOn(release, d.release)
	if err := d.decode(message); err != nil {
		return otlplog.PartialSuccess{}, err
	}
	if sender := r.Header.Get(otlplog.SenderHeader); sender != "" {
		uncertain := r.Header.Get(otlplog.UncertainHeader) != ""
		return d.partial, in.turns.Deliver(r.Context(), d.request, sender, uncertain)
	}
	return d.partial, d.request.Deliver(r.Context())
}

// A decoder adds the records of one message to a request.
type decoder struct {
	hub     *receive.Hub
	request *receive.Request
	partial otlplog.PartialSuccess
	max     int64
	held    int64 // of the Hub's room
	cost    int64

	// What follows is of the last record.
	of     *otlplog.Resource
	place  string // file and stream
	source *event.Source
}

func (d *decoder) release() {
	d.hub.Release(d.held)
	d.held = 0
}

// What a record and a field take in memory, at about the most.
const (
	recordCost = 256
	fieldCost  = 32
	costStep   = 16 << 10
)

// spend notes what a record takes. A few bytes of a message can become many.
func (d *decoder) spend(cost int64) error {
	d.cost += cost
	if d.cost > 4*d.max {
		return receive.Refuse(http.StatusRequestEntityTooLarge, "there are too many records and attributes in it; "+
			"send smaller requests")
	}
	if d.cost <= d.held {
		return nil
	}
	if !d.hub.Hold(costStep) {
		return receive.ErrBusy
	}
	d.held += costStep
	return nil
}

const malformed = "it is no LogRecord, or one with values too deep in each other"

func (d *decoder) decode(message []byte) error {
	err := otlplog.EachRecord(message, d.add)
	if errors.Is(err, otlplog.ErrMalformed) {
		return receive.Refuse(http.StatusBadRequest, "%v", err)
	}
	return err
}

func (d *decoder) add(of *otlplog.Resource, raw []byte) error {
	record, ok := otlplog.ParseRecord(raw)
	if !ok || of.ID != 0 && !record.HasPosition {
		d.partial.Rejected++
		d.partial.Message = malformed
		return d.spend(1)
	}
	fields := int64(record.Attributes + of.Fields() + 4)
	if err := d.spend(recordCost + fieldCost*fields + int64(len(raw))); err != nil {
		return err
	}
	b := d.request.Batch(d.sourceOf(of, &record))
	start := len(b.Arena)
	b.Arena = record.AppendLine(b.Arena)
	line := event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}
	at := record.Time()
	if at == 0 {
		at = time.Now().UnixNano()
	}
	i := d.request.Add(b, at, line)
	if of.ID != 0 {
		b.SetPosition(record.Position)
		b.TimesUnique = true
	}
	record.Fill(b, i, of)
	return nil
}

// sourceOf returns the source of a record.
func (d *decoder) sourceOf(of *otlplog.Resource, r *otlplog.LogRecord) *event.Source {
	samePlace := of.ID != 0 || len(d.place) == len(r.File)+1+len(r.Stream) &&
		d.place[:len(r.File)] == string(r.File) && d.place[len(r.File)+1:] == string(r.Stream)
	if d.of == of && samePlace {
		return d.source
	}
	d.of, d.place = of, string(r.File)+"\x00"+string(r.Stream)
	d.source = d.hub.Source(of.ID, d.keyOf(of, r), func() []event.Label {
		labels := of.Labels
		if of.ID == 0 {
			labels = append(labels[:len(labels):len(labels)], event.Label{Name: event.LabelFile, Value: text(r.File)},
				event.Label{Name: event.LabelStream, Value: text(r.Stream)})
		}
		return labels
	})
	return d.source
}

// keyOf returns what people see as the key of a source. A hash tells it from others.
func (d *decoder) keyOf(of *otlplog.Resource, r *otlplog.LogRecord) string {
	hash := sha256.New()
	hash.Write(of.Raw)
	if of.ID == 0 {
		hash.Write([]byte(d.place))
	}
	parts := []string{"otlp", of.Service(), text(r.File), text(r.Stream), hex.EncodeToString(hash.Sum(nil)[:16])}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func text(p []byte) string { return strings.ToValidUTF8(string(p), "\ufffd") }

// statusOf returns what an error means in gRPC; ok is false where nobody waits any more.
func statusOf(err error) (s otlplog.Status, ok bool) {
	status, ok := receive.StatusOf(err)
	s = otlplog.Status{Code: otlplog.Internal, Message: err.Error(), RetryDelay: -1}
	switch status {
	case http.StatusServiceUnavailable:
		s.Code, s.RetryDelay = otlplog.Unavailable, receive.RetryAfter*time.Second
	case http.StatusRequestEntityTooLarge:
		s.Code = otlplog.ResourceExhausted
		s.Message = "received message larger than max: " + s.Message
	case http.StatusBadRequest:
		s.Code = otlplog.InvalidArgument
	case http.StatusUnsupportedMediaType:
		s.Code = otlplog.Unimplemented
	}
	return s, ok
}

var errShort = receive.Refuse(http.StatusBadRequest, "the message of gRPC ends early")
