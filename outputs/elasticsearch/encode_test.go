package elasticsearch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func output(t testing.TB, c Config) *Output {
	t.Helper()
	d := pipetest.Config[*Config](t, Spec(), "urls: ['http://127.0.0.1:1']")
	if c.URLs == nil {
		c.URLs = d.URLs
	}
	c.Proxy, c.MaxIndices, c.Level = "none", cmp.Or(c.MaxIndices, d.MaxIndices), cmp.Or(c.Level, d.Level)
	c.Timeout = cmp.Or(c.Timeout, d.Timeout)
	out, err := c.Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})
	return out.(*Output)
}

// encode puts records into a body, as package deliver does.
func encode(t testing.TB, o *Output, batches ...*event.Batch) *pipeline.Body {
	t.Helper()
	body := &pipeline.Body{}
	encoder := o.Encoder()
	for _, b := range batches {
		for i := range b.Records {
			group, err := encoder.Encode(body, b, i)
			if err != nil {
				t.Fatal(err)
			}
			body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)),
				Group: group})
		}
	}
	return body
}

func TestEncode(t *testing.T) {
	t.Parallel()
	labels := []event.Label{{Name: "host.name", Value: "web-1"}}
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{
			"usual", Config{DocumentIDs: true},
			`{"create":{"_index":"logs-longshore-default","_id":"AAAAAAAAAAcAAAAAAAAAKg"}}` + "\n" +
				`{"@timestamp":"2024-02-29T12:30:15.123Z","timestamp":"2024-02-29T12:30:15.123Z","level":"warn",` +
				`"message":"the raw line","service":"shop","host.name":"web-1","a":"\"1\""}` + "\n",
		},
		{
			"no ids, a dated index", Config{Index: "logs-{service}-{yyyy.MM.dd}"},
			`{"create":{"_index":"logs-shop-2024.02.29"}}` + "\n" +
				`{"@timestamp":"2024-02-29T12:30:15.123Z","timestamp":"2024-02-29T12:30:15.123Z","level":"warn",` +
				`"message":"the raw line","service":"shop","host.name":"web-1","a":"\"1\""}` + "\n",
		},
		{
			"ecs", Config{Schema: "ecs"},
			`{"create":{"_index":"logs-longshore-default"}}` + "\n" +
				`{"@timestamp":"2024-02-29T12:30:15.123Z","log.level":"warn","message":"the raw ` +
				`line","ecs.version":"8.11.0","service.name":"shop","host.name":"web-1","host.hostname":"web-1",` +
				`"a":"\"1\""}` + "\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := output(t, tt.config)
			body := encode(t, o, aRecord(noon, labels, "service", "shop", "a", `"1"`))
			if got := string(body.Bytes); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			_, document, _ := strings.Cut(tt.want, "\n")
			if got := string(o.Original(body, 0)); got+"\n" != document {
				t.Errorf("the original is %s", got)
			}
		})
	}
}

// TestEncodeNames checks that what an encoder remembers of names is right for each record: sources,
// days and fields change from one to the next.
func TestEncodeNames(t *testing.T) {
	t.Parallel()
	o := output(t, Config{Index: "logs-{host.name}-{yyyy.MM.dd.HH}"})
	a, b := []event.Label{{Name: "host.name", Value: "a"}}, []event.Label{{Name: "host.name", Value: "b"}}
	batches := []*event.Batch{
		aRecord(noon, a), aRecord(noon.Add(time.Minute), a), aRecord(noon.Add(time.Hour), a), aRecord(noon, b),
		aRecord(noon, a), aRecord(time.Unix(0, -1), a), aRecord(time.Unix(0, 0), a),
	}
	// One source, so that only the time tells the records apart.
	for _, other := range []int{1, 2, 4, 5, 6} {
		batches[other].Source = batches[0].Source
	}
	body := encode(t, o, batches...)
	want := []string{"logs-a-2024.02.29.12", "logs-a-2024.02.29.12", "logs-a-2024.02.29.13", "logs-b-2024.02.29.12",
		"logs-a-2024.02.29.12", "logs-a-1969.12.31.23", "logs-a-1970.01.01.00"}
	for i := range body.Items {
		var action struct {
			Create struct {
				Index string `json:"_index"`
			}
		}
		line, _, _ := bytes.Cut(body.Item(i), []byte("\n"))
		if err := json.Unmarshal(line, &action); err != nil || action.Create.Index != want[i] {
			t.Errorf("record %d: got %s, %v, want %s", i, line, err, want[i])
		}
	}
}

