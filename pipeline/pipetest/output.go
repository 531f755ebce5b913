package pipetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An OutputHarness is an output and its destination, for TestOutput.
type OutputHarness struct {
	Output pipeline.Output
	// Stored returns the messages the destination holds, in order of arrival.
	Stored func(t testing.TB) []string
	// Away makes the destination unreachable. nil where that cannot be.
	Away func(t testing.TB)
}

// HostileLines are lines that any program may write by accident or malice.
var HostileLines = []string{
	"", " ", "\x00", "a\x00b", "\xff\xfe\xfd", "half a rune \xe2\x82", "\x1b[31mred\x1b[0m",
	"tab\tquote\"backslash\\slash/",
	"{", "}", "[]", "null", `{"a":`, `{"message":"unterminated`, `{"level":"info","message":"fine"}`, "key=",
	"=value", `k="`, "\u2028\u2029",
	"line\rwith\rreturns", "line\nfeed", "</script>", "${jndi:ldap://x}", "😀", strings.Repeat("x", 100_000),
	strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 10_000),
	strings.Repeat("a=b ", 5_000), strings.Repeat("\\", 1_001),
}

// TestOutput checks an output against its contract: every record is stored, as it was, in order;
// bodies may be taken apart; the batch may be reused at once; sends may run at the same time; a
// destination that is away is no end. start makes a new, empty destination.
func TestOutput(t *testing.T, start func(t *testing.T) OutputHarness) {
	for _, property := range []struct {
		name string
		test func(t *testing.T, h OutputHarness)
	}{
		{"stores every record in order", testStoresAll},
		{"stores hostile lines", testStoresHostile},
		{"keeps the order of two sources in one body", testTwoSourcesInBody},
		{"sends a part of a body", testPartOfBody},
		{"sends several bodies at the same time", testBodiesAtOnce},
		{"returns the original of an item", testOriginal},
		{"asks to try again when the destination is away", testAway},
		{"returns when its context ends", testContextEnds},
	} {
		t.Run(property.name, func(t *testing.T) { property.test(t, begin(t, start)) })
	}
}

func testStoresAll(t *testing.T, h OutputHarness) {
	lines := numbered(0, 300)
	send(t, h, encode(h.Output, 1, lines))
	wantStored(t, h, lines)
}

func testStoresHostile(t *testing.T, h OutputHarness) {
	send(t, h, encode(h.Output, 1, HostileLines))
	wantHostile(t, h.Stored(t))
}

func testTwoSourcesInBody(t *testing.T, h OutputHarness) {
	body, lines := encodeTwo(h.Output)
	send(t, h, body)
	stored := h.Stored(t)
	for _, want := range lines {
		got := slices.DeleteFunc(slices.Clone(stored), func(line string) bool { return !slices.Contains(want, line) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stored of a source: -want +got\n%s", diff)
		}
	}
	if len(stored) != len(lines[0])+len(lines[1]) {
		t.Errorf("%d records are stored, want %d", len(stored), len(lines[0])+len(lines[1]))
	}
}

func testPartOfBody(t *testing.T, h OutputHarness) {
	body := encode(h.Output, 1, numbered(0, 10))
	part := &pipeline.Body{Sources: &sources{body.SourceOf(0), body.SourceOf(0), body.SourceOf(0)}}
	for _, i := range []int{3, 4, 8} {
		part.Bytes = append(part.Bytes, body.Item(i)...)
		item := pipeline.Item{Pos: body.Items[i].Pos, End: uint32(len(part.Bytes))}
		if len(body.Groups) > 0 {
			item.Group = part.Group([]byte(body.Groups[body.Items[i].Group]))
		}
		part.Items = append(part.Items, item)
	}
	send(t, h, part)
	lines := numbered(0, 10)
	wantStored(t, h, []string{lines[3], lines[4], lines[8]})
}

func testBodiesAtOnce(t *testing.T, h OutputHarness) {
	var sending sync.WaitGroup
	var want []string
	for i := range 8 {
		lines := numbered(100*i, 100*i+100)
		want = append(want, lines...)
		body := encode(h.Output, event.SourceID(i+1), lines)
		sending.Go(func() { send(t, h, body) })
	}
	sending.Wait()
	got := h.Stored(t)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored: -want +got\n%s", diff)
	}
}

func testOriginal(t *testing.T, h OutputHarness) {
	body := encode(h.Output, 1, numbered(0, 3))
	if text := string(h.Output.Original(body, 1)); !strings.Contains(text, "line 000001") {
		t.Errorf("the original of line 1 is %q", text)
	}
}

