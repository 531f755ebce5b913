package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"iter"
	"log/slog"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
	"github.com/longshore/longshore/pipeline/secrets"
)

// An Output writes objects to a bucket. Config makes it.
type Output struct {
	client      *httpclient.Client
	signer      *secrets.AWSSigner
	bucket      bucket
	prefixes    *prefixes
	schema      event.Schema
	packer      packer
	attempts    *attempts
	header      map[string]string // of each object
	maxAge      time.Duration
	log         *slog.Logger
	metrics     *metrics
	conditional atomic.Int32 // whether the service makes objects only where there are none
	skew        atomic.Int64 // how far its clock is ahead, in nanoseconds
}

var (
	_ pipeline.Output     = (*Output)(nil)
	_ pipeline.Reconciler = (*Output)(nil)
	_ pipeline.Prober     = (*Output)(nil)
	_ pipeline.Examiner   = (*Output)(nil)
	_ pipeline.Encoder    = (*encoder)(nil)
)

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder { return &encoder{schema: o.schema, prefixes: o.prefixes} }

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits {
	return pipeline.Limits{Bytes: maxBytes, Age: o.maxAge, UnsafeAge: min(o.maxAge, unsafeAge)}
}

// Original implements pipeline.Output.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	return bytes.TrimSuffix(lineOf(body, i), []byte("\n"))
}

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.client.CloseIdleConnections()
	return nil
}

// An object is what one request makes: the items of a body that have the same prefix.
type object struct {
	url   *url.URL
	items []int
	err   *pipeline.SendError // nil if it is stored
}

// Send implements pipeline.Output. Objects are made one after the other. What becomes of them is
// noted even if it ends early.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	if len(body.Items) == 0 {
		return nil
	}
	base, err := o.base(ctx)
	if err != nil {
		return err
	}
	objects := o.objectsOf(body, base)
	notes := make([]note, len(objects))
	for i, object := range objects {
		notes[i] = note{state: tried, url: object.url.String(), held: heldOf(body, object.items)}
	}
	if err := o.attempts.add(true, notes...); err != nil {
		return &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	}
	o.sendAll(ctx, body, objects)
	o.noteResults(objects)
	return failureOf(objects)
}

// base returns the bucket's URL.
func (o *Output) base(ctx context.Context) (*url.URL, error) {
	region, err := o.region(ctx)
	if err != nil {
		return nil, err
	}
	return o.bucket.at(region), nil
}

// region returns that of the bucket.
func (o *Output) region(ctx context.Context) (string, error) {
	if o.bucket.region != "" {
		return o.bucket.region, nil
	}
	if o.bucket.endpoint != nil {
		return "us-east-1", nil
	}
	region := o.signer.Region(ctx)
	if region == "" || secrets.CheckAWSRegion(region) != nil {
		return "", &pipeline.SendError{Outcome: pipeline.Hold,
			Reason: "nothing says in which region the bucket is; set region, or AWS_REGION"}
	}
	return region, nil
}

// objectsOf divides a body by the prefixes of its items.
func (o *Output) objectsOf(body *pipeline.Body, base *url.URL) []*object {
	var all []*object
	byGroup := map[uint32]*object{}
	for i, item := range body.Items {
		of := byGroup[item.Group]
		if of == nil {
			of = &object{url: base.JoinPath()}
			setKey(of.url, groupName(body, item.Group)+o.newName())
			byGroup[item.Group] = of
			all = append(all, of)
		}
		of.items = append(of.items, i)
	}
	return all
}

func groupName(body *pipeline.Body, group uint32) string {
	if int(group) < len(body.Groups) {
		return body.Groups[group]
	}
	return ""
}

// newName returns a name that nobody else makes, and by which objects are in order of time.
func (o *Output) newName() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	return time.Now().UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(random[:]) + o.packer.extension()
}

