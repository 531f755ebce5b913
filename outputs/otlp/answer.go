package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/otlplog"
)

// classify returns what an answer means for its request.
func (o *Output) classify(resp *http.Response, text []byte) (otlplog.PartialSuccess, *pipeline.SendError) {
	if o.grpc && resp.StatusCode == http.StatusOK {
		return o.classifyGRPC(resp, text)
	}
	if resp.StatusCode/100 == 2 && !o.grpc {
		return o.classifySuccess(resp, text)
	}
	failure := httpclient.ResponseError(resp, text)
	if isProtobuf(resp.Header) {
		status := otlplog.ParseStatus(text)
		failure.Reason = strings.Replace(failure.Reason, httpclient.Message(resp, text),
			httpclient.Clean(status.Message), 1)
		if failure.RetryAfter == 0 && status.RetryDelay > 0 {
			failure.RetryAfter = status.RetryDelay
		}
	}
	return otlplog.PartialSuccess{}, failure
}

func mediaType(h http.Header) string {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind
}

func isProtobuf(h http.Header) bool {
	kind := mediaType(h)
	return kind == protobufType || kind == "application/protobuf"
}

// classifySuccess reads an answer of 2xx over HTTP. One that says something else than OTLP has it
// is of someone else, who may have passed nothing on.
func (o *Output) classifySuccess(resp *http.Response, text []byte) (
	partial otlplog.PartialSuccess, failure *pipeline.SendError,
) {
	ok := len(bytes.TrimSpace(text)) == 0
	switch {
	case ok:
	case isProtobuf(resp.Header):
		partial, ok = otlplog.ParseResponse(text)
	case mediaType(resp.Header) == "application/json":
		partial, ok = parseJSONResponse(text)
	}
	if ok {
		return partial, nil
	}
	return partial, &pipeline.SendError{
		Outcome: pipeline.Hold, Uncertain: true, Status: resp.StatusCode,
		Reason: fmt.Sprintf("%s: it answers %d, but not as OTLP does: %s; check the URL: nothing takes records at "+
			"this address", o.Location(), resp.StatusCode, httpclient.Message(resp, text)),
	}
}

func parseJSONResponse(text []byte) (partial otlplog.PartialSuccess, ok bool) {
	var answer struct {
		PartialSuccess struct {
			Rejected json.Number `json:"rejectedLogRecords"`
			Message  string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return partial, false
	}
	n, err := answer.PartialSuccess.Rejected.Int64()
	partial = otlplog.PartialSuccess{Rejected: n, Message: answer.PartialSuccess.Message}
	return partial, err == nil || answer.PartialSuccess.Rejected == ""
}

// classifyGRPC reads an answer of gRPC, whose status is in the trailers, or in the headers where
// there is no message.
func (o *Output) classifyGRPC(resp *http.Response, text []byte) (otlplog.PartialSuccess, *pipeline.SendError) {
	header := resp.Trailer
	if resp.Header.Get(otlplog.StatusHeader) != "" {
		header = resp.Header
	}
	code := header.Get(otlplog.StatusHeader)
	if code == "" {
		return otlplog.PartialSuccess{}, o.notGRPC(resp, text)
	}
	if code != "0" {
		status := otlplog.ReadStatus(code, header.Get(otlplog.MessageHeader), header.Get(otlplog.DetailsHeader))
		return otlplog.PartialSuccess{}, o.statusError(status)
	}
	partial, ok := o.message(resp.Header, text)
	if !ok {
		o.log.Warn("the receiver has taken records, and what else it says is not understood", "url", o.Location())
	}
	return partial, nil
}

// message reads the message of an answer. Servers in Go compress it as the request was.
func (o *Output) message(h http.Header, text []byte) (partial otlplog.PartialSuccess, ok bool) {
	if len(text) == 0 {
		return partial, true
	}
	if len(text) < otlplog.HeadSize {
		return partial, false
	}
	compressed, size := otlplog.ReadHead(text)
	if text = text[otlplog.HeadSize:]; int64(size) != int64(len(text)) {
		return partial, false
	}
	if compressed {
		plain, err := otlplog.Decompress(nil, text, h.Get("Grpc-Encoding"), httpclient.MaxBody)
		if err != nil {
			return partial, false
		}
		text = plain
	}
	return otlplog.ParseResponse(text)
}

// notGRPC is the error of an answer that has no status.
func (o *Output) notGRPC(resp *http.Response, text []byte) *pipeline.SendError {
	if strings.HasPrefix(mediaType(resp.Header), otlplog.GRPCType) {
		return &pipeline.SendError{
			Uncertain: true, Status: resp.StatusCode, Reason: o.Location() + ": its answer ended without a status",
		}
	}
	return &pipeline.SendError{
		Outcome: pipeline.Hold, Uncertain: true, Status: resp.StatusCode,
		Reason: fmt.Sprintf("%s: it does not answer as gRPC does: %s; set protocol: http, or the port of gRPC",
			o.Location(), httpclient.Message(resp, text)),
	}
}

// statusError returns what a status of gRPC means for a request.
func (o *Output) statusError(s otlplog.Status) *pipeline.SendError {
	e := &pipeline.SendError{
		Reason:     fmt.Sprintf("%s: %s (%s)", o.Location(), httpclient.Clean(s.Message), s.Code),
		RetryAfter: max(0, s.RetryDelay),
	}
	switch s.Code {
	case otlplog.InvalidArgument, otlplog.OutOfRange:
		e.Outcome = pipeline.Bisect
	case otlplog.ResourceExhausted:
		if s.RetryDelay < 0 && tooLarge(s.Message) {
			e.Outcome = pipeline.Split
		}
	case otlplog.Unauthenticated, otlplog.PermissionDenied, otlplog.NotFound, otlplog.Unimplemented:
		e.Outcome = pipeline.Hold
		e.Reason += holdAdvice(s)
	case otlplog.FailedPrecondition:
	case otlplog.Unavailable:
		e.Uncertain = s.RetryDelay < 0 // one who names a pause has taken nothing
	default:
		e.Uncertain = true
	}
	return e
}

// tooLarge reports whether a message says that a request was too large: as Go's, Java's and C++'s
// gRPC say it.
func tooLarge(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "larger than max") || strings.Contains(message, "exceeds maximum") ||
		strings.Contains(message, "too large")
}

func holdAdvice(s otlplog.Status) string {
	switch s.Code {
	case otlplog.Unauthenticated, otlplog.PermissionDenied:
		return "; check auth: it must be someone who may write there"
	case otlplog.Unimplemented:
		if strings.Contains(strings.ToLower(s.Message), "compress") || strings.Contains(s.Message, "encoding") {
			return "; set another compression"
		}
	}
	return "; check the URL: nothing takes logs at this address"
}

// requestError returns what the error of a request means. Who speaks HTTP/2 to what does not, or
// the other way round, has the connection broken off, in many words.
func (o *Output) requestError(err error) *pipeline.SendError {
	e := httpclient.RequestError(err)
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if !e.Uncertain || ended || o.answered.Load() {
		return e
	}
	if o.grpc {
		e.Reason += "; if it speaks HTTP there, and not gRPC, set protocol: http"
	} else {
		e.Reason += "; if it speaks gRPC there, set protocol: grpc"
	}
	return e
}

// Location returns the receiver's URL without secrets.
func (o *Output) Location() string { return httpclient.Location(o.url) }
