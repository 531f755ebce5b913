package elasticsearch

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func read(answer string, n int) (items []item, err error) {
	err = readAnswer(strings.NewReader(answer), n, func(i int, it *item) {
		items = append(items, *it)
	})
	return items, err
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	const ok = `{"create":{"status":201}}`
	tests := []struct {
		name, in string
		n        int
		want     []item
		err      string
	}{
		{"all stored", `{"errors":false,"items":[` + ok + `,` + ok + `]}`, 2, []item{{status: 201}, {status: 201}}, ""},
		{"in another order, with spaces", " {\n\"items\" : [ {\"index\" : { \"_id\":\"x\", \"status\" : 200 , " +
			"\"z\":[{},[],null,1.5e3,\"}\\\"\"]} } ] , \"took\":3} ", 1, []item{{status: 200}}, ""},
		{
			"errors",
			`{"errors":true,"items":[` + ok + `,{"create":{"status":400,` +
				`"error":{"type":"mapper_parsing_exception","reason":"failed to parse field ` +
				`[a]","root_cause":[{"type":"x"}],"caused_by":{"type":"n","reason":"For input ` +
				`\"x\"\n","caused_by":{"reason":"deeper"}}}}},{"create":{"error":"old words","status":429}}]}`,
			3,
			[]item{{status: 201}, {status: 400, detail: errorDetail{"mapper_parsing_exception",
				"failed to parse field [a]", "For input \"x\"\n", false}},
				{status: 429, detail: errorDetail{reason: "old words"}}},
			"",
		},
		{"failure store", `{"items":[{"create":{"status":201,"failure_store":"used"}},{"create":{"status":201,` +
			`"failure_store":"not_applicable_or_unknown"}}]}`, 2,
			[]item{{status: 201, failureStore: true}, {status: 201}}, ""},
		{"errors that are null", `{"items":[{"create":{"status":500,"error":{"type":null,"reason":{"a":1}}}}]}`, 1,
			[]item{{status: 500}}, ""},
		{"too few", `{"items":[` + ok + `]}`, 2, []item{{status: 201}}, "it has 1 items, but 2 records were sent"},
		{"too many", `{"items":[` + ok + `,` + ok + `]}`, 1, []item{{status: 201}}, "more items than the 1 records"},
		{"none", `{"items":[]}`, 1, nil, "it has 0 items"},
		{"no items at all", `{"errors":false}`, 1, nil, `it is no bulk answer, but begins with "{\"errors\":false}"`},
		{"empty", ``, 1, nil, "it is no bulk answer: it is empty"},
		{"cut short", `{"items":[` + ok + `,{"create":{"sta`, 2, []item{{status: 201}}, "unexpected EOF"},
		{"HTML", `<html>`, 1, nil, `it is no bulk answer, but begins with "<html>"`},
		{"cut short before the items", `{"errors":fal`, 1, nil, "unexpected EOF"},
		{"items of another kind", `{"items":{"a":1}}`, 1, nil, "unexpected '{'"},
		{"an item without status", `{"items":[{"create":{"error":"x"}}]}`, 1, nil, "item 0: it has no status"},
		{"a status in words", `{"items":[{"create":{"status":"ok"}}]}`, 1, nil, "item 0: it is not the JSON"},
		{"an empty item", `{"items":[{}]}`, 1, nil, "item 0: it has no status"},
		{"deep", `{"a":` + strings.Repeat("[", 1000), 1, nil, "nested too deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(tt.in, tt.n)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(item{}, errorDetail{})); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got the error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	items, err := read(`{"items":[{"create":{"status":400,"error":{"type":"`+long+`","reason":"`+long+`"}}}]}`, 20)
	if err == nil || len(items) != 1 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	if got := len(items[0].detail.String()); got != maxText {
		t.Errorf("a reason of %d bytes", got)
	}
	endless := io.MultiReader(strings.NewReader(`{"a":"`), repeat{'x'})
	if err := readAnswer(endless, 1, func(int, *item) {}); err == nil {
		t.Error("an answer without end was read")
	}
	broken := iotest.ErrReader(io.ErrNoProgress)
	if err := readAnswer(broken, 1, func(int, *item) {}); err != io.ErrNoProgress {
		t.Errorf("of a broken connection: %v", err)
	}
}

// repeat is a reader of one byte without end.
type repeat struct{ c byte }

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.c
	}
	return len(p), nil
}

