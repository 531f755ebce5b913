package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// Whether the service makes objects only where there are none.
const (
	conditionalUnknown int32 = iota
	conditionalYes
	conditionalNo
)

// emptyMark tells an empty object from one with records.
const (
	emptyHeader = "X-Amz-Meta-Longshore"
	emptyMark   = "empty"
)

// Stored implements pipeline.Reconciler: the objects that were tried with records of the body are
// asked for, if it is not known what became of them. What is not there then will never be.
func (o *Output) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	tries, err := o.attempts.of(body)
	if err != nil {
		return &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	}
	for _, try := range tries {
		is, err := o.resolve(ctx, try)
		if err != nil {
			return err
		}
		for _, i := range try.items {
			stored[i] = stored[i] || is
		}
	}
	return nil
}

// resolve reports whether an object is in the bucket, and sees to it that it stays so.
func (o *Output) resolve(ctx context.Context, try *attempt) (bool, error) {
	switch try.state {
	case there:
		return true, nil
	case absent:
		return false, nil
	}
	at, err := url.Parse(try.url)
	if err != nil {
		return false, fmt.Errorf("%w: the note of an object has no URL", pipeline.ErrUnknowable)
	}
	at.RawPath = escape(at.Path)
	is, err := o.settle(ctx, at, try)
	if err != nil {
		return false, err
	}
	known := note{state: absent, url: try.url}
	if is {
		known.state = there
	}
	if err := o.attempts.add(false, known); err != nil {
		o.log.Debug("what became of an object could not be noted, and is asked for again", "error", err)
	}
	return is, nil
}

func (o *Output) settle(ctx context.Context, at *url.URL, try *attempt) (bool, error) {
	found, err := o.look(ctx, at)
	if err != nil || found == isThere || found == isEmpty {
		return found == isThere, err
	}
	conditional, err := o.provesConditional(ctx, at)
	if err != nil {
		return false, err
	}
	if !conditional {
		if found == unseen {
			return false, fmt.Errorf("%w: it takes s3:GetObject and s3:ListBucket to see what is in the bucket",
				pipeline.ErrUnknowable)
		}
		return false, nil
	}
	return o.fence(ctx, at, try, found)
}

// A finding is what there is at an object's name.
type finding byte

const (
	isAbsent finding = iota
	isThere
	isEmpty // an empty object of ours
	unseen  // we may not look
)

// look asks for an object.
func (o *Output) look(ctx context.Context, at *url.URL) (finding, error) {
	a, err := o.ask(ctx, http.MethodHead, at)
	if err != nil {
		return 0, err
	}
	switch a.StatusCode {
	case http.StatusOK:
		if a.Header.Get("Etag") == "" {
			return 0, o.stored(a)
		}
		if a.Header.Get(emptyHeader) == emptyMark {
			return isEmpty, nil
		}
		return isThere, nil
	case http.StatusNotFound:
		return isAbsent, nil
	case http.StatusForbidden, http.StatusBadRequest: // which say nothing more to a question without a body
		return unseen, nil
	}
	return 0, o.failure(a)
}

// fence makes an empty object where there is none, so that none can be made there any more.
func (o *Output) fence(ctx context.Context, at *url.URL, try *attempt, found finding) (bool, error) {
	if found == unseen && try.fenced {
		return false, fmt.Errorf("%w: an object may be one of records or an empty one, and it takes s3:GetObject to "+
			"tell", pipeline.ErrUnknowable)
	}
	if err := o.attempts.add(true, note{state: fencing, url: try.url}); err != nil {
		return false, &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	}
	a, err := o.makeEmpty(ctx, at)
	if err != nil {
		return false, err
	}
	switch {
	case a.StatusCode == http.StatusOK:
		if failure := o.stored(a); failure != nil {
			return false, failure
		}
		o.metrics.empty.Inc()
		return false, nil
	case a.StatusCode == http.StatusPreconditionFailed && found == unseen:
		return true, nil
	case a.StatusCode == http.StatusPreconditionFailed:
		return o.lookAgain(ctx, at)
	}
	return false, o.failure(a)
}

// lookAgain looks at what has come to be there meanwhile.
func (o *Output) lookAgain(ctx context.Context, at *url.URL) (bool, error) {
	found, err := o.look(ctx, at)
	if err == nil && found != isThere && found != isEmpty {
		err = &pipeline.SendError{Outcome: pipeline.Retry,
			Reason: httpclient.Location(at) + ": the service says that it is there, and that it is not"}
	}
	return found == isThere, err
}

// provesConditional reports whether the service makes objects only where there are none. Some take
// the condition and pay no heed to it: one that makes the same object twice is found out by that.
func (o *Output) provesConditional(ctx context.Context, beside *url.URL) (bool, error) {
	if known := o.conditional.Load(); known != conditionalUnknown {
		return known == conditionalYes, nil
	}
	of := *beside
	at := &of
	at.Path += ".probe"
	at.RawPath = escape(at.Path)
	for range 2 {
		a, err := o.makeEmpty(ctx, at)
		if err != nil {
			return false, err
		}
		switch a.StatusCode {
		case http.StatusOK:
		case http.StatusPreconditionFailed:
			o.conditional.Store(conditionalYes)
		default:
			failure := o.failure(a)
			if o.conditional.Load() == conditionalNo {
				return false, nil
			}
			return false, failure
		}
	}
	o.conditional.CompareAndSwap(conditionalUnknown, conditionalNo)
	_, _ = o.ask(ctx, http.MethodDelete, at) // it is empty, and harmless where that is not allowed
	return o.conditional.Load() == conditionalYes, nil
}

func (o *Output) makeEmpty(ctx context.Context, at *url.URL) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	content, done, err := o.packer.pack(func(func([]byte) bool) {})
	if err != nil {
		return nil, err
	}
	defer done()
	header := map[string]string{emptyHeader: emptyMark}
	for name, value := range o.header {
		header[name] = value
	}
	a, failure := o.write(ctx, at, append([]byte(nil), content...), &httpclient.Payload{}, header)
	if failure != nil {
		return nil, failure
	}
	return a, nil
}

// ask sends a request without a body. One that is lost on the way is sent again at once.
func (o *Output) ask(ctx context.Context, method string, at *url.URL) (a *answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	httpclient.Again(ctx, func() bool {
		var failure *pipeline.SendError
		a, failure = o.do(ctx, method, at, nil, nil, nil)
		if failure != nil {
			err = failure
			return failure.Uncertain
		}
		err = nil
		return httpclient.FailedOnTheWay(a.Response, nil)
	})
	return a, err
}
