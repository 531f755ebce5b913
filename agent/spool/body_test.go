package spool

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
		if err := ReadBody(AppendBody(nil, want), &got, nil); err != nil {
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
		"another version":         "\x02\x00\x00\x00\x00\x00",
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
		if err := ReadBody([]byte(p), &deliver.Body{}, nil); !errors.Is(err, ErrBody) {
			t.Errorf("%s: error %v, want ErrBody", name, err)
		}
	}
	whole := AppendBody(nil, someBody())
	for size := range whole {
		if err := ReadBody(whole[:size], &deliver.Body{}, nil); !errors.Is(err, ErrBody) {
			t.Errorf("truncated at %d: error %v, want ErrBody", size, err)
		}
	}
}

// FuzzReadBody: whatever is read can be walked, and written and read again.
func FuzzReadBody(f *testing.F) {
	f.Add(AppendBody(nil, someBody()))
	f.Add(AppendBody(nil, &deliver.Body{}))
	f.Fuzz(func(t *testing.T, p []byte) {
		var b deliver.Body
		if ReadBody(p, &b, nil) != nil {
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
		if err := ReadBody(AppendBody(nil, &b), &again, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&b, &again, sameBody); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkAppendBody(b *testing.B) {
	body := someBody()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendBody(dst[:0], body)
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
	if err := ReadBody(r.Data, &b, nil); err != nil {
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
	if again := AppendBody(nil, &b); !bytes.Equal(again, r.Data) {
		t.Error("encoded anew, it has other bytes")
	}
}
