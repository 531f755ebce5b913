package event_test

import (
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

func TestAppendECS(t *testing.T) {
	t.Parallel()
	const head = `{"@timestamp":"2023-11-14T22:13:20.123Z","message":"the raw line","ecs.version":"8.11.0"`
	tests := []struct {
		name string
		in   line
		want string
	}{
		{"a raw line", line{time: noon}, head + `}`},
		{
			"everything",
			line{
				time: noon, level: event.Error, message: "m", service: "shop", trace: true, cut: true,
				labels: []event.Label{
					{Name: event.LabelHost, Value: "web-1"}, {Name: event.LabelFile, Value: "/x.log"},
					{Name: event.LabelStream, Value: "stderr"},
					{Name: event.LabelContainerID, Value: "c1"}, {Name: event.LabelContainerName, Value: "shop-1"},
					{Name: event.LabelImage, Value: "shop:1"}, {Name: event.LabelComposeProject, Value: "p"},
					{Name: event.LabelService, Value: "unused"}, {Name: "env", Value: "prod"},
					{Name: "service.environment", Value: "prod"},
					{Name: "error", Value: "e"}, {Name: "message", Value: "f"},
				},
				fields: []field{{key: "ms", kind: event.Number, value: "3"}},
			},
			`{"@timestamp":"2023-11-14T22:13:20.123Z","log.level":"error","message":"m","ecs.version":"8.11.0",` +
				`"trace.id":"4bf94bf94bf94bf94bf94bf94bf94bf9","span.id":"00f000f000f000f0",` +
				`"service.name":"shop","log.flags":["truncated"],` +
				`"labels.compose_project":"p","container.id":"c1","container.image.name":"shop:1",` +
				`"container.name":"shop-1",` +
				`"labels.env":"prod","labels.error":"e","log.file.path":"/x.log","host.name":"web-1",` +
				`"host.hostname":"web-1",` +
				`"labels.message":"f","service.environment":"prod","log.iostream":"stderr","ms":3}`,
		},
		{
			"the source's service",
			line{time: noon, labels: []event.Label{{Name: event.LabelService, Value: "shop"}}},
			head + `,"service.name":"shop"}`,
		},
		{
			"text where the schema has an object",
			line{time: noon, fields: []field{
				text("host", "a"), text("error", "b"), text("log", "c"), text("event", "d"), text("agent", "e"),
				text("user", "f"),
				{key: "process", kind: event.Number, value: "7"}, {key: "source", kind: event.Array, value: "[1]"},
				text("http.request", "GET /"), text("log.origin", "g"), text("labels", "h"),
			}},
			head + `,"labels.host":"a","labels.error":"b","labels.log":"c","labels.event":"d",` +
				`"labels.agent":"e","labels.user":"f",` +
				`"labels.process":7,"labels.source":[1],"labels.http_request":"GET ` +
				`/","labels.log_origin":"g","labels.labels":"h"}`,
		},
		{
			"what fits the schema stays",
			line{time: noon, labels: []event.Label{{Name: event.LabelHost, Value: "web-1"}}, fields: []field{
				{key: "host", kind: event.Object, value: `{"ip":"::1"}`},
				{key: "error", kind: event.Object, value: `{"type":"x"}`},
				text("log.logger", "a.B"), text("http.request.method", "GET"),
				{key: "http.request", kind: event.Object, value: `{}`},
				{key: "tags", kind: event.Array, value: `["a"]`}, text("orderId", "1"), text("shop.cart", "2"),
				text("level", "odd"),
			}},
			head + `,"host.name":"web-1","host.hostname":"web-1","host":{"ip":"::1"},"error":{"type":"x"},` +
				`"log.logger":"a.B",` +
				`"http.request.method":"GET","http.request":{},"tags":["a"],"orderId":"1","shop.cart":"2",` +
				`"level":"odd"}`,
		},
		{
			"what clashes with what we write",
			line{time: noon, labels: []event.Label{{Name: event.LabelHost, Value: "web-1"}}, fields: []field{
				text("@timestamp", "a"), text("message", "b"), text("message.x", "c"), text("ecs.version", "1.2.0"),
				text("host.name", "d"),
				text("host.name.x", "e"), text("log.level", "f"), text("log.level.x", "g"),
				{key: "tags", kind: event.Object, value: "{}"},
			}},
			head + `,"host.name":"web-1","host.hostname":"web-1","labels.@timestamp":"a","labels.message":"b",` +
				`"labels.message_x":"c",` +
				`"labels.ecs_version":"1.2.0","labels.host_name":"d","labels.host_name_x":"e",` +
				`"labels.log_level":"f","labels.log_level_x":"g","labels.tags":{}}`,
		},
		{
			"names that come to be the same",
			line{time: noon, fields: []field{text("labels.host", "a"), text("host", "b"), text("error", "c"),
				text("error", "d")}},
			head + `,"labels.host":"a","labels.host_original":"b","labels.error":"c","labels.error_2":"d"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkDocument(t, event.AppendECS(nil, tt.in.batch(), 0), tt.want)
		})
	}
}

func TestAppendECSOfALiteralSource(t *testing.T) {
	t.Parallel()
	b := line{time: noon, fields: []field{text("host", "x")}}.batch()
	b.Source = &event.Source{ID: 1}
	want := `{"@timestamp":"2023-11-14T22:13:20.123Z","message":"the raw ` +
		`line","ecs.version":"8.11.0","labels.host":"x"}`
	checkDocument(t, event.AppendECS(nil, b, 0), want)
}
