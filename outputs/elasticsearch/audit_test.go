package elasticsearch

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	odd := func(i int) bool { return i%2 == 1 }
	every := func(int) bool { return true }
	tests := map[string]struct {
		kind  string
		n     int
		keep  func(i int) bool
		times int // that each id is there
		asked int
	}{
		"index":               {kind: "index", n: 10, keep: odd, times: 1, asked: 2},
		"data stream":         {kind: "stream", n: 10, keep: odd, times: 2, asked: 2},
		"many":                {kind: "stream", n: 1200, keep: odd, times: 1, asked: 4},
		"all, twice":          {kind: "stream", n: 1000, keep: every, times: 2, asked: 3},
		"all, so often":       {kind: "stream", n: 500, keep: every, times: 7, asked: 14},
		"nothing of the kind": {kind: "", n: 10, keep: odd, asked: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &holder{t: t, kinds: map[string]string{defaultIndex: test.kind}}
			if test.kind == "" {
				s.answer = map[string]http.HandlerFunc{
					"/" + defaultIndex + "/_search": says(404,
						`{"error":{"type":"index_not_found_exception","reason":"no such index"}}`),
				}
			}
			o := output(t, Config{URLs: []string{serve(t, s.ServeHTTP)}, DocumentIDs: true})
			body := sample(t, o, test.n)
			targets, err := groupByIndex(body)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]pipeline.Presence, test.n)
			for id, i := range targets[0].items {
				if test.keep(i) {
					want[i].Copies = test.times
				}
				for range want[i].Copies {
					s.holds = append(s.holds, id)
				}
			}
			held := make([]pipeline.Presence, test.n)
			if err := o.Audit(time.Time{}).Presence(t.Context(), body, held); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, held); diff != "" {
				t.Error(diff)
			}
			if len(s.asked) > test.asked {
				t.Errorf("asked %d times, want %d at most: %v", len(s.asked), test.asked, s.asked)
			}
		})
	}
}

// TestAuditUntimed: what has forgotten its date is looked for under all dates.
func TestAuditUntimed(t *testing.T) {
	t.Parallel()
	s := &holder{t: t, kinds: map[string]string{"logs-2024.02.29": "index", "logs-*": "index"}}
	o := output(t, Config{URLs: []string{serve(t, s.ServeHTTP)}, DocumentIDs: true, Index: "logs-{yyyy.MM.dd}"})
	b := usual()
	for _, at := range []int64{b.Records[0].Time, 7} {
		b.Records[0].Time = at
		s.asked = nil
		if err := o.Audit(time.Time{}).Presence(t.Context(), encode(t, o, b),
			make([]pipeline.Presence, 1)); err != nil {
			t.Fatal(err)
		}
		want := "POST /logs-2024.02.29/_search"
		if at == 7 {
			want = "POST /logs-*/_search"
		}
		if !strings.Contains(strings.Join(s.asked, "\n"), want) {
			t.Errorf("asked for %q, want %s", s.asked, want)
		}
	}
}

func TestAuditWithoutIDs(t *testing.T) {
	t.Parallel()
	o := output(t, Config{})
	err := o.Audit(time.Time{}).Presence(t.Context(), sample(t, o, 2), make([]pipeline.Presence, 2))
	if !errors.Is(err, pipeline.ErrUnknowable) {
		t.Error(err)
	}
}
