package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	jsonparser "github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/otlplog"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// newInput returns an input that listens at a free port.
func newInput(t testing.TB, settings string) (in *input, address func() string) {
	t.Helper()
	env := pipetest.Env(t)
	var mu sync.Mutex
	found := ""
	env.Found = func(what string) {
		mu.Lock()
		defer mu.Unlock()
		found = strings.TrimPrefix(what, "listening on ")
	}
	config := pipetest.Config[*Config](t, Spec(), "listen: [127.0.0.1:0]\n"+settings)
	made, err := config.Input(env)
	if err != nil {
		t.Fatal(err)
	}
	return made.(*input), func() string {
		for range 1000 {
			mu.Lock()
			at := found
			mu.Unlock()
			if at != "" {
				return at
			}
			<-time.After(5 * time.Millisecond)
		}
		t.Fatal("it does not listen")
		return ""
	}
}

func str(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func pair(key string, v *common.AnyValue) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: v}
}

func requestOf(lines ...string) *collector.ExportLogsServiceRequest {
	var records []*logs.LogRecord
	for i, line := range lines {
		records = append(records, &logs.LogRecord{TimeUnixNano: uint64(1_700_000_000e9 + i), Body: str(line)})
	}
	return &collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &resource.Resource{Attributes: []*common.KeyValue{pair("service.name", str("shop"))}},
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}},
	}}}
}

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		var address func() string
		var acknowledged atomic.Int64
		ctx, cancel := context.WithCancel(context.Background())
		var sending sync.WaitGroup
		t.Cleanup(func() {
			cancel()
			sending.Wait()
		})
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		return pipetest.InputHarness{
			New: func(t testing.TB) pipeline.Input {
				in, at := newInput(t, "")
				address = at
				return in
			},
			Write: func(t testing.TB, lines ...string) {
				at := address()
				lines = slices.Clone(lines)
				for i := range lines {
					lines[i] = string([]rune(lines[i]))
				}
				p, err := proto.Marshal(requestOf(lines...))
				if err != nil {
					t.Fatal(err)
				}
				sending.Go(func() {
					to := "http://" + at + httpPath
					req, _ := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(p))
					req.Header.Set("Content-Type", protobufType)
					req.Header.Set(otlplog.SenderHeader, "me") // so that its requests are in order
					resp, err := transport.RoundTrip(req)
					if err != nil {
						return
					}
					defer resp.Body.Close()
					io.Copy(io.Discard, resp.Body)
					if resp.StatusCode == http.StatusOK {
						acknowledged.Add(int64(len(lines)))
					}
				})
			},
			Acknowledged: func() int { return int(acknowledged.Load()) },
			Text:         true,
		}
	})
}

// started runs an input whose records are done as soon as they come.
func started(t testing.TB, settings string) (*pipetest.Feed, string) {
	t.Helper()
	in, address := newInput(t, settings)
	feed := pipetest.NewFeed(t)
	feed.CommitTo(in)
	feed.AckAtOnce()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return feed, address()
}

func linesOf(feed *pipetest.Feed) []string {
	var lines []string
	for _, got := range feed.Got() {
		lines = append(lines, got.Line)
	}
	return lines
}

// TestGRPC: Google's own client sends, plain and compressed, and hears what is wrong.
func TestGRPC(t *testing.T) {
	feed, address := started(t, "max_body_size: 64KiB")
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := collector.NewLogsServiceClient(conn)
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		resp, err := client.Export(t.Context(), requestOf("a", "b"), options...)
		if err != nil || resp.PartialSuccess != nil {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "a", "b"}, linesOf(feed)); diff != "" {
		t.Error(diff)
	}
	_, err = client.Export(t.Context(), requestOf(strings.Repeat("x", 70<<10)))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	_, err = client.Export(t.Context(), requestOf(strings.Repeat("x", 10<<20)), grpc.UseCompressor(gzip.Name))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large, unpacked: %v", err)
	}
	err = conn.Invoke(t.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", requestOf(),
		&collector.ExportLogsServiceResponse{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("traces: %v", err)
	}
}

