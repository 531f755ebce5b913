package event_test

import (
	"encoding/json"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

func TestAppendOTel(t *testing.T) {
	t.Parallel()
	const head = `{"@timestamp":"2023-11-14T22:13:20.123Z"`
	tests := []struct {
		name string
		in   line
		want string
	}{
		{"a raw line", line{time: noon}, head + `,"body":{"text":"the raw ` +
			`line"},"resource":{"attributes":{"service.name":"unknown_service"}}}`},
		{
			"everything",
			line{
				time: noon, level: event.Error, message: "m", service: "shop", trace: true, cut: true,
				labels: []event.Label{
					{Name: event.LabelHost, Value: "web-1"}, {Name: event.LabelFile, Value: "/x.log"},
					{Name: event.LabelStream, Value: "stderr"},
					{Name: event.LabelContainerName, Value: "shop-1"}, {Name: event.LabelImage, Value: "shop:1"},
					{Name: event.LabelService, Value: "unused"}, {Name: "env", Value: "prod"},
					{Name: "service.name", Value: "x"},
				},
				fields: []field{{key: "ms", kind: event.Number, value: "3"}, text("log.iostream", "a"), text("ms", "b"),
					text("truncated", "c"), text("message", "d")},
			},
			head + `,"severity_text":"ERROR","severity_number":17,"body":{"text":"m"},` +
				`"trace_id":"4bf94bf94bf94bf94bf94bf94bf94bf9","span_id":"00f000f000f000f0",` +
				`"resource":{"attributes":{"service.name":"shop","container.image.name":"shop:1",` +
				`"container.name":"shop-1","env":"prod","host.name":"web-1","service_name":"x"}},` +
				`"attributes":{"log.file.path":"/x.log","log.iostream":"stderr","truncated":true,"ms":3,` +
				`"log.iostream_original":"a","ms_2":"b","truncated_original":"c","message":"d"}}`,
		},
		{
			"the source's service",
			line{time: noon, level: event.Trace, labels: []event.Label{{Name: event.LabelService, Value: "shop"}},
				fields: []field{text("host", "a")}},
			head + `,"severity_text":"TRACE","severity_number":1,"body":{"text":"the raw ` +
				`line"},"resource":{"attributes":{"service.name":"shop"}},"attributes":{"host":"a"}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := string(event.AppendOTel(nil, test.in.batch(), 0))
			if got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("this is not JSON")
			}
		})
	}
}

func TestSchemas(t *testing.T) {
	b := line{time: noon, labels: []event.Label{{Name: "env", Value: "prod"}}}.batch()
	for name, want := range map[string]string{
		"":        `{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","env":"prod"}`,
		"default": `{"timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","env":"prod"}`,
		"ecs":     string(event.AppendECS(nil, b, 0)),
		"otel":    string(event.AppendOTel(nil, b, 0)),
	} {
		if got := string(event.SchemaNamed(name).Append(nil, b, 0, true)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestOTelAllocs(t *testing.T) {
	b := line{time: noon, service: "shop", trace: true, fields: []field{text("a", "b"), text("c", "d")}}.batch()
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = event.AppendOTel(dst[:0], b, 0) }); n != 0 {
		t.Errorf("%v allocations a record, want none", n)
	}
}
