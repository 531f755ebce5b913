package main

import (
	"fmt"
	"strings"
)

// A table prints rows as they come, each column as wide as its head, or wider. Its
// head comes with the first one.
type table struct {
	heads []string
	begun bool
}

const (
	widestName = len("json-to-elasticsearch-gzip")
	narrowest  = 8
)

func newTable(heads ...string) *table { return &table{heads: heads} }

func (t *table) row(cells ...any) {
	if !t.begun {
		t.begun = true
		fmt.Println()
		heads := make([]any, len(t.heads))
		for i, h := range t.heads {
			heads[i] = h
		}
		t.print(heads)
	}
	t.print(cells)
}

func (t *table) print(cells []any) {
	var line strings.Builder
	for i, c := range cells {
		if i == 0 {
			fmt.Fprintf(&line, "%-*v", widestName, c)
			continue
		}
		fmt.Fprintf(&line, "  %*v", max(narrowest, len(t.heads[i])), c)
	}
	fmt.Println(line.String())
}
