package elasticsearch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// TestPreviousTarget finds what was sent to another index, which is asked whatever it is.
func TestPreviousTarget(t *testing.T) {
	t.Parallel()
	s := &holder{t: t, kinds: map[string]string{"old-2024.02": "index"}}
	url := serve(t, s.ServeHTTP)
	before := output(t, Config{URLs: []string{url}, DocumentIDs: true, Index: "old-{yyyy.MM}"})
	now := output(t, Config{URLs: []string{url}, DocumentIDs: true, Index: "new"})
	if string(before.Target()) == string(now.Target()) {
		t.Errorf("both are %s", now.Target())
	}
	previous, err := now.AtTarget(before.Target())
	if err != nil {
		t.Fatal(err)
	}
	b := usual()
	second := b.Records[0]
	second.Pos++
	b.Records = append(b.Records, second)
	body, enc := &pipeline.Body{}, previous.Encoder()
	for i := range b.Records {
		if _, err := enc.Encode(body, b, i); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes))})
	}
	targets, err := groupByIndex(body)
	if err != nil {
		t.Fatal(err)
	}
	for id, i := range targets[0].items {
		if i == 1 {
			s.holds = []string{id}
		}
	}
	stored := make([]bool, 2)
	if err := previous.Stored(t.Context(), body, stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{false, true}, stored); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "{", `{"index":"a{"}`} {
		if _, err := now.AtTarget([]byte(text)); err == nil {
			t.Errorf("%q was taken for a target", text)
		}
	}
	if p := output(t, Config{URLs: []string{url}}).Target(); p != nil {
		t.Errorf("without ids, records are at %s", p)
	}
}
