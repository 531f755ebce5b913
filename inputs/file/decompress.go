package file

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow limits the memory that a zstd file may ask for. 8 MiB is what the format wants every
// decoder to have, and what all levels but the --ultra ones and --long need.
const maxWindow = 8 << 20

// isCompressed reports whether a file is compressed by its name. How it is, its first bytes say.
func isCompressed(path string) bool { return compressedEnding(path) != "" }

// compressedEnding returns the ending of a compressed file's name.
func compressedEnding(path string) string {
	ending := filepath.Ext(path)
	switch strings.ToLower(ending) {
	case ".gz", ".zst", ".bz2", ".xz":
		return ending
	}
	return ""
}

// plainName returns the name that a file had before it was compressed.
func plainName(path string) string { return strings.TrimSuffix(path, compressedEnding(path)) }

// decompress returns a reader of the text of a compressed file, to the end of its last member.
func decompress(file io.Reader) (io.Reader, error) {
	r := bufio.NewReaderSize(file, 64<<10)
	magic, err := r.Peek(4)
	if err != nil {
		return nil, unexpected(err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		zip, err := gzip.NewReader(r)
		if err != nil {
			return nil, unexpected(err)
		}
		return zip, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(r), nil
	case isZstd(magic):
		// With one at a time the decoder works in the caller's goroutine, and has nothing to close.
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
	case string(magic) == "\xfd7zX":
		return nil, errXZ
	}
	return nil, errNotCompressed
}

var (
	// errXZ: the header of a block sets the memory, up to 4 GiB, and no library of today that is
	// kept up lets a program limit it.
	errXZ            = errors.New("xz is not supported; compress with gzip, zstd or bzip2 instead")
	errNotCompressed = errors.New("it is neither gzip, zstd nor bzip2, whatever its name says")
	errWindow        = fmt.Errorf("it takes more than %d MiB of memory to unpack; compress without --long and --ultra",
		maxWindow>>20)
)

// isZstd reports whether a file begins with a zstd frame, or with one that is to be skipped.
func isZstd(magic []byte) bool {
	return string(magic) == "\x28\xb5\x2f\xfd" || magic[0]&0xf0 == 0x50 && string(magic[1:]) == "\x2a\x4d\x18"
}

// unexpected replaces an EOF in the middle.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