// TestHTTP: both encodings, and what is wrong.
func TestHTTP(t *testing.T) {
	feed, address := started(t, "")
	post := func(kind string, body []byte) (int, string) {
		resp, err := http.Post("http://"+address+httpPath, kind, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	request := requestOf("a", "b \u00e9\n")
	inJSON, _ := protojson.Marshal(request)
	inProtobuf, _ := proto.Marshal(request)
	if code, text := post(protobufType, inProtobuf); code != 200 || text != "" {
		t.Errorf("protobuf: %d %q", code, text)
	}
	if code, text := post("application/json; charset=utf-8", inJSON); code != 200 || text != "{}" {
		t.Errorf("JSON: %d %q", code, text)
	}
	if diff := cmp.Diff([]string{"a", "b é\n", "a", "b é\n"}, linesOf(feed)); diff != "" {
		t.Error(diff)
	}
	bad := append([]byte(nil), inProtobuf...)
	if code, _ := post(protobufType, bad[:len(bad)-1]); code != http.StatusBadRequest {
		t.Errorf("cut off: %d", code)
	}
	if code, _ := post(jsonType, inJSON[1:]); code != http.StatusBadRequest {
		t.Errorf("no JSON: %d", code)
	}
	if code, _ := post("text/plain", nil); code != http.StatusUnsupportedMediaType {
		t.Errorf("text: %d", code)
	}
	// One record is malformed inside, and the other one is taken.
	one, _ := proto.Marshal(requestOf("c").ResourceLogs[0].ScopeLogs[0].LogRecords[0])
	scope := append([]byte{2<<3 | 2, byte(len(one))}, one...)
	scope = append(scope, 2<<3|2, 2, 5<<3|2, 9)
	whole := append([]byte{2<<3 | 2, byte(len(scope))}, scope...)
	whole = append([]byte{1<<3 | 2, byte(len(whole))}, whole...)
	code, text := post(protobufType, whole)
	if partial, ok := otlplog.ParseResponse([]byte(text)); code != 200 || !ok || partial.Rejected != 1 {
		t.Errorf("a bad record: %d %q", code, text)
	}
	if lines := linesOf(feed); lines[len(lines)-1] != "c" || len(lines) != 5 {
		t.Errorf("beside a bad record: %q", lines)
	}
}

// TestManySmallRecords: a message of nothing but records costs bounded memory.
func TestManySmallRecords(t *testing.T) {
	_, address := started(t, "max_body_size: 1MiB")
	scope := bytes.Repeat([]byte{2<<3 | 2, 0}, 500_000)
	p := appendField(nil, 1, appendField(nil, 2, scope))
	resp, err := http.Post("http://"+address+httpPath, protobufType, bytes.NewReader(p))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", resp.StatusCode)
	}
}

func appendField(dst []byte, number int, p []byte) []byte {
	dst = append(dst, byte(number<<3|2))
	for n := len(p); ; n >>= 7 {
		if n < 0x80 {
			dst = append(dst, byte(n))
			break
		}
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, p...)
}

// decoded returns the records that a message becomes, in the default shape, and their identities.
func decoded(t testing.TB, message []byte) (records []string, identities []string, partial otlplog.PartialSuccess) {
	t.Helper()
	in, _ := newInput(t, "")
	feed := &keeping{Feed: pipetest.NewFeed(t), hub: in}
	feed.CommitTo(in)
	feed.AckAtOnce()
	if err := in.hub.Begin(t.Context(), feed, "otlp"); err != nil {
		t.Fatal(err)
	}
	partial, err := in.receive(httptest.NewRequest(http.MethodPost, "/", nil), message, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range feed.batches {
		for i := range b.Records {
			id, pos := b.IdentityOf(i)
			identities = append(identities, fmt.Sprintf("%s %d", id, pos))
			records = append(records, string(event.AppendRecord(nil, b, i, true)))
		}
	}
	return records, identities, partial
}

// keeping keeps a copy of each batch.
type keeping struct {
	*pipetest.Feed
	hub     pipeline.Committer
	mu      sync.Mutex
	batches []*event.Batch
}

func (k *keeping) Send(ctx context.Context, b *event.Batch) error {
	k.mu.Lock()
	c := &event.Batch{}
	c.CopyFrom(b)
	k.batches = append(k.batches, c)
	k.mu.Unlock()
	return k.Feed.Send(ctx, b)
}

// TestRecords: what of OTLP becomes what.
func TestRecords(t *testing.T) {
	scope := &common.InstrumentationScope{Name: "my.logger"}
	all := &collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{
			pair("service.name", str("shop")), pair("host.name", str("web-1")),
			pair("container.image.name", str("shop:1")),
			pair("telemetry.sdk.name", str("otel")),
		}},
		ScopeLogs: []*logs.ScopeLogs{{Scope: scope, LogRecords: []*logs.LogRecord{{
			TimeUnixNano: 1_700_000_000_123_456_789, SeverityNumber: 14, SeverityText: "WARN2",
			Body:    str("it \"is\" full"),
			TraceId: bytes.Repeat([]byte{0xab}, 16), SpanId: bytes.Repeat([]byte{0xcd}, 8), Flags: 1,
			Attributes: []*common.KeyValue{
				pair("n", &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: -5}}),
				pair("x", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 1.5}}),
				pair("raw", &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{0, 255}}}),
				pair("o", &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{
					Values: []*common.KeyValue{pair("a", str("b")), pair("c", &common.AnyValue{})}}}}),
				pair("log.file.path", str("/x.log")), pair("log.iostream", str("stderr")),
				pair("level", str("mine")),
			},
		}}}},
	}, {
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{
			{ObservedTimeUnixNano: 1_700_000_000_000_000_000, Body: str(`{"level":"info","msg":"a line"}`)},
			{TimeUnixNano: 1_700_000_000_000_000_000, SeverityText: "err", Body: &common.AnyValue{
				Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{
					Values: []*common.AnyValue{str("a")}}}}},
		}}},
	}}}
	p, err := proto.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	got, _, _ := decoded(t, p)
	want := []string{
		`{"timestamp":"2023-11-14T22:13:20.123456789Z","level":"warn","message":"it \"is\" full","service":"shop",` +
			`"trace_id":"abababababababababababababababab","span_id":"cdcdcdcdcdcdcdcd","container.image":"shop:1",` +
			`"filename":"/x.log","host.name":"web-1","stream":"stderr","severity_text":"WARN2","trace_flags":"01",` +
			`"telemetry.sdk.name":"otel","otel.scope.name":"my.logger","n":-5,"x":1.5,"raw":"AP8=",` +
			`"o":{"a":"b","c":null},"level_original":"mine"}`,
		`{"timestamp":"2023-11-14T22:13:20.000Z","message":"{\"level\":\"info\",\"msg\":\"a line\"}"}`,
		`{"timestamp":"2023-11-14T22:13:20.000Z","level":"error","message":"[\"a\"]","severity_text":"err"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFromLongshore: what another Longshore sends is the same record here, of the same source and
// position.
func TestFromLongshore(t *testing.T) {
	labels := []event.Label{
		{Name: event.LabelFile, Value: "/x.log"}, {Name: event.LabelService, Value: "api"},
		{Name: "env", Value: "prod"}, {Name: event.LabelImage, Value: "i"},
	}
	b := &event.Batch{}
	b.Reset(event.NewSource(0xfedcba9876543210, "app", "/x.log", labels))
	parser := jsonparser.New(nil)
	lines := append(slices.Clone(pipetest.HostileLines), `{"msg":"x","n":1.5,"o":{"k":[1,"é"]},"service":"own",`+
		`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","level":"error"}`)
	for i, line := range lines {
		b.Add(uint64(1000+i), 1_700_000_000e9+int64(i), b.PutString(line))
		parser.Parse(b, i)
	}
	b.Records[3].Flags |= event.Truncated | event.OddTime
	e := otlplog.NewSourceEncoder(b.Source, true)
	var parts []otlplog.Part
	var want []string
	for i := range b.Records {
		parts = append(parts, otlplog.Part{Group: string(e.AppendResource(nil, b, i)),
			Items: [][]byte{e.AppendRecord(nil, b, i, 1)}})
		want = append(want, string(event.AppendRecord(nil, b, i, true)))
	}
	got, identities, partial := decoded(t, otlplog.AppendRequest(nil, otlplog.Scope{Name: "longshore"}, parts))
	if partial.Rejected != 0 {
		t.Errorf("%+v", partial)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, identity := range identities {
		if want := fmt.Sprintf("fedcba9876543210 %d", 1000+i); identity != want {
			t.Errorf("record %d is known as %s, want %s", i, identity, want)
		}
	}
}

// FuzzDecode: whatever a message is, what becomes of it is valid, and of what OpenTelemetry's own
// messages read nothing is missing.
func FuzzDecode(f *testing.F) {
	whole, _ := proto.Marshal(requestOf("a", "b"))
	f.Add(whole, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`))
	f.Add([]byte("\x0a\x00\x12\x01\x00"), []byte(`{"resourceLogs":[null,{"resource":{}}],"x":1}`))
	in, _ := newInput(f, "")
	feed := &keeping{Feed: pipetest.NewFeed(f)}
	feed.CommitTo(in)
	feed.AckAtOnce()
	if err := in.hub.Begin(f.Context(), feed, "otlp"); err != nil {
		f.Fatal(err)
	}
	check := func(t *testing.T, p []byte) {
		feed.batches = nil
		partial, err := in.receive(httptest.NewRequest(http.MethodPost, "/", nil), p, func() {})
		n := 0
		for _, b := range feed.batches {
			for i := range b.Records {
				n++
				for _, schema := range []event.Schema{event.DefaultSchema, event.ECS, event.OTel} {
					if text := schema.Append(nil, b, i, true); !json.Valid(text) {
						t.Fatalf("%q is written as %q", p, text)
					}
				}
			}
		}
		all := &collector.ExportLogsServiceRequest{}
		if proto.Unmarshal(p, all) != nil || err != nil {
			return
		}
		want := 0
		for _, r := range all.ResourceLogs {
			for _, s := range r.ScopeLogs {
				want += len(s.LogRecords)
			}
		}
		if int64(n)+partial.Rejected != int64(want) {
			t.Errorf("%q: %d records and %d rejected of %d", p, n, partial.Rejected, want)
		}
	}
	f.Fuzz(func(t *testing.T, p, text []byte) {
		check(t, p)
		if made, err := otlplog.AppendProtobuf(nil, text); err == nil {
			check(t, made)
		}
	})
}
