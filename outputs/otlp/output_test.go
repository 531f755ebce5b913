package otlp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/otlplog"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// A receiver keeps what it takes. Its gRPC is Google's, its messages are OpenTelemetry's.
type receiver struct {
	collector.UnimplementedLogsServiceServer
	url    string
	answer func(n int) (*collector.ExportLogsServiceResponse, error) // of the request of n records

	mu    sync.Mutex
	taken []*logs.ResourceLogs
	sizes []int
	close func()
}

func (r *receiver) Export(_ context.Context, req *collector.ExportLogsServiceRequest) (
	*collector.ExportLogsServiceResponse, error,
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, resource := range req.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			n += len(scope.LogRecords)
		}
	}
	r.sizes = append(r.sizes, n)
	if r.answer != nil {
		if resp, err := r.answer(n); resp != nil || err != nil {
			return resp, err
		}
	}
	r.taken = append(r.taken, req.ResourceLogs...)
	return &collector.ExportLogsServiceResponse{}, nil
}

func (r *receiver) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, resource := range r.taken {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				all = append(all, record.Body.GetStringValue())
			}
		}
	}
	return all
}

func newGRPC(t testing.TB, r *receiver) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	collector.RegisterLogsServiceServer(server, r)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	r.close = sync.OnceFunc(func() {
		server.Stop()
		<-ended
	})
	t.Cleanup(r.close)
	r.url = "http://" + l.Addr().String()
	return r
}

// zstdCodec lets Google's gRPC take zstd, as the Collector's does.
type zstdCodec struct{}

func (zstdCodec) Name() string { return "zstd" }

func (zstdCodec) Compress(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }

func (zstdCodec) Decompress(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func TestMain(m *testing.M) {
	encoding.RegisterCompressor(zstdCodec{})
	m.Run()
}

func newHTTP(t testing.TB, r *receiver) *receiver {
	t.Helper()
	server := httptest.NewServer(r)
	r.close = server.Close
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path != "/v1/logs" {
		http.NotFound(w, req)
		return
	}
	body, err := unpack(req)
	request := &collector.ExportLogsServiceRequest{}
	isJSON := req.Header.Get("Content-Type") == "application/json"
	if err == nil && isJSON {
		err = protojson.Unmarshal(body, request) // ids in hex are base64, too
	} else if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	resp, err := r.Export(req.Context(), request)
	if err != nil {
		w.Header().Set("Content-Type", protobufType)
		w.WriteHeader(http.StatusServiceUnavailable)
		p, _ := proto.Marshal(status.Convert(err).Proto())
		w.Write(p)
		return
	}
	w.Header().Set("Content-Type", req.Header.Get("Content-Type"))
	p, _ := proto.Marshal(resp)
	if isJSON {
		p, _ = protojson.Marshal(resp)
	}
	w.Write(p)
}

func unpack(req *http.Request) ([]byte, error) {
	var from io.Reader = req.Body
	switch req.Header.Get("Content-Encoding") {
	case "gzip":
		gz, err := gzip.NewReader(req.Body)
		if err != nil {
			return nil, err
		}
		from = gz
	case "zstd":
		z, err := zstd.NewReader(req.Body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		from = z
	}
	return io.ReadAll(from)
}

func newOutput(t testing.TB, url, settings string) *Output {
	t.Helper()
	config := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("url: %q\n%s", url, settings))
	out, err := config.Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out.(*Output)
}

func TestConformance(t *testing.T) {
	for _, way := range []struct {
		name, settings string
		start          func(testing.TB, *receiver) *receiver
	}{
		{"grpc", "protocol: grpc\ncompression: none", newGRPC},
		{"grpc gzip", "protocol: grpc", newGRPC},
		{"grpc zstd", "protocol: grpc\ncompression: zstd", newGRPC},
		{"http", "compression: none", newHTTP},
		{"http gzip", "", newHTTP},
		{"http zstd", "compression: zstd", newHTTP},
		{"http json", "encoding: json", newHTTP},
	} {
		t.Run(way.name, func(t *testing.T) {
			pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
				r := way.start(t, &receiver{})
				return pipetest.OutputHarness{
					Output: newOutput(t, r.url, way.settings),
					Stored: func(testing.TB) []string { return r.messages() },
					Away:   func(testing.TB) { r.close() },
				}
			})
		})
	}
}

