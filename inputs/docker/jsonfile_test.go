package docker

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A jsonFile writes and rotates a log as dockerd does (moby, daemon/logger/loggerutils/logfile.go).
type jsonFile struct {
	t        testing.TB
	path     string
	size     int64 // max-size; 0 for no limit
	files    int   // max-file
	compress bool
	attrs    string

	written       int64
	uncompressed  bool // .1 is not compressed yet, by compressLater
	compressLater bool
}

func newJSONFile(t testing.TB, size int64, files int, compress bool) *jsonFile {
	j := &jsonFile{t: t, path: filepath.Join(t.TempDir(), "0123-json.log"), size: size, files: files,
		compress: compress}
	j.raw("")
	return j
}

// options returns the driver's options.
func (j *jsonFile) options() map[string]string {
	return map[string]string{"max-size": fmt.Sprint(j.size), "max-file": fmt.Sprint(j.files),
		"compress": fmt.Sprint(j.compress)}
}

func (j *jsonFile) write(m message) {
	if j == nil {
		return
	}
	if j.size > 0 && j.written >= j.size {
		j.rotate()
	}
	j.raw(string(encodeEntry(m, j.attrs)))
}

// raw writes text that need not be an entry.
func (j *jsonFile) raw(text string) {
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	j.check(err)
	defer f.Close()
	_, err = f.WriteString(text)
	j.check(err)
	j.written += int64(len(text))
}

func (j *jsonFile) rotate() {
	j.compressOld()
	ending := ""
	if j.compress {
		ending = ".gz"
	}
	if j.files < 2 {
		j.check(os.Remove(j.path))
	} else {
		os.Remove(j.old(j.files-1) + ending)
		for i := j.files - 1; i > 1; i-- {
			os.Rename(j.old(i-1)+ending, j.old(i)+ending)
		}
		j.check(os.Rename(j.path, j.old(1)))
	}
	j.written = 0
	j.raw("")
	j.uncompressed = j.compress
	if !j.compressLater {
		j.compressOld()
	}
}

// compressOld compresses the file rotated last; dockerd does so while it writes the next.
func (j *jsonFile) compressOld() {
	if !j.uncompressed {
		return
	}
	j.uncompressed = false
	text, err := os.ReadFile(j.old(1))
	j.check(err)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Extra = []byte(`{"lastTime":"2000-01-01T00:00:00Z"}`)
	zip.Write(text)
	j.check(zip.Close())
	j.check(os.WriteFile(j.old(1)+".gz", packed.Bytes(), 0o640))
	j.check(os.Remove(j.old(1)))
}

func (j *jsonFile) old(i int) string { return fmt.Sprintf("%s.%d", j.path, i) }

func (j *jsonFile) check(err error) {
	if err != nil {
		j.t.Error(err)
	}
}

// encodeEntry writes a message as dockerd's json-file does.
func encodeEntry(m message, attrs string) []byte {
	text, _ := json.Marshal(struct {
		Log    string          `json:"log,omitempty"`
		Stream string          `json:"stream"`
		Attrs  json.RawMessage `json:"attrs,omitempty"`
		Time   time.Time       `json:"time"`
	}{m.text, m.from.String(), json.RawMessage(attrs), time.Unix(0, m.ts).UTC()})
	return append(text, '\n')
}
