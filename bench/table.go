package main

import (
	"fmt"
	"strings"
)

// A table prints rows as they come, each column as wide as its head, or wider.
type table struct{ widths []int }

const narrowest = 8

func (b bench) table(heads ...string) table {
	var t table
	for i, h := range heads {
		t.widths = append(t.widths, max(narrowest, len(h)))
		if i == 0 {
			t.widths[0] = len("json-to-elasticsearch-gzip")
		}
	}
	fmt.Println()
	cells := make([]any, len(heads))
	for i, h := range heads {
		cells[i] = h
	}
	t.row(cells...)
	return t
}

func (t table) row(cells ...any) {
	var line strings.Builder
	for i, c := range cells {
		width := t.widths[i]
		if i == 0 {
			width = -width
		}
		fmt.Fprintf(&line, "%*v  ", width, c)
	}
	fmt.Println(strings.TrimRight(line.String(), " "))
}