// bodyOf returns a body of n records "line 0", "line 1" and so on, of two services.
func bodyOf(out *Output, n int) *pipeline.Body {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", nil))
	for i := range n {
		r := b.Add(uint64(i), 1_700_000_000e9+int64(i), b.PutString(fmt.Sprintf("line %d", i)))
		r.Service = event.Value{Span: b.PutString([]string{"shop", "till"}[i%2]), Kind: event.Text}
	}
	body, e := &pipeline.Body{}, out.Encoder()
	for i := range b.Records {
		group, err := e.Encode(body, b, i)
		if err != nil {
			panic(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: uint64(i), End: uint32(len(body.Bytes)), Group: group})
	}
	return body
}

func sendError(t testing.TB, out *Output, body *pipeline.Body) *pipeline.SendError {
	t.Helper()
	err := out.Send(t.Context(), body)
	var e *pipeline.SendError
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("Send: %T %v", err, err)
	}
	return e
}

// TestCodes: what each answer of a server of gRPC means.
func TestCodes(t *testing.T) {
	for _, test := range []struct {
		code      codes.Code
		message   string
		delay     time.Duration
		outcome   pipeline.Outcome
		uncertain bool
	}{
		{codes.Unavailable, "away", -1, pipeline.Retry, true},
		{codes.Unavailable, "full", 2 * time.Second, pipeline.Retry, false},
		{codes.Unavailable, "at once", 0, pipeline.Retry, false},
		{codes.ResourceExhausted, "quota", -1, pipeline.Retry, false},
		{codes.ResourceExhausted, "quota", 1500 * time.Millisecond, pipeline.Retry, false},
		{codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)", -1, pipeline.Split, false},
		{codes.DeadlineExceeded, "late", -1, pipeline.Retry, true},
		{codes.Canceled, "", -1, pipeline.Retry, true},
		{codes.Aborted, "", -1, pipeline.Retry, true},
		{codes.DataLoss, "", -1, pipeline.Retry, true},
		{codes.Internal, "50% \u00e9", -1, pipeline.Retry, true},
		{codes.Unknown, "", -1, pipeline.Retry, true},
		{codes.InvalidArgument, "bad", -1, pipeline.Bisect, false},
		{codes.OutOfRange, "bad", -1, pipeline.Bisect, false},
		{codes.Unauthenticated, "who", -1, pipeline.Hold, false},
		{codes.PermissionDenied, "you", -1, pipeline.Hold, false},
		{codes.Unimplemented, "no logs here", -1, pipeline.Hold, false},
	} {
		t.Run(test.code.String(), func(t *testing.T) {
			r := newGRPC(t, &receiver{answer: func(int) (*collector.ExportLogsServiceResponse, error) {
				s := status.New(test.code, test.message)
				if test.delay >= 0 {
					s = withRetryInfo(s, test.delay)
				}
				return nil, s.Err()
			}})
			e := sendError(t, newOutput(t, r.url, "protocol: grpc"), bodyOf(newOutput(t, r.url, "protocol: grpc"), 3))
			if e == nil {
				t.Fatal("Send reports success")
			}
			if e.Outcome != test.outcome || e.Uncertain != test.uncertain || e.RetryAfter != max(0, test.delay) ||
				!strings.Contains(e.Reason, test.message) {
				t.Errorf("got %s, uncertain %v, after %s: %s", e.Outcome, e.Uncertain, e.RetryAfter, e.Reason)
			}
		})
	}
}

// withRetryInfo adds a google.rpc.RetryInfo.
func withRetryInfo(s *status.Status, delay time.Duration) *status.Status {
	d, err := proto.Marshal(durationpb.New(delay))
	if err != nil {
		panic(err)
	}
	info := append([]byte{1<<3 | 2, byte(len(d))}, d...)
	p := s.Proto()
	p.Details = append(p.Details, &anypb.Any{TypeUrl: "type.googleapis.com/google.rpc.RetryInfo", Value: info})
	return status.FromProto(p)
}

