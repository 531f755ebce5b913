package otlp

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline/otlplog"
)

const (
	jsonType     = "application/json"
	protobufType = "application/x-protobuf"
)

func (in *input) serveHTTP(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != jsonType && kind != protobufType {
		http.Error(w, "send logs as "+protobufType+" or "+jsonType, http.StatusUnsupportedMediaType)
		return
	}
	w.Header().Set("Content-Type", kind)
	message, release, err := in.hub.ReadBody(w, r, int64(in.config.MaxBodySize))
	if err != nil {
		failHTTP(w, kind, err)
		return
	}
	defer release()
	if kind == jsonType {
		if message, err = otlplog.AppendProtobuf(nil, message); err != nil {
			failHTTP(w, kind, receive.Refuse(http.StatusBadRequest, "%v", err))
			return
		}
	}
	partial, err := in.receive(r, message, release)
	if err != nil {
		failHTTP(w, kind, err)
		return
	}
	_, _ = w.Write(success(kind, partial)) // who has gone has gone
}

// success returns an ExportLogsServiceResponse.
func success(kind string, partial otlplog.PartialSuccess) []byte {
	if kind != jsonType {
		return otlplog.AppendResponse(nil, partial)
	}
	if partial == (otlplog.PartialSuccess{}) {
		return []byte("{}")
	}
	type partialSuccess struct {
		Rejected string `json:"rejectedLogRecords"`
		Message  string `json:"errorMessage"`
	}
	p, _ := json.Marshal(map[string]partialSuccess{"partialSuccess": {strconv.FormatInt(partial.Rejected, 10),
		partial.Message}})
	return p
}

// failHTTP answers with a Status, as OTLP has it over HTTP.
func failHTTP(w http.ResponseWriter, kind string, err error) {
	code, waits := receive.StatusOf(err)
	if !waits {
		panic(http.ErrAbortHandler) // whoever waits yet must not take it for an answer
	}
	status, _ := statusOf(err)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(receive.RetryAfter))
	}
	w.WriteHeader(code)
	if kind == jsonType {
		p, _ := json.Marshal(map[string]any{"code": status.Code, "message": err.Error()})
		_, _ = w.Write(p)
		return
	}
	_, _ = w.Write(otlplog.AppendStatus(nil, status))
}

func (in *input) serveGRPC(w http.ResponseWriter, r *http.Request) {
	message, release, err := in.readGRPC(w, r)
	if err == nil {
		defer release()
		var partial otlplog.PartialSuccess
		if partial, err = in.receive(r, message, release); err == nil {
			answerGRPC(w, otlplog.AppendResponse(nil, partial))
			return
		}
	}
	status, waits := statusOf(err)
	if !waits {
		panic(http.ErrAbortHandler)
	}
	failGRPC(w, status)
}

// headTimeout is how long the head of a message may take to come.
const headTimeout = 30 * time.Second

// readGRPC returns the message of a request.
func (in *input) readGRPC(w http.ResponseWriter, r *http.Request) (message []byte, release func(), err error) {
	within := http.NewResponseController(w)
	_ = within.SetReadDeadline(time.Now().Add(headTimeout))
	defer func() { _ = within.SetReadDeadline(time.Time{}) }()
	var head [otlplog.HeadSize]byte
	if _, err := io.ReadFull(r.Body, head[:]); err != nil {
		return nil, nil, errShort
	}
	compressed, size := otlplog.ReadHead(head[:])
	encoding := ""
	if compressed {
		encoding = r.Header.Get("Grpc-Encoding")
	}
	body := io.LimitReader(r.Body, int64(size))
	message, release, err = in.hub.ReadPacked(body, encoding, int64(size), int64(in.config.MaxBodySize))
	if err == nil && !compressed && len(message) != int(size) {
		release()
		return nil, nil, errShort
	}
	return message, release, err
}

// answerGRPC answers with a message, and that all is well.
func answerGRPC(w http.ResponseWriter, message []byte) {
	w.Header().Set("Content-Type", otlplog.GRPCType)
	answer := make([]byte, otlplog.HeadSize, otlplog.HeadSize+len(message))
	otlplog.PutHead(answer, false, len(message))
	_, _ = w.Write(append(answer, message...))
	w.Header().Set(http.TrailerPrefix+otlplog.StatusHeader, "0")
}

// failGRPC answers with a status.
func failGRPC(w http.ResponseWriter, s otlplog.Status) {
	code, message, details := s.Headers()
	w.Header().Set("Content-Type", otlplog.GRPCType)
	w.Header().Set(otlplog.StatusHeader, code)
	w.Header().Set(otlplog.MessageHeader, message)
	if details != "" {
		w.Header().Set(otlplog.DetailsHeader, details)
	}
	w.WriteHeader(http.StatusOK)
}
