package file

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/longshore/longshore/inputs/lines"
)

// A writer writes where it was, whatever has become of the file.
type writer struct {
	r  *rig
	fd *os.File
}

func (r *rig) writer(name string) *writer {
	r.t.Helper()
	fd, err := os.Create(r.path(name))
	r.must(err)
	r.t.Cleanup(func() { fd.Close() })
	return &writer{r, fd}
}

func (w *writer) write(text string) {
	w.r.t.Helper()
	_, err := w.fd.WriteString(text)
	w.r.must(err)
}

// wantNULs checks how many bytes of NULs are counted.
func (r *rig) wantNULs(want float64) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	r.must(err)
	for _, family := range families {
		if family.GetName() == "longshore_file_skipped_nul_bytes_total" {
			if got := family.Metric[0].Counter.GetValue(); got != want {
				r.t.Errorf("%v bytes of NULs are counted, want %v", got, want)
			}
		}
	}
}

// TestCopyTruncateOfAWriterThatDoesNotAppend: it goes on behind a hole, again and again.
func TestCopyTruncateOfAWriterThatDoesNotAppend(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		twice(t, func(r *rig) {
			w := r.writer("app.log")
			var want []string
			add := func(line string) string {
				want = append(want, line)
				return line + "\n"
			}
			for i := range 20_000 {
				w.write(add(fmt.Sprintf("%d is a line of what was written before", i)))
			}
			r.start()
			r.pass(pollTime)
			for i := range 3 {
				w.write(add(fmt.Sprintf("%d not read yet", i)))
				if i > 0 && compressed {
					r.rename("app.log.1.gz", fmt.Sprintf("app.log.%d.gz", 9-i))
				} else if i > 0 {
					r.rename("app.log.1", fmt.Sprintf("app.log.%d", 9-i))
				}
				r.duplicate("app.log", "app.log.1")
				r.must(os.Truncate(r.path("app.log"), 0))
				if compressed {
					r.compress("app.log.1")
				}
				w.write(add(fmt.Sprintf("%d the first behind the hole", i)) + add("and the second"))
				r.pass(copyTimeout + quietTime)
			}
			r.wantSet(want...)
			r.wantLog("")
			r.wantLost(0)
			r.wantNoMore()
		})
	}
}

// TestHoles: NULs before lines are no part of them, be they a hole or written, many or few, at the
// beginning, between lines or in a line that they make too long.
func TestHoles(t *testing.T) {
	const far = 1 << 41
	for _, tt := range []struct {
		name string
		make func(w *writer)
		want []string
		nuls float64
	}{
		{"a hole", func(w *writer) { w.seek(3 << 20); w.write("one\ntwo\n") },
			[]string{"3145728:one", "3145732:two"}, 3 << 20},
		{"NULs", func(w *writer) { w.write(nuls(3<<20) + "one\n") }, []string{"3145728:one"}, 3 << 20},
		{"a few NULs", func(w *writer) { w.write("one\n" + nuls(20) + "two\n") }, []string{"0:one", "24:two"}, 20},
		{"less than a block", func(w *writer) { w.write(nuls(5000) + "one\n") }, []string{"5000:one"}, 5000},
		{"between lines", func(w *writer) { w.write("one\n" + nuls(1<<20) + "two\n") },
			[]string{"0:one", "1048580:two"}, 1 << 20},
		{"in a line", func(w *writer) { w.write("half a li" + nuls(3<<20) + "one\n") },
			[]string{"0:half a li", "3145737:one"}, 3 << 20},
		{"a sparse file", func(w *writer) { w.write("one\n"); w.seek(far); w.write("two\n") },
			[]string{"0:one", fmt.Sprint(far) + ":two"}, far - 4},
		{"marks behind a hole", func(w *writer) { w.seek(4096); w.write("\xef\xbb\xbfone\n") },
			[]string{"4096:one"}, 4096},
		{"UTF-16 behind a hole", func(w *writer) { w.seek(4096); w.write(utf16("first\r\nsecond\r\n")) },
			[]string{"4096:first", "4110:second"}, 4096},
		{"UTF-16, and a hole between", func(w *writer) {
			w.write("\xff\xfe" + utf16("a\n"))
			w.seek(1 << 20)
			w.write(utf16("b\n"))
		}, []string{"2:a", "1048576:b"}, 1<<20 - 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			poll(t, func(r *rig) {
				tt.make(r.writer("app.log"))
				r.start()
				r.pass(pollTime)
				r.wantAt(tt.want...)
				r.wantNULs(tt.nuls)
				r.wantLog("")
				r.feed.Ack()
				r.restart(nil)
				r.pass(quietTime)
				r.want()
			})
		})
	}
}

