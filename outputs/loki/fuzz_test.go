package loki

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

// FuzzReadCount: of an answer that is JSON, a count is what stands in it.
func FuzzReadCount(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"7"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1e300"]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := readCount(text)
		if err == nil && (n < 0 || !json.Valid(text)) {
			t.Errorf("%s counts %d", text, n)
		}
	})
}

// FuzzParseLookback: a configuration that is none leaves what is usual, or sees more.
func FuzzParseLookback(f *testing.F) {
	f.Add("ingester:\n  query_store_max_look_back_period: -1ns\nquerier:\n  query_ingesters_within: 3h0m0s\n")
	f.Add("  query_store_max_look_back_period: 0s\n  query_ingesters_within: 9999999h\n")
	f.Fuzz(func(t *testing.T, config string) {
		if lookback := parseLookback(config); lookback <= 0 {
			t.Errorf("it sees back %v", lookback)
		}
	})
}

// FuzzLabelSets: what is read of a label set can be written, and read again.
func FuzzLabelSets(f *testing.F) {
	f.Add(`{a="b", c="d\"e"}`)
	f.Add(`{}`)
	f.Add("{a=`b`}")
	f.Fuzz(func(t *testing.T, set string) {
		want := labelsOf(set)
		var pairs []event.Label
		for name, value := range want {
			if value == "" || strings.ContainsAny(name, "=,{}\"`'") || strings.TrimSpace(name) != name ||
				value != strings.ToValidUTF8(value, "") {
				return // the names and values of our own are none of these
			}
			pairs = append(pairs, event.Label{Name: name, Value: value})
		}
		if len(pairs) == 0 {
			return
		}
		if got := labelsOf(string(appendLabelSet(nil, pairs))); !maps.Equal(got, want) {
			t.Errorf("%s: %q became %q", set, want, got)
		}
	})
}
