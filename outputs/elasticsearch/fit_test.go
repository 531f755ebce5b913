package elasticsearch

import (
	"bytes"
	"testing"

	"github.com/longshore/longshore/outputs/elasticsearch/mapping"
	"github.com/longshore/longshore/outputs/elasticsearch/mapping/mappingtest"
	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// asFields returns a record whose fields are those of a line of JSON, as a parser leaves them.
func asFields(line string, labels []event.Label) *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "app", "/a.log", labels))
	b.Add(1, noon.UnixNano(), b.PutString(line))
	json.New(nil).Parse(b, 0)
	return b
}

// TestEncodedDocumentsFit: whatever a record and its labels are, its document fits an empty index,
// in every schema, whether a look at its fields was enough or not.
func TestEncodedDocumentsFit(t *testing.T) {
	t.Parallel()
	labels := map[string][]event.Label{
		"usual": {{Name: "host.name", Value: "web-1"}, {Name: "filename", Value: "/a.log"}},
		"at odds": {{Name: "a", Value: "1"}, {Name: "a.b", Value: "2"}, {Name: "host.name", Value: "3"},
			{Name: "host.name.x", Value: "4"}, {Name: "service.x.y", Value: "5"}, {Name: "_id", Value: "6"}},
	}
	for _, schema := range []string{"default", "ecs", "otel"} {
		o := output(t, Config{DocumentIDs: true, Schema: schema})
		fitter := mapping.New(true)
		for name, labels := range labels {
			encoder := o.Encoder()
			for _, line := range append(mappingtest.Awkward(), mappingtest.Random(2, 500)...) {
				body := &pipeline.Body{}
				if _, err := encoder.Encode(body, asFields(line, labels), 0); err != nil {
					t.Fatal(err)
				}
				_, document, _ := bytes.Cut(body.Bytes, []byte("\n"))
				if !fitter.Fits(bytes.TrimSpace(document)) {
					t.Errorf("%s, labels %s: %.500s\n%.1500s", schema, name, line, document)
				}
			}
		}
	}
}

// nestedLine is a line with an object, an array and names with dots.
const nestedLine = `{"msg":"order placed","level":"info","customer.id":7,"customer.name":"ann","status":200,` +
	`"order":{"id":"A-17","total":17.5,"lines":{"sku":"x","count":1},"tags":["a","b"]},"ids":[1,2,3]}`

func TestEncodingObjectsAllocatesNothing(t *testing.T) {
	encoder := output(t, Config{DocumentIDs: true}).Encoder()
	for _, line := range []string{nestedLine, `{"lines":[{"sku":"x"},{"sku":"y"}],"at":["2026-01-01"]}`} {
		wantNoAllocations(t, line, encoder, asFields(line, nil))
	}
}

func BenchmarkEncodeNested(b *testing.B) {
	batch := asFields(nestedLine, []event.Label{{Name: "host.name", Value: "web-1"}})
	encoder := output(b, Config{DocumentIDs: true}).Encoder()
	body := &pipeline.Body{Bytes: make([]byte, 0, 4096)}
	b.ReportAllocs()
	for b.Loop() {
		body.Bytes = body.Bytes[:0]
		_, _ = encoder.Encode(body, batch, 0)
	}
	b.SetBytes(int64(len(body.Bytes)))
}