func TestProblemText(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]errorDetail{
		"type: reason (cause)":   {"type", "reason", "cause", false},
		"type: same":             {"type", "same", "same", false},
		"words":                  {reason: "words"},
		"type":                   {errorType: "type"},
		"no reason was given":    {},
		"a: b  [31mred line two": {"a", "b \x1b[31mred\nline two", "", false},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v: got %q, want %q", p, got, want)
		}
	}
}

// FuzzReadAnswer: of answers that are JSON we read what encoding/json reads.
func FuzzReadAnswer(f *testing.F) {
	f.Add(`{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"a\u0062",` +
		`"reason":"\ud83d\ude00"}}}]}`)
	f.Add(`{"took":1,"items":[{"create":{"_id":"\"","status":409,"x":{"status":1}}}],"errors":true}`)
	f.Add(`{"items":[{"create":{"status":201,"failure_store":"used"}}]}`)
	f.Fuzz(func(t *testing.T, answer string) {
		var got []item
		err := readAnswer(strings.NewReader(answer), 3, func(_ int, it *item) { got = append(got, *it) })
		if err != nil || !json.Valid([]byte(answer)) {
			return // what is rejected is sent again; only what is believed can be wrong
		}
		want, ok := oracle(answer)
		if !ok {
			return
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(item{}, errorDetail{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", answer, diff)
		}
	})
}

// oracle reads an answer with encoding/json; it takes only those of the plain kind, in which no
// name is written with escapes, in other case or twice.
func oracle(answer string) ([]item, bool) {
	var all struct {
		Items []map[string]struct {
			Status       int
			FailureStore string `json:"failure_store"`
			Error        struct {
				Type, Reason string
				Cause        struct{ Reason string } `json:"caused_by"`
			}
		}
	}
	if json.Unmarshal([]byte(answer), &all) != nil || len(all.Items) != 3 || !plain(answer) {
		return nil, false
	}
	var items []item
	for _, one := range all.Items {
		if len(one) != 1 {
			return nil, false
		}
		for _, it := range one {
			items = append(items, item{it.Status, errorDetail{it.Error.Type, it.Error.Reason,
				it.Error.Cause.Reason, false},
				it.FailureStore == "used"})
		}
	}
	return items, true
}

func plain(answer string) bool {
	return strings.ToLower(answer) == answer && strings.Count(answer, `"items"`) == 1 &&
		strings.Count(answer, `\u`) == 0 &&
		strings.Count(answer, `"status"`) == 3 && strings.Count(answer, `"error"`) <= 3 && len(answer) < maxText &&
		strings.ToValidUTF8(answer, "") == answer
}

func TestReadingAllocatesNothingPerItem(t *testing.T) {
	answer := `{"errors":false,"items":[` + strings.Repeat(`{"create":{"status":201}},`, 999) +
		`{"create":{"status":201}}]}`
	allocs := testing.AllocsPerRun(20, func() {
		if err := readAnswer(strings.NewReader(answer), 1000, func(int, *item) {}); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 20 {
		t.Errorf("reading 1000 items allocates %v times", allocs)
	}
}

func BenchmarkReadAnswer(b *testing.B) {
	answer := `{"errors":false,"items":[` + strings.Repeat(`{"create":{"status":201}},`, 2499) +
		`{"create":{"status":201}}]}`
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := readAnswer(strings.NewReader(answer), 2500, func(int, *item) {}); err != nil {
			b.Fatal(err)
		}
	}
}
