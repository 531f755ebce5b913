package importer

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
)

// A table of SQLite is read by hand: the one table of Fluent Bit's database has numbers and texts,
// and the libraries that read it are a whole SQLite (modernc.org/sqlite adds 7 MiB to the
// program) or cannot be had (sqlittle). Nothing is written, and there are no indices.
// The format is that of https://www.sqlite.org/fileformat2.html.

var errSQLite = errors.New("not a database of SQLite, or damaged")

const (
	sqliteHeader   = "SQLite format 3\x00"
	leafPage       = 13
	interiorPage   = 5
	maxSQLiteCell  = 1 << 20
	maxSQLiteDepth = 20
)

// sqliteTable calls do for every row of a table, with its columns by name.
func sqliteTable(data []byte, table string, do func(map[string]any) error) error {
	if len(data) < 100 || string(data[:16]) != sqliteHeader {
		return errSQLite
	}
	d := &sqliteFile{data: data, page: int(binary.BigEndian.Uint16(data[16:]))}
	if d.page == 1 {
		d.page = 1 << 16
	}
	d.usable = d.page - int(data[20])
	if d.page < 512 || d.page&(d.page-1) != 0 || d.usable < 480 {
		return errSQLite
	}
	if encoding := binary.BigEndian.Uint32(data[56:]); encoding > 1 {
		return errors.New("the database is not in UTF-8")
	}
	root, columns := 0, []string(nil)
	err := d.walk(1, 0, func(row []any) error {
		if len(row) >= 5 && row[0] == "table" && row[1] == table {
			if page, ok := row[3].(int64); ok && page > 0 && page < math.MaxInt32 {
				root = int(page)
			}
			sql, _ := row[4].(string)
			columns = columnsOf(sql)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return errors.New("the database has no table " + table)
	}
	d.seen = nil
	return d.walk(root, 0, func(row []any) error {
		named := map[string]any{}
		for i, value := range row {
			if i < len(columns) {
				named[columns[i]] = value
			}
		}
		return do(named)
	})
}

// columnsOf returns the names of a table's columns, from the statement that made it.
func columnsOf(sql string) (names []string) {
	_, inner, _ := strings.Cut(sql, "(")
	depth := 0
	for part := range strings.SplitSeq(inner, ",") {
		if words := strings.Fields(part); depth == 0 && len(words) > 0 {
			names = append(names, strings.ToLower(strings.Trim(words[0], "\"`[]'")))
		}
		depth += strings.Count(part, "(") - strings.Count(part, ")")
	}
	return names
}

type sqliteFile struct {
	data         []byte
	page, usable int
	seen         map[int]bool
}

func (d *sqliteFile) at(number int) ([]byte, bool) {
	if number < 1 || number > len(d.data)/d.page {
		return nil, false
	}
	return d.data[(number-1)*d.page : number*d.page], true
}

// walk calls do for every row below a page of a table's tree.
func (d *sqliteFile) walk(number, depth int, do func([]any) error) error {
	p, ok := d.at(number)
	if !ok || depth > maxSQLiteDepth || d.seen[number] {
		return errSQLite
	}
	if d.seen == nil {
		d.seen = map[int]bool{}
	}
	d.seen[number] = true
	head := 0
	if number == 1 {
		head = 100
	}
	cells := int(binary.BigEndian.Uint16(p[head+3:]))
	pointers := head + 8
	if p[head] == interiorPage {
		pointers = head + 12
	} else if p[head] != leafPage {
		return errSQLite
	}
	if pointers+2*cells > len(p) {
		return errSQLite
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(p[pointers+2*i:]))
		if at+4 > len(p) {
			return errSQLite
		}
		if err := d.cell(p, at, p[head], depth, do); err != nil {
			return err
		}
	}
	if p[head] == interiorPage {
		return d.walk(int(binary.BigEndian.Uint32(p[head+8:])), depth+1, do)
	}
	return nil
}

func (d *sqliteFile) cell(p []byte, at int, kind byte, depth int, do func([]any) error) error {
	if kind == interiorPage {
		return d.walk(int(binary.BigEndian.Uint32(p[at:])), depth+1, do)
	}
	size, n := sqliteVarint(p[at:])
	at += n
	_, m := sqliteVarint(p[min(at, len(p)):])
	at += m
	if n == 0 || m == 0 || size > maxSQLiteCell {
		return errSQLite
	}
	payload, ok := d.payload(p, at, int(size))
	if !ok {
		return errSQLite
	}
	row, ok := sqliteRecord(payload)
	if !ok {
		return errSQLite
	}
	return do(row)
}

// payload returns what a cell has, with what stands on overflow pages.
func (d *sqliteFile) payload(p []byte, at, size int) ([]byte, bool) {
	local, most := size, d.usable-35
	if size > most {
		least := (d.usable-12)*32/255 - 23
		local = least + (size-least)%(d.usable-4)
		if local > most {
			local = least
		}
	}
	if at+local > len(p) {
		return nil, false
	}
	out := append([]byte(nil), p[at:at+local]...)
	if local == size {
		return out, true
	}
	if at+local+4 > len(p) {
		return nil, false
	}
	next := int(binary.BigEndian.Uint32(p[at+local:]))
	for len(out) < size {
		q, ok := d.at(next)
		if !ok {
			return nil, false
		}
		out = append(out, q[4:4+min(size-len(out), d.usable-4)]...)
		next = int(binary.BigEndian.Uint32(q))
	}
	return out, true
}

// sqliteVarint reads an integer of up to nine bytes; n is 0 where there is none.
func sqliteVarint(p []byte) (v uint64, n int) {
	for i := range min(len(p), 9) {
		if i == 8 {
			return v<<8 | uint64(p[i]), 9
		}
		v = v<<7 | uint64(p[i]&0x7f)
		if p[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// sqliteRecord reads the columns of a row: int64, string or nil, which also stands for others.
func sqliteRecord(p []byte) (row []any, ok bool) {
	size, n := sqliteVarint(p)
	if n == 0 || size > uint64(len(p)) || uint64(n) > size {
		return nil, false
	}
	types, body := p[n:size], p[size:]
	for len(types) > 0 {
		serial, n := sqliteVarint(types)
		if n == 0 {
			return nil, false
		}
		types = types[n:]
		width := serialWidth(serial)
		if width > uint64(len(body)) {
			return nil, false
		}
		row = append(row, serialValue(serial, body[:width]))
		body = body[width:]
	}
	return row, true
}

func serialWidth(serial uint64) uint64 {
	switch {
	case serial <= 4:
		return serial
	case serial == 5:
		return 6
	case serial <= 7:
		return 8
	case serial < 12:
		return 0
	}
	return (serial - 12) / 2
}

func serialValue(serial uint64, p []byte) any {
	switch {
	case serial >= 1 && serial <= 6:
		v := int64(int8(p[0]))
		for _, c := range p[1:] {
			v = v<<8 | int64(c)
		}
		return v
	case serial == 8:
		return int64(0)
	case serial == 9:
		return int64(1)
	case serial >= 13 && serial%2 == 1:
		return string(p)
	}
	return nil
}
