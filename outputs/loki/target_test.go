package loki

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPreviousTarget finds what was sent with other labels, lines and tenant.
func TestPreviousTarget(t *testing.T) {
	for name, test := range map[string]struct{ before, now Config }{
		"labels": {Config{Labels: map[string]string{"app": "{service}"}}, Config{}},
		"lines":  {Config{LineFormat: "raw"}, Config{LineFormat: "json"}},
		"schema": {Config{}, Config{Schema: "ecs"}},
		"tenant": {Config{TenantID: "a"}, Config{TenantID: "b"}},
		"length": {Config{MaxLineSize: 1 << 10}, Config{MaxLineSize: 2 << 10}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			a.most = 4 << 20
			test.before.URL, test.now.URL = a.URL, a.URL
			before, now := newOutput(t, test.before), newOutput(t, test.now)
			for _, o := range []*Output{before, now} {
				o.health.now = func() time.Time { return time.Unix(0, start) }
			}
			batch := batchOf(container("web"), lines(4, 1500)...)
			a.hold(fill(t, before, batch), only(1, 3))
			if string(before.Target()) == string(now.Target()) {
				t.Errorf("both are %s", now.Target())
			}
			previous, err := now.AtTarget(before.Target())
			if err != nil {
				t.Fatal(err)
			}
			body, enc := fill(t, now, nil...), previous.Encoder()
			for i := range batch.Records {
				encode(t, enc, body, batch, i)
			}
			stored := make([]bool, 4)
			if err := previous.Stored(t.Context(), body, stored); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]bool{false, true, false, true}, stored); diff != "" {
				t.Error(diff)
			}
			if got := a.headers[0].Get(tenantHeader); got != test.before.TenantID {
				t.Errorf("asked as %q", got)
			}
		})
	}
	o := newOutput(t, Config{URL: "http://localhost"})
	for _, text := range []string{"", "{", `{"labels":{"a":"{"}}`} {
		if _, err := o.AtTarget([]byte(text)); err == nil {
			t.Errorf("%q was taken for a target", text)
		}
	}
	if p := newOutput(t, Config{URL: "http://localhost", Reconcile: "off"}).Target(); p != nil {
		t.Errorf("what is not asked is at %s", p)
	}
}
