package deliver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzReplay reads any file as one of dead letters: each line that is a dead letter is sent once.
func FuzzReplay(f *testing.F) {
	letter := `{"output":"out","reason":"too ` +
		`old","source":"ff","position":7,"group":"g","record":"a","encoded":"YQ=="}` + "\n"
	f.Add([]byte(letter + "torn{\n" + letter))
	f.Add([]byte(letter[:40] + "\n" + letter))
	f.Add([]byte("\n\n{}\nnull\n[]\n1"))
	f.Fuzz(func(t *testing.T, file []byte) {
		want := 0
		for line := range bytes.Lines(file) {
			if len(bytes.TrimSpace(line)) > 0 && json.Unmarshal(line, &DeadLetter{}) == nil {
				want++
			}
		}
		r := &Replay{lines: bufio.NewReader(bytes.NewReader(file))}
		if err := eachLine(bytes.NewReader(file), func(l *DeadLetter, _ []byte) error {
			if l != nil {
				r.left++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if r.left != want {
			t.Fatalf("it has %d dead letters, want %d", r.left, want)
		}
		r.pending.Store(int64(r.left))
		for r.left > 0 {
			var b Body
			if _, _, err := r.Next(&b); err != nil {
				t.Fatal(err)
			}
			if n := len(b.Items); n == 0 || int(b.Items[n-1].End) != len(b.Bytes) || len(b.Runs) != n {
				t.Fatalf("a body of %d items and %d bytes: %+v", n, len(b.Bytes), b)
			}
			b.finish()
		}
		if n := r.pending.Load(); n != 0 {
			t.Errorf("%d dead letters are not done", n)
		}
	})
}
