package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The sample logs are one file a service. In each, an entry stands below a line
// "# story step", and ends at an empty line. {words} in braces are filled in.
//
//go:embed samples/*.log
var samples embed.FS

// A story is what one request makes the services log, step by step.
type story []entry

// An entry is one record of one service: a line, or several (a stack trace).
type entry struct {
	file string
	step int
	text string
}

// readStories gives the stories by name, each with its entries in order.
func readStories(files fs.FS) (map[string]story, error) {
	names, err := fs.Glob(files, "samples/*.log")
	if err != nil {
		return nil, err
	}
	stories := make(map[string]story)
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		if err := addEntries(stories, path.Base(name), data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, s := range stories {
		slices.SortStableFunc(s, func(a, b entry) int { return a.step - b.step })
	}
	return stories, nil
}

func addEntries(stories map[string]story, file string, data []byte) error {
	for block := range bytes.SplitSeq(bytes.TrimSpace(data), []byte("\n\n")) {
		head, text, _ := strings.Cut(string(block), "\n")
		name, step, ok := strings.Cut(strings.TrimPrefix(head, "# "), " ")
		n, err := strconv.Atoi(step)
		if !ok || err != nil || text == "" {
			return fmt.Errorf("an entry begins with %q; write it like \"# story 1\", with its text below", head)
		}
		stories[name] = append(stories[name], entry{file, n, text + "\n"})
	}
	return nil
}