func (w *writer) seek(to int64) {
	_, err := w.fd.Seek(to, 0)
	w.r.must(err)
}

func nuls(n int) string { return strings.Repeat("\x00", n) }

func utf16(text string) string {
	var s strings.Builder
	for _, c := range []byte(text) {
		s.WriteByte(c)
		s.WriteByte(0)
	}
	return s.String()
}

// TestWrittenOver: a file is as long as it will be before there is text in it. The NULs are not
// taken for text, and what is written over them is read.
func TestWrittenOver(t *testing.T) {
	for _, made := range []string{"hole", "zeros"} {
		t.Run(made, func(t *testing.T) {
			poll(t, func(r *rig) {
				const size = 300_000
				w := r.writer("app.log")
				if made == "zeros" {
					w.write(nuls(size))
					w.seek(0)
				}
				r.must(w.fd.Truncate(size))
				r.start()
				r.pass(quietTime)
				r.want()
				w.write("one\n")
				r.pass(pollTime)
				r.want("one")
				r.feed.Ack()
				r.restart(nil)
				w.write("two\nthree")
				r.pass(pollTime)
				r.want("two")
				w.write(" and more\n")
				r.pass(quietTime)
				r.want("two", "three and more")
				r.rename("app.log", "app.log.1")
				r.pass(quietTime)
				r.remove("app.log.1")
				r.pass(quietTime)
				r.want("two", "three and more")
				r.wantLost(0)
				r.wantLog("")
			})
		})
	}
}

// TestUTF16IsRemembered: a log whose mark was at its very beginning is truncated.
func TestUTF16IsRemembered(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "\xff\xfe"+utf16("one\r\ntwo\r\n"))
		r.start()
		r.pass(pollTime)
		r.truncate("app.log", utf16("three\r\n"))
		r.pass(pollTime)
		r.append("app.log", utf16("four\r\n"))
		r.pass(pollTime)
		r.want("one", "two", "three", "four")
		r.feed.Ack()
		r.restart(func() { r.append("app.log", utf16("five\r\n")) })
		r.pass(pollTime)
		r.want("five")
		r.truncate("app.log", "plain again\n")
		r.pass(pollTime)
		r.want("five", "plain again")
	})
}

func TestResolveRemembers(t *testing.T) {
	auto, err := lines.FindEncoding("auto")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, head string
		before     *lines.Encoding
		want       *lines.Encoding
	}{
		{"nothing was before", "plain text", nil, lines.UTF8},
		{"a mark", "\xff\xfea\x00", nil, lines.UTF16LE},
		{"ASCII in UTF-16", utf16("2026-11-28"), nil, lines.UTF16LE},
		{"and the other", "\x00" + utf16("2026-11-28")[:19], nil, lines.UTF16BE},
		{"a short line", utf16("four\r\n"), nil, lines.UTF16LE},
		{"NULs in UTF-8", "a\x00b\x00c d e f g", nil, lines.UTF8},
		{"another script, as before", "\x20\x4e\x8c\x4e\x09\x4e\xdb\x56\x94\x4e\x6d\x51", lines.UTF16LE, lines.UTF16LE},
		{"plain, and was not before", "plain text", lines.UTF16LE, lines.UTF8},
		{"another mark", "\xef\xbb\xbfa", lines.UTF16LE, lines.UTF8},
	} {
		if got, _, ok := auto.Resolve([]byte(tt.head), tt.before); got != tt.want || !ok {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
