package multiline

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// postgres reports whether a line says more of the open record's message, as Postgres
// writes it: with the very same head, time and process, before another word (elog.c,
// send_message_to_server_log).
//
//	2024-05-01 12:00:00.123 UTC [7] ERROR:  relation "x" does not exist
//	2024-05-01 12:00:00.123 UTC [7] STATEMENT:  SELECT * FROM x
func (r *record) postgres(p []byte) bool {
	first := r.start[:r.length]
	if !differInWord(first, p) {
		return false
	}
	head, word := postgresHead(p)
	if !isPostgresMore(word) {
		return false
	}
	firstHead, level := postgresHead(first)
	return len(level) > 0 && !isPostgresMore(level) && bytes.Equal(head, firstHead)
}

// differInWord reports whether p differs from first by a word in capitals before by anything else,
// as lines with the very same head do; most differ in their times.
func differInWord(first, p []byte) bool {
	n := min(len(first), len(p))
	if bytes.Equal(first[:n], p[:n]) && n == len(first) {
		return false
	}
	at := commonPrefix(first[:n], p[:n])
	for at > 0 && isUpper(p[at-1]) {
		at--
	}
	return at < len(p) && isUpper(p[at])
}

// commonPrefix returns how many bytes a and b, of one length, have in common at their starts.
func commonPrefix(a, b []byte) int {
	b = b[:len(a)]
	at := 0
	for ; at+8 <= len(a); at += 8 {
		if d := binary.LittleEndian.Uint64(a[at:]) ^ binary.LittleEndian.Uint64(b[at:]); d != 0 {
			return at + bits.TrailingZeros64(d)/8
		}
	}
	for at < len(a) && a[at] == b[at] {
		at++
	}
	return at
}

// isPostgres reports whether a line has a severity of Postgres's behind any log_line_prefix that
// has a digit or a sign.
func isPostgres(p []byte) bool {
	head, word := postgresHead(p)
	if len(head) < 2 || !bytes.ContainsAny(head, "0123456789@=") {
		return false
	}
	switch string(word) {
	case "LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO":
		return true
	}
	return isPostgresMore(word)
}

// postgresHead returns what stands before the word with a colon and two blanks behind
// it, and the word.
func postgresHead(p []byte) (head, word []byte) {
	end := bytes.Index(p[:min(len(p), len(record{}.start))], []byte(":  "))
	if end < 0 {
		return nil, nil
	}
	start := end
	for start > 0 && isUpper(p[start-1]) {
		start--
	}
	return p[:start], p[start:end]
}

func isPostgresMore(word []byte) bool {
	switch string(word) {
	case "DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT":
		return true
	}
	return false
}