func testAway(t *testing.T, h OutputHarness) {
	if h.Away == nil {
		t.Skip("this destination cannot be away")
	}
	h.Away(t)
	err := h.Output.Send(within(t), encode(h.Output, 1, numbered(0, 3)))
	var answer *pipeline.SendError
	if !errors.As(err, &answer) || answer.Outcome != pipeline.Retry && answer.Outcome != pipeline.Hold ||
		answer.Items != nil {
		t.Errorf("Send: %v, want a SendError that asks to try again", err)
	}
}

func testContextEnds(t *testing.T, h OutputHarness) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Output.Send(ctx, encode(h.Output, 1, numbered(0, 3))); err == nil && len(h.Stored(t)) != 3 {
		t.Error("Send reports success after its context ended, but nothing is stored")
	}
}

func begin(t *testing.T, start func(t *testing.T) OutputHarness) OutputHarness {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	h := start(t)
	t.Cleanup(func() {
		if err := h.Output.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

// encode makes a body of lines that no parser understood. The batch is overwritten
// afterwards: a body must not point into it.
func encode(out pipeline.Output, id event.SourceID, lines []string) *pipeline.Body {
	body := &pipeline.Body{}
	encodeInto(body, out.Encoder(), batchOf(id, 0, lines))
	return body
}

// encodeTwo makes a body of batches that two sources sent by turns.
func encodeTwo(out pipeline.Output) (*pipeline.Body, [2][]string) {
	body, encoder := &pipeline.Body{}, out.Encoder()
	var all [2][]string
	for n := 0; n < 60; n += 10 {
		for k := range all {
			lines := numbered(1000*k+n, 1000*k+n+10)
			all[k] = append(all[k], lines...)
			encodeInto(body, encoder, batchOf(event.SourceID(k+1), n, lines))
		}
	}
	return body, all
}

// batchOf makes a batch of lines, the first of which is at position from.
func batchOf(id event.SourceID, from int, lines []string) *event.Batch {
	src := event.NewSource(id, "test", fmt.Sprintf("source %d", id), []event.Label{
		{Name: event.LabelService, Value: fmt.Sprintf("suite-%d", id)}, {Name: event.LabelHost, Value: "here"},
	})
	b := &event.Batch{}
	b.Reset(src)
	at := time.Now().UnixNano()
	for i, line := range lines {
		b.Add(uint64(from+i), at+int64(i), b.PutString(line))
	}
	b.From, b.To = uint64(from), uint64(from+len(lines))
	return b
}

// sources are those of a body, item by item.
type sources []*event.Source

func (s *sources) SourceOf(i int) *event.Source { return (*s)[i] }

// encodeInto appends a batch to a body as package deliver does, and overwrites the batch.
func encodeInto(body *pipeline.Body, encoder pipeline.Encoder, b *event.Batch) {
	of, _ := body.Sources.(*sources)
	if of == nil {
		of = &sources{}
		body.Sources = of
	}
	for i := range b.Records {
		*of = append(*of, b.Source)
		group, err := encoder.Encode(body, b, i)
		if err != nil {
			panic(fmt.Sprintf("encoding %q: %v", b.Line(i), err))
		}
		body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)),
			Group: group})
	}
	for i := range b.Arena {
		b.Arena[i] = '#'
	}
}

// wantHostile checks that the hostile lines are stored as they were. Bytes that
// are not UTF-8 may have become U+FFFD.
func wantHostile(t testing.TB, stored []string) {
	t.Helper()
	if len(stored) != len(HostileLines) {
		t.Fatalf("%d records are stored, want %d", len(stored), len(HostileLines))
	}
	for i, line := range HostileLines {
		mended := !utf8.ValidString(line) && strings.ReplaceAll(stored[i], "\ufffd",
			"") == strings.ToValidUTF8(line, "")
		if stored[i] != line && !mended {
			t.Errorf("%.100q (%d bytes) is stored as %.100q (%d bytes)", line, len(line), stored[i], len(stored[i]))
		}
	}
}

func send(t testing.TB, h OutputHarness, body *pipeline.Body) {
	t.Helper()
	before := string(body.Bytes)
	if err := h.Output.Send(within(t), body); err != nil {
		t.Errorf("Send: %v", err)
	}
	if string(body.Bytes) != before {
		t.Error("Send changed the body")
	}
}

func wantStored(t testing.TB, h OutputHarness, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, h.Stored(t)); diff != "" {
		t.Errorf("stored: -want +got\n%s", diff)
	}
}
