package file

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// encoded returns text in an encoding.
func encoded(t testing.TB, name, text string) string {
	t.Helper()
	e, err := htmlindex.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEncodings(t *testing.T) {
	const text = "grüße\r\n\nzwei Ċ\nthree"
	for _, tt := range []struct {
		name, setting, raw string
		want               []string
		second             uint64 // position of the last of them
	}{
		{"UTF-8", "auto", text, []string{"grüße", "", "zwei Ċ"}, 10},
		{"UTF-8 with a BOM", "auto", "\xef\xbb\xbf" + text, []string{"grüße", "", "zwei Ċ"}, 13},
		{"UTF-8 with a BOM, by name", "utf-8", "\xef\xbb\xbf" + text, []string{"grüße", "", "zwei Ċ"}, 13},
		{"UTF-16LE with a BOM", "auto", "\xff\xfe" + encoded(t, "utf-16le", text), []string{"grüße", "", "zwei Ċ"}, 18},
		{"UTF-16BE with a BOM", "auto", "\xfe\xff" + encoded(t, "utf-16be", text), []string{"grüße", "", "zwei Ċ"}, 18},
		{"UTF-16LE by name", "utf-16le", encoded(t, "utf-16le", text), []string{"grüße", "", "zwei Ċ"}, 16},
		{"UTF-16BE by name", "UTF-16BE", encoded(t, "utf-16be", text), []string{"grüße", "", "zwei Ċ"}, 16},
		{"Windows", "windows-1252", encoded(t, "windows-1252", "grüße\r\nzwei\n"), []string{"grüße", "zwei"}, 7},
		{"Shift JIS", "shift_jis", encoded(t, "shift_jis", "ログ\n表示\n"), []string{"ログ", "表示"}, 5},
		{"not of the encoding", "utf-16le", "\x00\xd8a\x00\n\x00b\x00\n\x00", []string{"\ufffda", "b"}, 6},
	} {
		poll(t, func(r *rig) {
			r.config.Encoding = tt.setting
			half := len(tt.raw) / 2
			r.write("app.log", tt.raw[:1])
			r.start()
			r.pass(pollTime)
			r.append("app.log", tt.raw[1:half])
			r.pass(pollTime)
			r.append("app.log", tt.raw[half:])
			r.pass(pollTime)
			r.want(tt.want...)
			if got := r.feed.Got(); len(got) > 1 && got[len(got)-1].Pos != tt.second {
				t.Errorf("%s: the last line is at %d, want %d", tt.name, got[len(got)-1].Pos, tt.second)
			}
			r.feed.Ack()
			r.restart(func() { r.append("app.log", strings.Repeat(tt.raw[len(tt.raw)-1:], 0)) })
			r.pass(pollTime)
			r.want()
			if t.Failed() {
				t.Logf("that was %s", tt.name)
			}
		})
	}
}

func TestLongLinesOfOtherEncodings(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Encoding, r.config.MaxLineSize = "utf-16le", 21
		long := strings.Repeat("ä", 1<<20)
		r.write("app.log", encoded(t, "utf-16le", "one\n"+long+"\ntwo\n"))
		r.start()
		r.pass(pollTime)
		r.want("one", strings.Repeat("ä", 10), "two")
	})
}

func TestUnknownEncoding(t *testing.T) {
	for _, name := range []string{"utf-9", "iso-2022-kr"} {
		c := Config{Paths: []string{"/var/log/*.log", "", "/var/log/[a"}, Encoding: name}
		var got []string
		for _, p := range c.Check() {
			got = append(got, p.Path)
		}
		if want := []string{"paths[1]", "paths[2]", "encoding"}; !slices.Equal(got, want) {
			t.Errorf("problems with %q, want %q", got, want)
		}
		if _, err := c.Input(pipetest.Env(t)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// gzipped returns text as a gzip member.
func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func TestCompressed(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*")}
		r.write("app.log.gz", gzipped("one\ntwo\nth")+gzipped("ree\nlast"))
		r.start()
		r.pass(pollTime)
		r.want("one", "two", "three", "last")
		if got := r.feed.Got(); got[3].Pos != 14 || got[0].Source.Label(event.LabelService) != "app" {
			t.Errorf("got %+v", got[3])
		}
		if n := openHere(t, r.dir); n != 0 {
			t.Errorf("%d files are still open", n)
		}
		r.append("app.log.gz", gzipped("\nmore\n"))
		r.pass(pollTime)
		r.want("one", "two", "three", "last", "more")
		r.feed.Ack()
		r.restart(nil)
		r.pass(pollTime)
		r.want()
		r.wantLog("")
	})
}

func TestCompressedRestart(t *testing.T) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "line %d of a longer text\n", i)
	}
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*.gz")}
		r.write("app.log.gz", gzipped(text.String()))
		stopped := &stopper{Feed: r.feed, after: 3}
		r.startOn(stopped)
		r.pass(pollTime)
		before := len(r.feed.Lines())
		r.feed.Ack()
		r.restart(nil)
		r.pass(pollTime)
		after := r.feed.Lines()
		if before == 0 || len(after) == 0 || before+len(after) != 100_000 {
			t.Errorf("%d lines before the restart, %d after", before, len(after))
		}
		if want := fmt.Sprintf("line %d of a longer text", before); len(after) > 0 && after[0] != want {
			t.Errorf("it continued with %q, want %q", after[0], want)
		}
	})
}

func TestIncompleteCompressed(t *testing.T) {
	whole := gzipped("one\n" + strings.Repeat("two and more\n", 1000) + "last")
	for _, tt := range []struct {
		name, raw string
		first     string
	}{
		{"cut off", whole[:len(whole)-9], "one"},
		{"damaged", whole[:len(whole)-6] + "xxxxxx", "one"},
		{"no gzip", "plain text\n", ""},
	} {
		poll(t, func(r *rig) {
			r.config.Paths = []string{r.path("*.gz")}
			r.write("app.log.gz", tt.raw)
			r.write("good.log.gz", gzipped("good\n"))
			r.start()
			r.pass(quietTime)
			r.wantLog("cannot unpack")
			lines := r.feed.Lines()
			if tt.first != "" && (len(lines) < 900 || !strings.Contains(strings.Join(lines, "\n"), tt.first)) {
				t.Errorf("%s: %d lines", tt.name, len(lines))
			}
			if tt.first == "" && len(lines) != 1 {
				t.Errorf("%s: %q", tt.name, lines)
			}
		})
	}
}

func TestCompressedWhileItIsWritten(t *testing.T) {
	whole := gzipped("one\n" + strings.Repeat("two and more\n", 1000) + "last\n")
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*.gz")}
		r.write("app.log.gz", whole[:20])
		r.start()
		for i := 20; i < len(whole); i += 10 {
			r.pass(pollTime)
			r.append("app.log.gz", whole[i:min(i+10, len(whole))])
		}
		r.pass(quietTime)
		if n := len(r.feed.Lines()); n != 1002 {
			t.Errorf("%d lines, want 1002", n)
		}
		r.wantLog("")
	})
}

func TestManyCompressed(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*.gz")}
		for i := range 30 {
			r.write(fmt.Sprintf("%d.gz", i), gzipped(strings.Repeat("a line\n", 1000)))
		}
		r.start()
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 30_000 {
			t.Errorf("%d lines", n)
		}
		r.remove("3.gz")
		r.pass(quietTime)
		r.feed.Ack()
		if n := len(r.feed.Restart().Known()); n != 29 {
			t.Errorf("%d sources are known", n)
		}
		r.must(os.RemoveAll(r.path("4.gz")))
	})
}
