package main

import (
	"encoding/binary"
	"encoding/json"
	"time"
)

// stampFormat is how dockerd writes the time before a line: UTC, with nine digits.
const stampFormat = "2006-01-02T15:04:05.000000000Z"

// appendFrame writes a line on stdout with its time as a frame of the multiplexed
// stream (Engine API, "Attach to a container", stream format): {1, 0, 0, 0}, the length as 32
// bits big endian, and the payload. dockerd writes and flushes each by itself.
func appendFrame(dst []byte, now time.Time, line []byte) []byte {
	begin := len(dst)
	dst = append(dst, 1, 0, 0, 0, 0, 0, 0, 0)
	dst = now.UTC().AppendFormat(dst, stampFormat)
	dst = append(dst, ' ')
	dst = append(dst, line...)
	binary.BigEndian.PutUint32(dst[begin+4:], uint32(len(dst)-begin-8))
	return dst
}

// appendEntry writes a line on stdout as dockerd's driver json-file does, without the
// newline behind it.
func appendEntry(dst []byte, now time.Time, line []byte) []byte {
	text, _ := json.Marshal(string(line)) // < > & become \u003c …, as dockerd has it
	dst = append(dst, `{"log":`...)
	dst = append(dst, text...)
	dst = append(dst, `,"stream":"stdout","time":"`...)
	dst = now.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, `"}`...)
}
