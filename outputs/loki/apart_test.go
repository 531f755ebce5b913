package loki

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// sharing are pairs of sources that labels merge into one stream.
func sharing() map[string][2]*event.Source {
	file := func(id event.SourceID, path string) *event.Source {
		return event.NewSource(id, "files", path, []event.Label{{Name: event.LabelFile, Value: path}})
	}
	container := func(id event.SourceID, full, stream string) *event.Source {
		return event.NewSource(id, "docker", full+"/"+stream, []event.Label{
			{Name: event.LabelContainerID, Value: strings.Repeat(full, 32)}, {Name: event.LabelStream, Value: stream}})
	}
	return map[string][2]*event.Source{
		"two files":                    {file(1, "/a.log"), file(2, "/b.log")},
		"generations of one file":      {file(1, "/a.log"), file(3, "/a.log")},
		"containers without names":     {container(1, "a1", "stdout"), container(2, "b2", "stdout")},
		"both streams of a container":  {container(1, "a1", "stdout"), container(2, "a1", "stderr")},
		"standard input, another time": {event.NewSource(1, "stdin", "-", nil), event.NewSource(9, "stdin", "-", nil)},
	}
}

// TestSourcesOfOneStreamAreToldApart: equal lines of one instant are different entries, in every
// form they are sent in, and the same ones whichever comes first.
func TestSourcesOfOneStreamAreToldApart(t *testing.T) {
	for name, pair := range sharing() {
		for _, metadata := range []string{"auto", "off"} {
			for _, line := range []string{"raw", "json"} {
				o := newOutput(t, Config{Labels: map[string]string{"job": "x"}, LineFormat: line,
					StructuredMetadata: metadata})
				a, b := batchOf(pair[0], "tick", "tick"), batchOf(pair[1], "tick", "tick")
				body, turned := fill(t, o, a, b), fill(t, o, b, a)
				var f frame
				stripped := f.withoutMetadata(body)
				for i := range 2 {
					if bytes.Equal(body.Item(i), body.Item(i+2)) || bytes.Equal(stripped.Item(i), stripped.Item(i+2)) {
						t.Errorf("%s, metadata %s, line %s: Loki would keep one of two", name, metadata, line)
					}
					if !bytes.Equal(body.Item(i), turned.Item(i+2)) || !bytes.Equal(body.Item(i+2), turned.Item(i)) {
						t.Errorf("%s, metadata %s, line %s: it depends on which comes first", name, metadata, line)
					}
				}
				if moved := timeOf(stripped.Item(0)) - start; len(body.Groups) != 1 || moved < 0 || moved >= 1e6 {
					t.Errorf("%s: %q, and times %d ns away", name, body.Groups, moved)
				}
			}
		}
	}
}

// ofBatches are the sources of a body's items.
type ofBatches []*event.Source

func (s ofBatches) SourceOf(i int) *event.Source { return s[i] }

// TestAuditCountsPerStream: an entry that does not say whose it is, as an older version or a
// gateway leaves it, is one source's, however often it is asked for, and in whatever order.
func TestAuditCountsPerStream(t *testing.T) {
	for name, pair := range sharing() {
		for _, told := range []bool{false, true} {
			a := newArchive(t)
			a.hides, a.most = true, 4<<20
			o := newOutput(t, Config{URL: a.URL, LineFormat: "raw", Labels: map[string]string{"job": "x"}})
			o.health.now = func() time.Time { return time.Unix(0, start) }
			var bodies []*pipeline.Body
			for _, source := range pair {
				body := fill(t, o, batchOf(source, "tick", "tock"))
				body.Sources = ofBatches{source, source}
				bodies = append(bodies, body)
			}
			a.hold(bodies[0], every)
			for i := range a.streams {
				if !told {
					a.streams[i].Entries[0].StructuredMetadata = nil
				}
			}
			audit := o.Audit(time.Unix(0, 0))
			var got []string
			for _, body := range slices.Concat(bodies, bodies) {
				got = append(got, audited(t, audit, body))
			}
			if diff := cmp.Diff([]string{"11", "--", "11", "--"}, got); diff != "" {
				t.Errorf("%s, told %v: %s", name, told, diff)
			}
		}
	}
}

// TestFoundWhereNoMetadataWasTaken: an output that does not know yet that its Loki takes no
// structured metadata finds what an earlier run stored without, and not another source's.
func TestFoundWhereNoMetadataWasTaken(t *testing.T) {
	for name, pair := range sharing() {
		a := newArchive(t)
		o := newOutput(t, Config{URL: a.URL, LineFormat: "raw", Labels: map[string]string{"job": "x"}})
		o.health.now = func() time.Time { return time.Unix(0, start) }
		var f frame
		a.hold(f.withoutMetadata(fill(t, o, batchOf(pair[0], "tick", "tock"))), every)
		a.inOrder()
		for k, want := range []bool{true, false} {
			stored := make([]bool, 2)
			if err := o.Stored(context.Background(), fill(t, o, batchOf(pair[k], "tick", "tock")), stored); err != nil {
				t.Fatal(err)
			}
			if stored[0] != want || stored[1] != want {
				t.Errorf("%s, source %d: stored %v", name, k, stored)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	for name, test := range map[string]struct {
		labels map[string]string
		warns  bool
	}{
		"the default ones": {nil, false},
		"a job":            {map[string]string{"job": "x"}, true},
		"a service":        {map[string]string{"app": "{service}", "host": "{host.name}"}, true},
		"a stream":         {map[string]string{"app": "{service}", "stream": "{stream}"}, true},
		"a file":           {map[string]string{"job": "x", "path": "log-{filename}"}, false},
		"a container":      {map[string]string{"job": "x", "c": "{container.name}"}, false},
		"what is wrong":    {map[string]string{"job": "{"}, false},
	} {
		if got := (&Config{URL: "http://l", Labels: test.labels}).Warnings(); len(got) > 0 != test.warns {
			t.Errorf("%s: %v", name, got)
		}
	}
}
