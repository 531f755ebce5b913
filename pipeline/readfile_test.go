package pipeline

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadFile: what would block or never end is not read, and not even opened.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	file, link, loop := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "loop")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{link: file, loop: loop, link + "pipe": pipe} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		pipe: "is a named pipe", link + "pipe": "is a named pipe", socket: "is a socket", dir: "is a folder",
		"/dev/zero": "is a device", "/dev/null": "is a device", loop: "", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := ReadFile(path, 5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	for _, path := range []string{file, link} {
		if content, err := ReadFile(path, 5); err != nil || string(content) != "12345" {
			t.Errorf("%s: %q, %v", path, content, err)
		}
	}
	if _, err := ReadFile(file, 4); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("a large file: %v", err)
	}
}

// TestOpenDataFile: no link is followed, and what is no file is not taken for one, be it read,
// written or made.
func TestOpenDataFile(t *testing.T) {
	dir := t.TempDir()
	target, link, dangling := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	pipe, none := filepath.Join(dir, "pipe"), filepath.Join(dir, "none")
	if err := os.WriteFile(target, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{link: target, dangling: none} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, flags := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE | os.O_APPEND,
		os.O_RDWR | os.O_CREATE | os.O_TRUNC} {
		for _, path := range []string{link, dangling, pipe, "/dev/zero"} {
			if _, err := OpenDataFile(path, flags); err == nil || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if content, err := os.ReadFile(target); err != nil || string(content) != "content" {
		t.Errorf("the target of a link has %q, %v", content, err)
	}
	if _, err := os.Lstat(none); err == nil {
		t.Error("the target of a link was made")
	}
	f, err := OpenDataFile(none, os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if f, err = OpenDataFile(none, os.O_RDONLY); err != nil {
		t.Fatal(err)
	}
	f.Close()
}
