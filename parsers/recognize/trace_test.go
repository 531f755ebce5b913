package recognize

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

func TestTraceOf(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	tests := []struct {
		text        string
		form        form
		trace, span string
	}{
		{trace, 0, trace, ""},
		{strings.ToUpper(trace), 0, trace, ""},
		{trace[16:], 0, "0000000000000000" + trace[16:], ""},
		{trace[1:], 0, "0" + trace[1:], ""},
		{trace[:31] + "g", 0, "", ""},
		{trace + "0", 0, "", ""},
		{trace[:20], 0, "", ""},
		{"00-" + trace + "-" + span + "-01", 0, trace, span},
		{"00-" + trace + "-" + span + "-01", formTraceparent, trace, span},
		{"00-" + trace + "-" + span + "-01-x", formTraceparent, "", ""},
		{"01-" + trace + "-" + span + "-01-x", formTraceparent, trace, span},
		{"ff-" + trace + "-" + span + "-01", formTraceparent, "", ""},
		{"00-" + trace + "-0000000000000000-01", formTraceparent, "", ""},
		{"0g-" + trace + "-" + span + "-01", formTraceparent, "", ""},
		{trace + "-" + span + "-d", formB3, trace, span},
		{trace, formB3, trace, ""},
		{trace + ":" + span + ":0:1", formUber, trace, span},
		{"1:2:0:1", formUber, strings.Repeat("0", 31) + "1", "0000000000000002"},
		{"1%3A2%3A0%3A1", formUber, strings.Repeat("0", 31) + "1", "0000000000000002"},
		{"1:2:0", formUber, "", ""},
		{"1-5759e988-bd862e3fe1be46a994272793", 0, "5759e988bd862e3fe1be46a994272793", ""},
		{"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", formXRay, "5759e988bd862e3fe1be46a994272793", ""},
		{"1-5759e988-bd862e3fe1be46a99427279", 0, "", ""},
		{"projects/p/traces/" + trace, 0, trace, ""},
		{"18446744073709551615", formDatadog, "0000000000000000ffffffffffffffff", ""},
		{"18446744073709551616", formDatadog, "", ""},
		{trace, formDatadog, trace, ""},
		{"", 0, "", ""}, {"0", 0, "", ""}, {strings.Repeat("0", 32), 0, "", ""}, {"none", 0, "", ""},
		{"7f3f1f9e-8d3c-4e57-9f3c-0f6f1a1a1a1a", 0, "", ""},
	}
	for _, test := range tests {
		got := traceOf([]byte(test.text), test.form)
		trace, span := "", ""
		if got.hasTrace {
			trace = hex.EncodeToString(got.trace[:])
		}
		if got.hasSpan {
			span = hex.EncodeToString(got.span[:])
		}
		if trace != test.trace || span != test.span {
			t.Errorf("%q (form %d): got %q %q, want %q %q", test.text, test.form, trace, span, test.trace, test.span)
		}
	}
}

func TestFindTrace(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, text := range []string{
		"x trace_id=" + trace + " span_id=" + span,
		"x [traceId: " + trace + ", spanId: " + span + "]",
		"span.id=" + span + " trace.id=" + trace,
		"x traceparent=00-" + trace + "-" + span + "-01",
		`no trace yet, "trace-id": "` + trace + `" "span-id": "` + span + `"`,
		`{\"otel_trace_id\":\"` + trace + `\",\"otel_span_id\":\"` + span + `\"`,
	} {
		var rec event.Record
		if !FindTrace(&rec, []byte(text)) || hex.EncodeToString(rec.TraceID[:]) != trace ||
			hex.EncodeToString(rec.SpanID[:]) != span {
			t.Errorf("%q: found %x %x", text, rec.TraceID, rec.SpanID)
		}
	}
	var xray event.Record
	if !FindTrace(&xray, []byte("GET / X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")) ||
		hex.EncodeToString(xray.TraceID[:]) != "5759e988bd862e3fe1be46a994272793" {
		t.Errorf("X-Ray's header: found %x", xray.TraceID)
	}
	for _, text := range []string{
		"request_id=" + trace, "id=" + trace, "trace " + trace, "stacktrace_id=" + trace, "stack_trace_id=" + trace,
		"trace_id " + trace,
		"trace_id=" + trace[:20], "trace_id=" + strings.Repeat("0", 32),
		"trace_id=7f3f1f9e-8d3c-4e57-9f3c-0f6f1a1a1a1a", "race", "trace_id=",
	} {
		var rec event.Record
		if FindTrace(&rec, []byte(text)) {
			t.Errorf("%q: found %x", text, rec.TraceID)
		}
	}
}

func FuzzTrace(f *testing.F) {
	f.Add("trace_id=4bf92f3577b34da6a3ce929d0e0e4736", uint8(0))
	f.Add("1:2:0:1", uint8(formUber))
	f.Fuzz(func(t *testing.T, s string, form_ uint8) {
		var rec event.Record
		FindTrace(&rec, []byte(s))
		got := traceOf([]byte(s), form(form_))
		spanOf([]byte(s), form(form_))
		if got.hasTrace && got.trace == [16]byte{} {
			t.Errorf("%q gives a trace of zeros", s)
		}
	})
}

// FuzzHex holds the hex reader against encoding/hex.
func FuzzHex(f *testing.F) {
	f.Add("4bf92f3577b34da6a3ce929d0e0e4736")
	f.Add("4BF92F3577B34DA6")
	f.Fuzz(func(t *testing.T, s string) {
		var got [16]byte
		ok := hexRight(got[:], []byte(s))
		if len(s) == 0 || len(s) > 32 {
			return
		}
		var want [16]byte
		n, err := hex.Decode(want[:], []byte(strings.Repeat("0", 32-len(s))+s))
		if wantOK := err == nil && n == 16 && want != [16]byte{}; ok != wantOK || ok && got != want {
			t.Errorf("%q: got %x %v, want %x %v", s, got, ok, want, err)
		}
	})
}
