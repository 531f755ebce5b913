package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// sameBody compares bodies but for their tracks.
var sameBody = cmp.Options{
	cmp.AllowUnexported(deliver.Body{}),
	cmpopts.IgnoreUnexported(pipeline.Body{}, event.Source{}),
	cmpopts.IgnoreFields(deliver.Run{}, "Track"),
	cmpopts.IgnoreFields(pipeline.Body{}, "Sources"),
	cmpopts.EquateEmpty(),
}

func someBody() *deliver.Body {
	web := event.NewSource(0xfedcba9876543210, "containers", "web/stdout", []event.Label{
		{Name: event.LabelService, Value: "web"}, {Name: event.LabelHost, Value: "h1"},
	})
	file := event.NewSource(7, "app", "/var/log/app.log", nil)
	b := deliver.NewBody()
	b.Uncertain = true
	one, two := b.Group([]byte(`{service="web"}`)), b.Group([]byte(`{service="app"}`))
	b.Bytes = []byte("firstsecondthird")
	b.Items = []pipeline.Item{{Pos: 1 << 60, End: 5, Group: one}, {Pos: 1<<60 + 9, End: 11, Group: one},
		{Pos: 3, End: 16, Group: two}}
	b.Runs = deliver.Runs{
		{Source: web, First: 0, From: 1<<60 - 5, To: 1<<60 + 20},
		{Source: file, First: 2, From: 0, To: 3},
		{Source: file, First: 2, From: 3, To: 10},
		{Source: web, First: 3, From: 1<<60 + 20, To: 1<<60 + 30},
	}
	return b
}

func TestBodyComesBack(t *testing.T) {
	bodies := map[string]*deliver.Body{
		"empty": {},
		"full":  someBody(),
		"without groups": {
			Body: pipeline.Body{Bytes: []byte("x"), Items: []pipeline.Item{{Pos: 4, End: 1}}},
			Runs: deliver.Runs{{Source: event.NewSource(1, "", "", nil), To: 5}},
		},
	}
	for name, want := range bodies {
		var got deliver.Body
		if err := new(BodyCoder).Read(new(BodyCoder).Append(nil, want), &got, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, &got, sameBody); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestBadBodies(t *testing.T) {
	source := "\x01" + "12345678" + "\x01i\x01k\x00" // one source
	cases := map[string]string{
		"nothing":                 "",
		"another version":         "\x03\x00\x00\x00\x00\x00",
		"more sources than bytes": "\x01\x00\x7f",
		"a string beyond the end": "\x01\x00\x01" + "12345678" + "\x7f",
		"two groups of one name":  "\x01\x00\x00\x02\x01g\x01g\x00\x00",
		"a run of no source":      "\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00",
		"a run that ends before itself": "\x01\x00" + source + "\x00\x01\x00\x00\x01" +
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + "\x00",
		"a run beyond the items":     "\x01\x00" + source + "\x00\x01\x00\x01\x00\x01\x00",
		"an item of no run":          "\x01\x00\x00\x00\x00\x01\x00\x01\x00x",
		"items before the first run": "\x01\x00" + source + "\x00\x01\x00\x01\x00\x01\x01\x00\x01\x00x",
		"an item of no group":        "\x01\x00" + source + "\x00\x01\x00\x00\x00\x01\x01\x00\x01\x01x",
		"fewer bytes than the items": "\x01\x00" + source + "\x00\x01\x00\x00\x00\x01\x01\x00\x02\x00x",
		"more bytes than the items":  "\x01\x00" + source + "\x00\x01\x00\x00\x00\x01\x01\x00\x01\x00xy",
	}
	for name, p := range cases {
		if err := new(BodyCoder).Read([]byte(p), &deliver.Body{}, nil); !errors.Is(err, ErrBody) {
			t.Errorf("%s: error %v, want ErrBody", name, err)
		}
	}
	whole := new(BodyCoder).Append(nil, someBody())
	for size := range whole {
		if err := new(BodyCoder).Read(whole[:size], &deliver.Body{}, nil); !errors.Is(err, ErrBody) {
			t.Errorf("truncated at %d: error %v, want ErrBody", size, err)
		}
	}
}

// manyLines returns a body as an output makes it of a log.
func manyLines(n int) *deliver.Body {
	b := deliver.NewBody()
	group := b.Group([]byte(`{service="web"}`))
	src := event.NewSource(7, "app", "/var/log/app.log", nil)
	for i := range n {
		b.Bytes = fmt.Appendf(b.Bytes, `{"time":"2026-03-01T12:00:00.%06dZ","level":"info","msg":"order %d accepted"}`,
			i*37, i*i%100_003)
		b.Items = append(b.Items, pipeline.Item{Pos: uint64(i * 80), End: uint32(len(b.Bytes)), Group: group})
	}
	b.Runs = deliver.Runs{{Source: src, To: uint64(n * 80)}}
	return b
}

// TestBodiesArePacked, but for those that would take more memory to unpack than a file may have us
// take; both come back, as do those of before.
func TestBodiesArePacked(t *testing.T) {
	var coder BodyCoder
	for lines, most := range map[int]float64{5_000: 0.3, 60_000: 1} {
		want := manyLines(lines)
		plain, record := appendPlain(nil, want), coder.Append(nil, want)
		if share := float64(len(record)) / float64(len(plain)); share > most {
			t.Errorf("%d lines: a record has %.2f of its plain bytes, want %.2f", lines, share, most)
		}
		for _, r := range [][]byte{record, plain} {
			got := deliver.NewBody()
			if err := coder.Read(r, got, nil); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes, want.Bytes) || !slices.Equal(got.Items, want.Items) {
				t.Errorf("%d lines: %d bytes and %d items come back", lines, len(got.Bytes), len(got.Items))
			}
		}
	}
}

// TestBombs: a few bytes that say they are many are no body, and cost nothing.
func TestBombs(t *testing.T) {
	var coder BodyCoder
	honest := append([]byte{packedVersion}, s2.Encode(nil, make([]byte, maxPacked+1))...)
	liar := binary.AppendUvarint([]byte{packedVersion}, 1<<31)
	for name, record := range map[string][]byte{"honest": honest, "liar": append(liar, 0, 1, 2)} {
		n := testing.AllocsPerRun(1, func() {
			if err := coder.Read(record, &deliver.Body{}, nil); !errors.Is(err, ErrBody) {
				t.Errorf("%s: error %v, want ErrBody", name, err)
			}
		})
		if cap(coder.plain) > 0 || n > 20 {
			t.Errorf("%s: %d bytes were taken, in %v pieces", name, cap(coder.plain), n)
		}
	}
}

// FuzzReadBody: whatever is read can be walked, and written and read again.
func FuzzReadBody(f *testing.F) {
	f.Add(new(BodyCoder).Append(nil, someBody()))
	f.Add(new(BodyCoder).Append(nil, &deliver.Body{}))
	f.Add(new(BodyCoder).Append(nil, manyLines(3)))
	f.Add(appendPlain(nil, someBody()))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 0 && p[0]%2 > 0 { // a body that the fuzzer can change, packed
			p = append([]byte{packedVersion}, s2.Encode(nil, p)...)
		}
		var b deliver.Body
		if new(BodyCoder).Read(p, &b, nil) != nil {
			return
		}
		var joined []byte
		for i := range b.Items {
			joined = append(joined, b.Item(i)...)
			if len(b.Groups) > 0 {
				_ = b.Groups[b.Items[i].Group]
			}
		}
		if !bytes.Equal(joined, b.Bytes) {
			t.Fatal("the items are not the bytes")
		}
		first := 0
		for _, r := range b.Runs {
			if r.First < first || r.First > len(b.Items) || r.From > r.To {
				t.Fatalf("run %+v of %d items", r, len(b.Items))
			}
			first = r.First
		}
		var again deliver.Body
		if err := new(BodyCoder).Read(new(BodyCoder).Append(nil, &b), &again, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&b, &again, sameBody); diff != "" {
			t.Fatal(diff)
		}
	})
}

