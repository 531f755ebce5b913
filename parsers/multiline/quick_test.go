package multiline

import (
	"bytes"
	"testing"
)

// FuzzQuick holds the quick ways to look at two lines against the plain ones.
func FuzzQuick(f *testing.F) {
	const head = "2024-05-01 12:00:00.123 UTC [7] "
	for _, lines := range [][2]string{
		{head + "ERROR:  relation does not exist", head + "STATEMENT:  SELECT 1"},
		{head + "LOG:  duration", head + "LOCATION:  exec_simple_query"},
		{head + "HINTS", head + "HINT:  none"},
		{head + "HINT:  none", head + "HINT:  none"},
		{head + "LOG:  x", head + "LOG:  x and more"},
		{"a:  " + head + "ERROR:  x", "a:  " + head + "DETAIL:  x"},
		{"ERROR:  x", "DETAIL:  x"},
		{"\x1b[31mERROR\x1b[0m x", "\x1b\x1b[m\x1b"},
		{"", ""},
	} {
		f.Add([]byte(lines[0]), []byte(lines[1]))
	}
	f.Fuzz(func(t *testing.T, first, p []byte) {
		var r record
		r.begin(0, first)
		if len(p) > 0 && r.postgres(p) != plainPostgres(&r, p) {
			t.Errorf("postgres %q, %q: %v, want %v", first, p, r.postgres(p), !r.postgres(p))
		}
		dropped := make([]byte, len(p))
		if n := dropColors(dropped, p); !bytes.Equal(dropped[:n], plainDropColors(p)) {
			t.Errorf("dropColors(%q) is %q, want %q", p, dropped[:n], plainDropColors(p))
		}
	})
}

// plainPostgres is record.postgres without its first look.
func plainPostgres(r *record, p []byte) bool {
	head, word := postgresHead(p)
	first, level := postgresHead(r.start[:r.length])
	return isPostgresMore(word) && len(level) > 0 && !isPostgresMore(level) && bytes.Equal(head, first)
}

// plainDropColors is dropColors byte by byte.
func plainDropColors(p []byte) (plain []byte) {
	for len(p) > 0 {
		if end := colorEnd(p); p[0] == 0x1b && end > 0 {
			p = p[end:]
			continue
		}
		plain = append(plain, p[0])
		p = p[1:]
	}
	return plain
}