// FuzzEncode: a record is two lines of JSON, whatever is in it.
func FuzzEncode(f *testing.F) {
	f.Add("shop", "key", "value\n", int64(0))
	f.Add("\xff\n/", "\n", "\r", int64(-1))
	o := output(f, Config{DocumentIDs: true, Index: "logs-{service}-{yyyy}-{k}"})
	f.Fuzz(func(t *testing.T, service, key, value string, at int64) {
		b := aRecord(time.Unix(0, at), nil, "service", service, "k", value)
		b.AddField(0, event.Value{Span: b.PutString(key), Kind: event.Text},
			event.Value{Span: b.PutString(value), Kind: event.Text})
		body := encode(t, o, b)
		lines := bytes.SplitAfter(body.Bytes, []byte("\n"))
		if len(lines) != 3 || len(lines[2]) != 0 || !json.Valid(lines[0]) || !json.Valid(lines[1]) {
			t.Errorf("got %q", body.Bytes)
		}
	})
}

func usual() *event.Batch {
	b := aRecord(noon, []event.Label{{Name: "host.name", Value: "web-1"},
		{Name: "filename", Value: "/var/log/app/checkout.log"}},
		"service", "checkout", "method", "GET", "path", "/api/v1/orders/81723", "user_id", "u-2231", "duration_ms",
		"12.7",
		"status", "200")
	r := &b.Records[0]
	r.Message = event.Value{Span: b.PutString("request served without trouble"), Kind: event.Plain}
	r.TraceID, r.Flags = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, event.HasTrace
	return b
}

func TestEncodingAllocatesNothing(t *testing.T) {
	for name, index := range map[string]string{"steady": "", "by field": "logs-{service}-{yyyy.MM.dd}"} {
		b := usual()
		wantNoAllocations(t, name, output(t, Config{DocumentIDs: true, Index: index}).Encoder(), b)
	}
}

func wantNoAllocations(t *testing.T, name string, encoder pipeline.Encoder, b *event.Batch) {
	t.Helper()
	body := &pipeline.Body{Bytes: make([]byte, 0, 4096)}
	encodeOne := func() {
		body.Bytes = body.Bytes[:0]
		if _, err := encoder.Encode(body, b, 0); err != nil {
			t.Fatal(err)
		}
	}
	encodeOne()
	if n := testing.AllocsPerRun(100, encodeOne); n != 0 {
		t.Errorf("%s: encoding a record allocates %v times", name, n)
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, config := range map[string]Config{
		"default": {DocumentIDs: true}, "ecs": {DocumentIDs: true, Schema: "ecs"},
		"by field": {DocumentIDs: true, Index: "logs-{service}-{yyyy.MM.dd}"},
	} {
		b.Run(name, func(b *testing.B) {
			batch := usual()
			encoder := output(b, config).Encoder()
			body := &pipeline.Body{Bytes: make([]byte, 0, 4096)}
			b.ReportAllocs()
			for b.Loop() {
				body.Bytes = body.Bytes[:0]
				_, _ = encoder.Encode(body, batch, 0)
			}
			b.SetBytes(int64(len(body.Bytes)))
		})
	}
}

// BenchmarkCompress weighs the levels: records a second, and how small.
func BenchmarkCompress(b *testing.B) {
	raw := sample(b, output(b, Config{DocumentIDs: true}), 2500).Bytes
	for _, level := range []int{1, 2, 3, 5, 6} {
		b.Run("level"+string(rune('0'+level)), func(b *testing.B) {
			c := &compressor{level: level}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			small := 0
			for b.Loop() {
				out, done, err := c.compress(raw)
				if err != nil {
					b.Fatal(err)
				}
				small = len(out)
				done()
			}
			b.ReportMetric(float64(len(raw))/float64(small), "ratio")
		})
	}
}

// sample returns a body of n records that differ as those of a service do.
func sample(t testing.TB, o *Output, n int) *pipeline.Body {
	t.Helper()
	b := usual()
	one := b.Records[0]
	for i := 1; i < n; i++ {
		r := one
		r.Pos += uint64(i) * 220
		r.Time += int64(i) * 1_234_567
		for k := range r.TraceID {
			r.TraceID[k] = byte(i * (k + 7) * 31 >> (k % 3))
		}
		b.Records = append(b.Records, r)
	}
	return encode(t, o, b)
}