// BenchmarkBodies also shows how many bytes a line of JSON or text takes on disk: 3,000 lines with
// trace ids, of some 190 bytes, as one body.
func BenchmarkBodies(b *testing.B) {
	const lines = 3000
	for name, format := range map[string]string{
		"json": `{"time":"2026-03-01T12:00:00.%06dZ","level":"info","msg":"order %d accepted by payment",` +
			`"trace_id":"%016x%016x","path":"/api/v1/items/%d"}` + "\n",
		"text": "2026-03-01 12:00:00.%06d INFO [http-nio-8080-exec-3] com.example.shop.OrderService - order %d " +
			"accepted by payment, trace_id=%016x%016x, item %d\n",
	} {
		rnd := rand.New(rand.NewPCG(1, 2))
		body := manyLines(lines)
		body.Bytes = body.Bytes[:0]
		for i := range body.Items {
			body.Bytes = fmt.Appendf(body.Bytes, format, i*37, i, rnd.Uint64(), rnd.Uint64(), rnd.IntN(100_000))
			body.Items[i].End = uint32(len(body.Bytes))
		}
		var coder BodyCoder
		record := coder.Append(nil, body)
		measure := func(b *testing.B, do func()) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
			b.ReportMetric(float64(len(record))/lines, "B/line")
		}
		b.Run(name+"/append", func(b *testing.B) {
			measure(b, func() { record = coder.Append(record[:0], body) })
		})
		b.Run(name+"/read", func(b *testing.B) {
			into := deliver.NewBody()
			measure(b, func() {
				into.Reset()
				if err := coder.Read(record, into, nil); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// TestReadsEarlierFile: the segment in testdata was written before the first release, for
// Elasticsearch.
func TestReadsEarlierFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	s, err := Open(disk.OS{}, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, ok, err := s.Next(nil)
	if err != nil || !ok {
		t.Fatalf("there is a record: %v, %v", ok, err)
	}
	var b deliver.Body
	if err := new(BodyCoder).Read(r.Data, &b, nil); err != nil {
		t.Fatal(err)
	}
	run := b.Runs[0]
	if run.Source.ID != 0x88e77a1e50c9074c || run.Source.Key != "/var/log/app/a.log" || run.From != 90048 ||
		run.To != 93532 {
		t.Errorf("the first run is %+v of %+v", run, run.Source)
	}
	if len(b.Items) != 19 || !bytes.Contains(b.Item(0), []byte("failed 436 000")) {
		t.Errorf("it has %d items, the first %s", len(b.Items), b.Item(0))
	}
	if again := appendPlain(nil, &b); !bytes.Equal(again, r.Data) {
		t.Error("encoded anew, it has other bytes")
	}
}
