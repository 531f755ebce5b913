package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/disk/disktest"
)

// both runs a test on the real disk and on the simulated one.
func both(t *testing.T, test func(t *testing.T, on disk.FS, dir string)) {
	t.Run("real", func(t *testing.T) { test(t, disk.OS{}, t.TempDir()) })
	t.Run("simulated", func(t *testing.T) {
		d := disktest.New()
		if err := d.Mkdir("dir"); err != nil {
			t.Fatal(err)
		}
		test(t, d, "dir")
	})
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	both(t, func(t *testing.T, on disk.FS, dir string) {
		path := filepath.Join(dir, "a")
		if _, err := on.Open(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opening what is not there: %v", err)
		}
		try(t, disk.WriteFile(on, path, []byte("0123456789")))
		f, err := on.Open(path)
		try(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte("xy"), 9)
		try(t, err)
		try(t, f.Truncate(10))
		if size, err := f.Size(); size != 10 || err != nil || f.Name() != path {
			t.Errorf("size %d, %v, name %s", size, err, f.Name())
		}
		p := make([]byte, 4)
		if n, err := f.ReadAt(p, 8); n != 2 || err == nil || string(p[:n]) != "8x" {
			t.Errorf("read %q, %v", p[:n], err)
		}
		try(t, f.Sync())
		try(t, on.SyncDir(dir))
		content, err := disk.ReadFile(on, path)
		try(t, err)
		if string(content) != "012345678x" {
			t.Errorf("content %q", content)
		}
	})
}

func TestNames(t *testing.T) {
	both(t, func(t *testing.T, on disk.FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		try(t, disk.WriteFile(on, b, []byte("b")))
		try(t, disk.WriteFile(on, a, []byte("a")))
		try(t, on.Rename(b, a))
		names, err := on.ReadDir(dir)
		try(t, err)
		content, err := disk.ReadFile(on, a)
		try(t, err)
		if diff := cmp.Diff([]string{"a"}, names); diff != "" || string(content) != "b" {
			t.Errorf("content %q, %s", content, diff)
		}
		try(t, on.Remove(a))
		if err := on.Remove(a); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removing what is not there: %v", err)
		}
		if free, err := on.Free(dir); err != nil || free <= 0 {
			t.Errorf("Free() = %d, %v", free, err)
		}
	})
}

func TestMkdirAll(t *testing.T) {
	both(t, func(t *testing.T, on disk.FS, dir string) {
		deep := filepath.Join(dir, "a", "b", "c")
		try(t, disk.MkdirAll(on, deep))
		try(t, disk.MkdirAll(on, deep))
		file := filepath.Join(deep, "file")
		try(t, disk.WriteFile(on, file, nil))
		if disk.MkdirAll(on, file) == nil || disk.MkdirAll(on, filepath.Join(file, "x")) == nil {
			t.Error("a file was taken for a folder")
		}
	})
}

// TestMkdirAllLasts: also what a killed process had begun.
func TestMkdirAllLasts(t *testing.T) {
	disktest.EveryCrash(t, 1, func(d *disktest.Disk) error { return disk.MkdirAll(d, "a/b/c") },
		func(t *testing.T, d *disktest.Disk, _ error) {
			try(t, disk.MkdirAll(d, "a/b/c"))
			_, err := d.Crash(disktest.Dropped).ReadDir("a/b/c")
			try(t, err)
		})
}

// TestReplaceIsAllOrNothing at any power loss.
func TestReplaceIsAllOrNothing(t *testing.T) {
	replace := func(d *disktest.Disk) bool {
		if disk.WriteFile(d, "f", []byte("old")) != nil || d.SyncDir(".") != nil {
			return false
		}
		f, err := disk.Replace(d, "f", []byte("something new"))
		if err == nil && f.Name() != "f" {
			t.Errorf("the file's name is %s", f.Name())
		}
		return true
	}
	disktest.EveryCrash(t, 50, replace, func(t *testing.T, d *disktest.Disk, began bool) {
		content, err := disk.ReadFile(d, "f")
		if began && (err != nil || string(content) != "old" && string(content) != "something new") {
			t.Fatalf("content %q, %v", content, err)
		}
	})
}

func TestReplaceLeavesNothingBehindWhenItFails(t *testing.T) {
	d := disktest.New()
	d.Fault = func(op disktest.Op) error {
		if op.Kind == disktest.Rename {
			return os.ErrPermission
		}
		return nil
	}
	if _, err := disk.Replace(d, "f", nil); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v", err)
	}
	if names, _ := d.ReadDir("."); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}
func TestHasUnwritten(t *testing.T) {
	text := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	zeros := func(n int) []byte { return make([]byte, n) }
	cases := map[string]struct {
		p      []byte
		offset int64
		want   bool
	}{
		"nothing":              {nil, 7, false},
		"text":                 {text(2000), 7, false},
		"a sector":             {append(append(text(505), zeros(512)...), text(9)...), 7, true},
		"zeros over an edge":   {append(append(text(500), zeros(512)...), text(9)...), 7, false},
		"the rest of a sector": {append(zeros(505), text(9)...), 7, true},
		"the start of a last":  {append(text(505), 0), 7, true},
		"zeros in text":        {append(append(text(10), zeros(100)...), text(10)...), 0, false},
	}
	for name, c := range cases {
		if got := disk.HasUnwritten(c.p, c.offset); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestLinksAreNotFollowed: neither opening nor creating a file touches what a link there points to.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	target, link, dangling := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	if err := os.WriteFile(target, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{link: target, dangling: filepath.Join(dir, "new")} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
		for _, open := range []func(string) (disk.File, error){disk.OS{}.Open, disk.OS{}.Create} {
			if _, err := open(name); err == nil || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	content, err := os.ReadFile(target)
	if err != nil || string(content) != "content" {
		t.Errorf("the target has %q, %v", content, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("the target of a link was made")
	}
}
