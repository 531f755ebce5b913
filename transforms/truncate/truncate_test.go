package truncate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `{fields: [message, "*"], max_size: 16}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestTruncate(t *testing.T) {
	c := &Config{Fields: []string{"message", "s*"}, MaxSize: 16}
	got := pipetest.Transformed(t, pipetest.MustTransform(t, c, nil), newJSON,
		`{"msg":"exactly sixteen!","stack":"abc"}`,
		`{"msg":"seventeen letters","s2":"0123456789ab\n456789","n":"not of those that are cut"}`,
		`the whole line`, `a line that is too long`, `{"msg":"x","s":[1,2,3,4,5,6,7,8,9]}`, `{"msg":"twelve lettäää"}`)
	want := []string{
		`{"timestamp":"2023-11-14T22:13:20.000Z","message":"exactly sixteen!","stack":"abc"}`,
		`{"timestamp":"2023-11-14T22:13:21.000Z","message":"seventeen ` +
			`let…","truncated":true,"s2":"0123456789ab…","n":"not of those that are cut"}`,
		`{"timestamp":"2023-11-14T22:13:22.000Z","message":"the whole line"}`,
		`{"timestamp":"2023-11-14T22:13:23.000Z","message":"a line that i…","truncated":true}`,
		`{"timestamp":"2023-11-14T22:13:24.000Z","message":"x","truncated":true,"s":"[1,2,3,4,5,6,…"}`,
		`{"timestamp":"2023-11-14T22:13:25.000Z","message":"twelve lettä…","truncated":true}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