// heldOf returns the sources and positions of some items.
func heldOf(body *pipeline.Body, items []int) []heldSource {
	var all []heldSource
	index := map[event.SourceID]int{}
	for _, i := range items {
		id, pos := identityOf(body, i)
		k, known := index[id]
		if !known {
			k = len(all)
			index[id] = k
			all = append(all, heldSource{source: id})
		}
		all[k].positions = append(all[k].positions, pos)
	}
	for k := range all {
		slices.Sort(all[k].positions)
	}
	return all
}

// sendAll makes the objects. After a failure that others would share, the rest is not tried.
func (o *Output) sendAll(ctx context.Context, body *pipeline.Body, objects []*object) {
	for k, object := range objects {
		err := o.put(ctx, object.url, linesOf(body, object.items))
		object.err = err
		if err == nil {
			o.metrics.objects.Inc()
			continue
		}
		for _, rest := range objects[k+1:] {
			rest.err = &pipeline.SendError{Outcome: err.Outcome, Status: err.Status, RetryAfter: err.RetryAfter,
				Reason: err.Reason, Err: err.Err}
		}
		return
	}
}

// linesOf returns the lines of some items, one after the other.
func linesOf(body *pipeline.Body, items []int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, i := range items {
			if !yield(lineOf(body, i)) {
				return
			}
		}
	}
}

// noteResults notes what is known of the objects. That a note is lost costs a question.
func (o *Output) noteResults(objects []*object) {
	var notes []note
	for _, object := range objects {
		switch {
		case object.err == nil:
			notes = append(notes, note{state: there, url: object.url.String()})
		case !object.err.Uncertain:
			notes = append(notes, note{state: absent, url: object.url.String()})
		}
	}
	if err := o.attempts.add(false, notes...); err != nil {
		o.log.Debug("what became of objects could not be noted, and is asked for after a restart", "error", err)
	}
}

// failureOf returns what became of a body: nil if all objects are stored, one answer for all if
// none is, and one for each item otherwise.
func failureOf(objects []*object) error {
	failed := slices.DeleteFunc(slices.Clone(objects), func(object *object) bool { return object.err == nil })
	if len(failed) == 0 {
		return nil
	}
	all := *failed[0].err
	if len(failed) == len(objects) {
		return &all
	}
	for _, object := range failed {
		outcome := object.err.Outcome
		if outcome != pipeline.Retry {
			outcome = pipeline.Hold
		}
		for _, i := range object.items {
			all.Items = append(all.Items, pipeline.ItemError{Index: i, Outcome: outcome, Status: object.err.Status,
				Reason: object.err.Reason})
		}
	}
	all.Outcome = all.Items[0].Outcome
	slices.SortFunc(all.Items, func(a, b pipeline.ItemError) int { return cmp.Compare(a.Index, b.Index) })
	return &all
}

// put makes an object.
func (o *Output) put(ctx context.Context, at *url.URL, lines iter.Seq[[]byte]) *pipeline.SendError {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	payload, done, err := o.packer.pack(lines)
	if err != nil {
		return &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	}
	if err := ctx.Err(); err != nil { // what was noted above may have gone to a file that is replaced by now
		done()
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: err.Error(), Err: err}
	}
	body := &httpclient.Payload{}
	answer, failure := o.write(ctx, at, payload, body, o.header)
	if body.Free() {
		done()
	}
	if failure != nil {
		return failure
	}
	if failure := o.stored(answer); failure != nil {
		return failure
	}
	o.metrics.bytes.Add(float64(len(payload)))
	return nil
}

type metrics struct {
	objects, bytes, empty prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		objects: metric.Counter(reg, "longshore_s3_objects_total", "Objects that were made."),
		bytes:   metric.Counter(reg, "longshore_s3_object_bytes_total", "Bytes of these, compressed."),
		empty: metric.Counter(reg, "longshore_s3_empty_objects_total",
			"Empty objects that were made in the place of ones that a broken request may have been making."),
	}
}

// asFailure returns an error as a SendError.
func asFailure(err error) *pipeline.SendError {
	var failure *pipeline.SendError
	if errors.As(err, &failure) {
		return failure
	}
	return httpclient.RequestError(err)
}
