package components

import (
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	maxCode    = 120 // columns, of which a tab takes four
	maxComment = 100
)

// TestLineLengths checks all Go files of the repository. Struct tags and texts of several lines are
// exempt. "make lint" runs it.
func TestLineLengths(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == "testdata" || len(name) > 2 && name[0] == '.') {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err == nil {
			checkLines(t, path, source)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkLines(t *testing.T, path string, source []byte) {
	lines := strings.Split(string(source), "\n")
	most := limits(source, len(lines))
	structTag := regexp.MustCompile("`[a-z_]+:\"")
	for i, line := range lines {
		columns := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
		if most[i] > 0 && columns > most[i] && !structTag.MatchString(line) {
			t.Errorf("%s:%d: %d columns, want at most %d", path, i+1, columns, most[i])
		}
	}
}

// limits returns how long each line may be; 0 for no limit.
func limits(source []byte, lines int) []int {
	most := make([]int, lines)
	for i := range most {
		most[i] = maxCode
	}
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, kind, text := s.Scan()
		if kind == token.EOF {
			return most
		}
		begin := file.Offset(pos)
		first := bytes.Count(source[:begin], []byte("\n"))
		last := first + strings.Count(text, "\n")
		lineStart := bytes.LastIndexByte(source[:begin], '\n') + 1
		for i := first; i <= last; i++ {
			switch {
			case kind == token.STRING && last > first:
				most[i] = 0
			case kind == token.COMMENT && len(bytes.TrimSpace(source[lineStart:begin])) == 0:
				most[i] = maxComment
			}
		}
	}
}
