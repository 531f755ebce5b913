package file

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// copyText is what a log held when it was copied, and bzip2ed what bzip2 makes of it.
const (
	copyText = "one\ntwo\nthree\n"
	bzip2ed  = "425a6839314159265359087b7dd7000004c1800010024194802000310c0821a3d4c885473238a8f177245385090087b7dd70"
)

// copyNames are the names that a copy of app.log may have, whoever makes it.
var copyNames = []string{
	"app.log.1", "app.log.1.bak", "app.log.bak", "app.log.bak.2", "app.log.old", "app.log.orig", "app.log.save",
	"app.log~", "app.log.~1~", "app.log.copy", "app.log_copy", "app.log (copy)", "app.log.2024-05-01",
	"app.log.20240501T120000", "app.log-20240501.bak", "app.log.k8s-node-3", "app-2024-05-01.log", "app.1.log",
	"app.old.log", "app_backup.log", "app-copy-2.log", "app (copy 2).log", "app.bak", "app.old",
}

// packedNames are those of a compressed one.
var packedNames = []string{"app.log.1.gz", "app.log.gz", "app-2024-05-01.log.gz", "app.log.bak.gz", "app.log.zst",
	"app.log.1.ZST", "app.1.log.zst", "app.log.bz2", "app.log.20240501.bz2"}

func packed(t *testing.T, name, text string) string {
	t.Helper()
	switch strings.ToLower(filepath.Ext(name)) {
	case ".gz":
		return gzipped(text)
	case ".zst":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(w.EncodeAll([]byte(text), nil))
	}
	if text != copyText {
		t.Fatalf("there is no bzip2 form of %q", text)
	}
	p, err := hex.DecodeString(bzip2ed)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// TestCopiesNamedOtherwise: the rest of a truncated log is in its copy, whatever that is called and
// whether the globs match it.
func TestCopiesNamedOtherwise(t *testing.T) {
	for _, name := range slices.Concat(copyNames, packedNames) {
		t.Run(name, func(t *testing.T) {
			for _, glob := range []string{"app.log", "*"} {
				for _, stopped := range []bool{false, true} {
					poll(t, func(r *rig) { truncateWithCopy(r, name, glob, stopped) })
				}
			}
		})
	}
}

func truncateWithCopy(r *rig, name, glob string, stopped bool) {
	r.config.Paths = []string{r.path(glob)}
	r.write("app.log", "one\ntwo\n")
	r.start()
	r.pass(pollTime)
	r.wantAt("0:one", "4:two")
	r.feed.Ack()
	rotate := func() {
		r.append("app.log", "three\n")
		if isCompressed(name) {
			r.write(name, packed(r.t, name, r.read("app.log")))
		} else {
			r.duplicate("app.log", name)
		}
		r.truncate("app.log", "four and more than there was before\n")
	}
	if stopped {
		r.restart(rotate)
	} else {
		rotate()
	}
	r.pass(copyTimeout + quietTime)
	all := r.at()
	if !stopped {
		all = all[2:]
	}
	slices.Sort(all)
	if diff := cmp.Diff([]string{"0:four and more than there was before", "8:three"}, all); diff != "" {
		r.t.Errorf("glob %s, stopped %v (-want +got)\n%s", glob, stopped, diff)
	}
	r.wantLog("")
	r.wantNoMore()
}

// TestCopiesThatAreNone: another log in the same folder is none, though it begins like the one that
// is deleted and goes on where that was read to.
func TestCopiesThatAreNone(t *testing.T) {
	for _, name := range []string{"app-debug.log", "apps.log", "application.log", "backup-of-app.log"} {
		poll(t, func(r *rig) {
			r.config.Paths = []string{r.path("app.log")}
			text := "one line of both logs\n"
			r.write("app.log", text)
			r.start()
			r.pass(pollTime)
			r.write(name, text+"another\n")
			r.remove("app.log")
			r.pass(copyTimeout + quietTime)
			r.want("one line of both logs")
		})
	}
}

// TestUnpack: files are unpacked by what they hold, and what cannot be unpacked is told.
func TestUnpack(t *testing.T) {
	for _, name := range []string{"a.gz", "a.zst", "a.bz2"} {
		poll(t, func(r *rig) {
			r.config.Paths = []string{r.path("*")}
			r.write(name, packed(t, name, copyText))
			r.start()
			r.pass(quietTime)
			r.wantAt("0:one", "4:two", "8:three")
			r.wantLog("")
			r.feed.Ack()
			r.restart(nil)
			r.pass(quietTime)
			r.want()
		})
	}
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*")}
		r.write("a.gz", packed(t, "a.zst", copyText))
		r.write("b.zst", packed(t, "a.zst", copyText)+packed(t, "a.zst", "four\n"))
		r.write("c.xz", "\xfd7zXZ\x00 and more")
		r.write("d.zst", "no such thing")
		cut := packed(t, "e.zst", strings.Repeat("the same again\n", 100))
		r.write("e.zst", cut[:len(cut)-3])
		r.start()
		r.pass(copyTimeout + quietTime)
		want := []string{"one", "three", "two"}
		if diff := cmp.Diff(want, unique(r.feed.Lines(), "four", "the same again")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		r.wantLog("xz is not supported")
		r.wantLog("neither gzip, zstd nor bzip2")
	})
}

// unique returns the lines that are there, sorted, but for some.
func unique(lines []string, but ...string) []string {
	slices.Sort(lines)
	return slices.DeleteFunc(slices.Compact(lines), func(l string) bool { return slices.Contains(but, l) })
}

// TestAZstdFileThatTakesMuchMemory is told, and not unpacked.
func TestAZstdFileThatTakesMuchMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zst")
	fd, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	w, err := zstd.NewWriter(fd, zstd.WithWindowSize(2*maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	block := []byte(strings.Repeat("0123456789abcdef", 1<<16))
	for range 40 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fd.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	r, err := decompress(fd)
	if err == nil {
		_, err = r.Read(make([]byte, 1))
	}
	if asIncomplete(err) != errWindow {
		t.Errorf("it fails with %v, want %v", err, errWindow)
	}
}

func TestMayBeCopyOf(t *testing.T) {
	for _, name := range slices.Concat(copyNames, packedNames) {
		if !mayBeCopyOf("/var/log/"+name, "/var/log/app.log") {
			t.Errorf("%s is no copy of app.log", name)
		}
	}
	for _, tt := range []struct{ path, of string }{
		{"/l/app-debug.log", "/l/app.log"}, {"/l/apps.log", "/l/app.log"}, {"/m/app.log.1", "/l/app.log"},
		{"/l/app.json", "/l/app.log"}, {"/l/app", "/l/app.log"},
	} {
		if mayBeCopyOf(tt.path, tt.of) {
			t.Errorf("%s is a copy of %s", tt.path, tt.of)
		}
	}
}

func TestHeadIndex(t *testing.T) {
	var index headIndex[string]
	for _, head := range []string{"a", "ab", "ab", "abc", "b", "bcd", "abcde"} {
		index.add(fingerprintOf([]byte(head)), head)
	}
	index.sort()
	for text, want := range map[string][]string{
		"":      nil,
		"a":     {"a"},
		"abx":   {"a", "ab", "ab"},
		"abcd":  {"a", "ab", "ab", "abc"},
		"bcdef": {"b", "bcd"},
		"x":     nil,
	} {
		if diff := cmp.Diff(want, slices.Collect(index.find([]byte(text)))); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}