// TestHTTPAnswers: what each answer over HTTP means; only what OTLP answers is success.
func TestHTTPAnswers(t *testing.T) {
	full := otlplog.Status{Code: otlplog.Unavailable, Message: "queue is full", RetryDelay: 3 * time.Second}
	for _, test := range []struct {
		name, kind, body string
		status           int
		header           string
		ok               bool
		outcome          pipeline.Outcome
		says             string
		after            time.Duration
	}{
		{name: "empty", status: 200, ok: true},
		{name: "no content", status: 204, ok: true},
		{name: "empty JSON", status: 200, kind: "application/json; charset=utf-8", body: `{}`, ok: true},
		{name: "partial of nothing", status: 200, kind: "application/json", body: `{"partialSuccess":{}}`, ok: true},
		{name: "a page", status: 200, kind: "text/html", body: "<title>Welcome</title>", outcome: pipeline.Hold,
			says: "URL"},
		{name: "words", status: 200, kind: "text/plain", body: "ok", outcome: pipeline.Hold, says: "not as OTLP does"},
		{name: "not protobuf", status: 200, kind: protobufType, body: "\xff", outcome: pipeline.Hold, says: "OTLP"},
		{name: "not JSON", status: 200, kind: "application/json", body: "{", outcome: pipeline.Hold, says: "OTLP"},
		{name: "busy", status: 429, header: "7", outcome: pipeline.Retry, after: 7 * time.Second},
		{name: "gateway", status: 502, outcome: pipeline.Retry},
		{name: "timeout", status: 504, outcome: pipeline.Retry},
		{name: "full", status: 503, kind: protobufType, body: string(otlplog.AppendStatus(nil, full)),
			outcome: pipeline.Retry, says: "queue is full", after: 3 * time.Second},
		{name: "bad", status: 400, kind: protobufType, body: string(otlplog.AppendStatus(nil, otlplog.Status{Code: 3,
			Message: "bad time", RetryDelay: -1})), outcome: pipeline.Bisect, says: "bad time"},
		{name: "too large", status: 413, outcome: pipeline.Split},
		{name: "nobody", status: 401, outcome: pipeline.Hold, says: "auth"},
		{name: "nothing", status: 404, outcome: pipeline.Hold, says: "URL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if test.kind != "" {
					w.Header().Set("Content-Type", test.kind)
				}
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			defer server.Close()
			out := newOutput(t, server.URL, "")
			defer out.Close()
			e := sendError(t, out, bodyOf(out, 3))
			if test.ok {
				if e != nil {
					t.Errorf("Send: %v", e)
				}
				return
			}
			if e == nil || e.Outcome != test.outcome || !strings.Contains(e.Reason, test.says) ||
				e.RetryAfter != test.after {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestPartialSuccess: what the receiver rejects without saying which is a dead letter as a whole,
// never sent again, and the next requests are small until all is taken again.
func TestPartialSuccess(t *testing.T) {
	partial := func(n int64) *collector.ExportLogsServiceResponse {
		return &collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{
			RejectedLogRecords: n, ErrorMessage: "too old"}}
	}
	for protocol, start := range map[string]func(testing.TB, *receiver) *receiver{"grpc": newGRPC, "http": newHTTP} {
		r := start(t, &receiver{})
		out := newOutput(t, r.url, "protocol: "+protocol)
		r.answer = func(n int) (*collector.ExportLogsServiceResponse, error) {
			if len(r.sizes) == 1 {
				return partial(1), nil
			}
			return nil, nil
		}
		e := sendError(t, out, bodyOf(out, 80))
		if e == nil || len(e.Items) != 80 || e.Items[0].Outcome != pipeline.Reject || e.Uncertain ||
			!strings.Contains(e.Items[79].Reason, "1 of the 80") || !strings.Contains(e.Items[0].Reason, "too old") {
			t.Fatalf("got %+v", e)
		}
		if e := sendError(t, out, bodyOf(out, 25)); e != nil {
			t.Errorf("then: %+v", e)
		}
		if diff := cmp.Diff([]int{80, 10, 12, 3}, r.sizes); diff != "" {
			t.Errorf("records of the requests: -want +got\n%s", diff)
		}
		r.answer = func(n int) (*collector.ExportLogsServiceResponse, error) { return partial(int64(n)), nil }
		e = sendError(t, out, bodyOf(out, 2))
		if e == nil || len(e.Items) != 2 || strings.Contains(e.Items[0].Reason, "which") {
			t.Errorf("of two that are both rejected: %+v", e)
		}
		r.answer = func(int) (*collector.ExportLogsServiceResponse, error) { return partial(0), nil }
		if e := sendError(t, out, bodyOf(out, 2)); e != nil {
			t.Errorf("of a warning: %+v", e)
		}
	}
}

// TestIsolatedFailure: a failure among small requests leaves what came before it done.
func TestIsolatedFailure(t *testing.T) {
	r := newGRPC(t, &receiver{})
	out := newOutput(t, r.url, "protocol: grpc")
	out.isolation.size = 4
	r.answer = func(n int) (*collector.ExportLogsServiceResponse, error) {
		switch len(r.sizes) {
		case 2:
			return nil, status.Error(codes.InvalidArgument, "bad")
		case 3, 4: // the halves of it
			return nil, nil
		case 5:
			return nil, status.Error(codes.Unavailable, "away")
		}
		return nil, nil
	}
	e := sendError(t, out, bodyOf(out, 12))
	if e == nil || !e.Uncertain || len(e.Items) == 0 {
		t.Fatalf("got %+v, requests %v", e, r.sizes)
	}
	for k, item := range e.Items {
		if item.Index != 12-len(e.Items)+k || item.Outcome != pipeline.Retry {
			t.Errorf("item %d is %+v", k, item)
		}
	}
	if got := len(r.messages()) + len(e.Items); got != 12 {
		t.Errorf("%d of 12 are stored or sent again; requests %v", got, r.sizes)
	}
}

// TestWrongProtocol: who speaks the other protocol is told which.
func TestWrongProtocol(t *testing.T) {
	r := newHTTP(t, &receiver{})
	out := newOutput(t, r.url, "protocol: grpc")
	if e := sendError(t, out, bodyOf(out, 1)); e == nil ||
		!strings.Contains(e.Reason, "protocol: http") {
		t.Errorf("gRPC to HTTP: %+v", e)
	}
	r = newGRPC(t, &receiver{})
	out = newOutput(t, r.url, "protocol: http")
	if e := sendError(t, out, bodyOf(out, 1)); e == nil ||
		!strings.Contains(e.Reason, "protocol: grpc") {
		t.Errorf("HTTP to gRPC: %+v", e)
	}
}

func TestURLs(t *testing.T) {
	for _, test := range []struct{ url, settings, want string }{
		{"http://c:4317", "", "http://c:4317" + otlplog.ExportPath},
		{"http://c:4318", "", "http://c:4318/v1/logs"},
		{"http://c:4318/v1/logs", "", "http://c:4318/v1/logs"},
		{"https://c/otlp/", "", "https://c/otlp/v1/logs"},
		{"https://c", "protocol: grpc", "https://c" + otlplog.ExportPath},
		{"https://c:4317", "protocol: http\npath: /in", "https://c:4317/in"},
	} {
		out := newOutput(t, test.url, test.settings)
		if got := out.url.String(); got != test.want {
			t.Errorf("%s: %s, want %s", test.url, got, test.want)
		}
		out.Close()
	}
}

func TestCheck(t *testing.T) {
	config := &Config{URL: "http://c:4317", Protocol: "auto", Encoding: "json", Path: "x"}
	var paths []string
	for _, p := range config.Check() {
		paths = append(paths, p.Path)
	}
	if diff := cmp.Diff([]string{"path", "encoding"}, paths); diff != "" {
		t.Error(diff)
	}
}

// FuzzAnswer: whatever a receiver answers, it is success or an error that says what to do.
func FuzzAnswer(f *testing.F) {
	f.Add(200, protobufType, []byte("\x0a\x02\x08\x01"), "", "", "")
	f.Add(200, "application/json", []byte(`{"partialSuccess":{"rejectedLogRecords":"-3"}}`), "", "", "")
	f.Add(200, otlplog.GRPCType, []byte("\x00\x00\x00\x00\x00"), "14", "%zz", "AAAA")
	f.Add(503, protobufType, []byte("\x08\x0e\x12\x01x"), "", "", "")
	grpc, plain := newOutput(f, "http://127.0.0.1:4317", ""), newOutput(f, "http://127.0.0.1:4318", "")
	f.Fuzz(func(t *testing.T, status int, kind string, text []byte, code, message, details string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Trailer: http.Header{
			otlplog.StatusHeader: {code}, otlplog.MessageHeader: {message}, otlplog.DetailsHeader: {details}}}
		for _, out := range []*Output{grpc, plain} {
			partial, e := out.classify(resp, text)
			if e != nil && (e.Reason == "" || e.RetryAfter < 0 || e.RetryAfter > 5*time.Minute) {
				t.Errorf("%+v", e)
			}
			if e == nil && out == plain && status/100 != 2 || e == nil && out == grpc && code != "0" {
				t.Errorf("success: %+v", partial)
			}
			for _, item := range out.rejections(partial, 0, 5) {
				if item.Outcome != pipeline.Reject || item.Index < 0 || item.Index > 4 {
					t.Errorf("%+v", item)
				}
			}
		}
	})
}
