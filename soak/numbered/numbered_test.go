package numbered

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 10, 1, 12, 0, 0, 123456789, time.UTC)

func TestLines(t *testing.T) {
	t.Parallel()
	for writer, want := range []string{
		`{"time":"2026-10-01T12:00:00.123Z","level":"error","msg":"soak w0 n17`,
		`ts=2026-10-01T12:00:00.123456789Z level=error msg="soak w1 n17`,
		`soak w2 n17`,
		`2026-10-01T12:00:00.123Z ERROR soak w3 n17`,
	} {
		line := Append(nil, writer, 17, noon)
		if !bytes.HasPrefix(line, []byte(want)) {
			t.Errorf("%s, want %s…", line, want)
		}
		if w, n, ok := Find(line); w != writer || n != 17 || !ok {
			t.Errorf("in %s there is %d, %d, %v", line, w, n, ok)
		}
		if again := Append(nil, writer, 17, noon); !bytes.Equal(line, again) {
			t.Errorf("%s, and the next time %s", line, again)
		}
	}
}

func TestFindTakesOnlyWholeLines(t *testing.T) {
	t.Parallel()
	line := bytes.TrimSpace(Append(nil, 2, 4711, noon))
	if _, _, ok := Find(fmt.Appendf(nil, `{"message":%q}`, line)); !ok {
		t.Errorf("not found inside of a document")
	}
	for i := range line {
		if _, _, ok := Find(line[:i]); ok {
			t.Errorf("%s is taken for a whole line", line[:i])
		}
		bad := bytes.Clone(line)
		bad[i] ^= 1
		if _, _, ok := Find(bad); ok {
			t.Errorf("%s is taken for a line", bad)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(Append(nil, 0, 5, noon))
	f.Add([]byte("soak w1 n99999999999999999999 #00000000"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if w, n, ok := Find(text); ok && (w >= maxWriters || n >= maxLines) {
			t.Errorf("%q is line %d of writer %d", text, n, w)
		}
	})
}

// TestVerifyFindsWhatIsPlanted fills a tally, spoils it, and looks for exactly what was spoiled.
func TestVerifyFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	const lines = chunkLines + 500
	all := func() *Tally {
		tally := new(Tally)
		for w := range 2 {
			for n := range uint64(lines) {
				tally.AddOnce(w, n, uint64(w)<<32+n+1)
			}
		}
		return tally
	}
	for _, test := range []struct {
		name  string
		spoil func(*Tally)
		want  Verdict
	}{
		{"all is well", func(*Tally) {}, Verdict{Delivered: 2 * lines}},
		{"stored again under its identity", func(t *Tally) { t.AddOnce(1, 3, 1<<32+4) }, Verdict{Delivered: 2 * lines}},
		{"missing", func(t *Tally) {
			t.writers[0].counts[0][7] = 0
			t.writers[1].counts[1][0] = 0
			t.writers[1].counts[0][chunkLines-1] = 0
		}, Verdict{Delivered: 2*lines - 3, Missing: 3,
			Wrong: []Stretch{{0, 7, 8, 0}, {1, chunkLines - 1, chunkLines + 1, 0}}}},
		{"repeated", func(t *Tally) {
			t.AddOnce(0, 8, 99)
			t.AddOnce(0, 9, 98)
			t.AddOnce(0, 9, 97)
		}, Verdict{Delivered: 2 * lines, Repeated: 3, Wrong: []Stretch{{0, 8, 9, 2}, {0, 9, 10, 3}}}},
		{"never written", func(t *Tally) { t.Add(1, lines) },
			Verdict{Delivered: 2 * lines, Foreign: 1, Wrong: []Stretch{{1, lines, lines + 1, 1}}}},
		{"damaged", func(t *Tally) { t.Damaged([]byte("soak w")) },
			Verdict{Delivered: 2 * lines, Damaged: 1, Example: "soak w"}},
		{"two of one identity", func(t *Tally) { t.writers[0].ids[0][5] = 1<<32 + 6 },
			Verdict{Delivered: 2 * lines, Colliding: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tally := all()
			test.spoil(tally)
			got := tally.Verify([]uint64{lines, lines})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			wrong := test.want.Missing+test.want.Repeated+test.want.Foreign+test.want.Damaged+test.want.Colliding > 0
			if got.Right() == wrong {
				t.Errorf("the verdict is %v", got.Right())
			}
		})
	}
}

func TestVerifyWithoutAnything(t *testing.T) {
	t.Parallel()
	got := new(Tally).Verify([]uint64{0, 3})
	if diff := cmp.Diff(Verdict{Missing: 3, Wrong: []Stretch{{1, 0, 3, 0}}}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestHas(t *testing.T) {
	t.Parallel()
	var tally Tally
	for n := range uint64(10) {
		tally.Add(1, n+5)
	}
	for _, test := range []struct {
		writer   int
		from, to uint64
		want     bool
	}{{1, 5, 15, true}, {1, 5, 16, false}, {1, 4, 15, false}, {1, 7, 7, true}, {0, 5, 6, false}, {9, 0, 1, false}} {
		if got := tally.Has(test.writer, test.from, test.to); got != test.want {
			t.Errorf("Has(%d, %d, %d) is %v", test.writer, test.from, test.to, got)
		}
	}
}
