package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Explainer = (*input)(nil)

// Explain implements pipeline.Explainer for a file's path.
func (in *input) Explain(_ context.Context, name string) (pipeline.Explanation, error) {
	if !filepath.IsAbs(name) {
		return pipeline.Explanation{Why: "this is no path of a file"}, nil
	}
	path := filepath.Clean(name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pipeline.Explanation{Why: "there is no file " + path}, nil
	}
	if err != nil {
		return pipeline.Explanation{}, err
	}
	e := pipeline.Explanation{Found: true, Is: fmt.Sprintf("file %s of %s", path, pipeline.Size(info.Size()).Rounded())}
	if e.Taken, e.Why = in.takes(path, info); e.Taken {
		e.ReadFrom = "the file, which is followed through rotation"
		e.Sources = []pipeline.ExplainedSource{in.explainedFile(path, info.Size())}
	}
	return e, nil
}

// takes reports whether a file is followed, and why.
func (in *input) takes(path string, info fs.FileInfo) (taken bool, why string) {
	if !info.Mode().IsRegular() {
		return false, "it is no regular file"
	}
	for i, text := range in.settings.Paths {
		included, err := glob.NewSet([]string{text}, nil)
		if err != nil || !included.Match(path) {
			continue
		}
		for k, text := range in.settings.Exclude {
			if excluded, err := glob.NewSet(nil, []string{text}); err == nil && excluded.Excludes(path) {
				return false, fmt.Sprintf("exclude[%d] %s excludes it", k, text)
			}
		}
		if limit := time.Duration(in.settings.IgnoreOlder); limit > 0 && time.Since(info.ModTime()) > limit {
			return false, fmt.Sprintf("ignore_older: it was last written to %s, unless it was being read before",
				info.ModTime().UTC().Format(time.RFC3339))
		}
		if in.settings.guide.Choose(path) == Leave {
			return false, "what it belongs to is left out"
		}
		return true, fmt.Sprintf("paths[%d] %s matches it", i, text)
	}
	why = "no glob of paths matches it"
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		why += "; it leads to " + real + ", and what counts is the path that is named"
	}
	return false, why
}

func (in *input) explainedFile(path string, size int64) pipeline.ExplainedSource {
	s := pipeline.ExplainedSource{Key: path, Name: path, Labels: in.settings.guide.Labels(path), NoLines: "it has none",
		Position: func(pos uint64) string {
			return fmt.Sprintf("its first %s of %s", pipeline.Size(pos).Rounded(), pipeline.Size(size).Rounded())
		}}
	var err error
	if s.Lines, err = lastLines(path, size); err != nil {
		s.NoLines = "they cannot be read: " + err.Error()
	}
	return s
}

var errNoText = errors.New("it is compressed, or no text")

// lastLines returns the last whole lines of a file.
func lastLines(path string, size int64) ([]string, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	from := max(0, size-pipeline.TailBytes)
	text, err := io.ReadAll(io.NewSectionReader(f, from, pipeline.TailBytes))
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errNoText
	}
	var lines []string
	for line := range bytes.Lines(text) {
		lines = append(lines, string(bytes.TrimRight(line, "\r\n")))
	}
	if from > 0 && len(lines) > 1 {
		lines = lines[1:] // its beginning is not there
	}
	return lines[max(0, len(lines)-pipeline.TailLines):], nil
}
