package importer

import (
	"bytes"
	"encoding/binary"
)

const (
	walHeader      = 32
	walFrameHeader = 24
	walMagic       = 0x377f0682 // the lowest bit says in which byte order checksums are
	walVersion     = 3007000
)

// A walSum is the checksum of a write-ahead log, which goes on from frame to frame.
type walSum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (s *walSum) add(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		s.s0 += s.order.Uint32(p) + s.s1
		s.s1 += s.order.Uint32(p[4:]) + s.s0
	}
}

// is reports whether the checksum is the one that stands in p.
func (s *walSum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == s.s0 && binary.BigEndian.Uint32(p[4:]) == s.s1
}

// withWAL returns a database with the transactions of its write-ahead log, which stays beside it
// where its program was killed. As for SQLite, a log counts up to the last frame that ends a
// transaction and has the right checksum: what follows was not written whole, or is left over.
func withWAL(data, wal []byte) ([]byte, error) {
	if len(wal) < walHeader || binary.BigEndian.Uint32(wal)&^1 != walMagic ||
		binary.BigEndian.Uint32(wal[4:]) != walVersion {
		return data, nil
	}
	page := int(binary.BigEndian.Uint32(wal[8:]))
	if page < 512 || page > 1<<16 || page&(page-1) != 0 {
		return data, nil
	}
	sum := walSum{order: binary.LittleEndian}
	if wal[3]&1 != 0 {
		sum.order = binary.BigEndian
	}
	if sum.add(wal[:24]); !sum.is(wal[24:]) {
		return data, nil
	}
	pages, open, size := map[uint32][]byte{}, map[uint32][]byte{}, 0
	for rest := wal[walHeader:]; len(rest) >= walFrameHeader+page; rest = rest[walFrameHeader+page:] {
		head, body := rest[:walFrameHeader], rest[walFrameHeader:walFrameHeader+page]
		sum.add(head[:8])
		sum.add(body)
		if !bytes.Equal(head[8:16], wal[16:24]) || !sum.is(head[16:]) {
			break
		}
		open[binary.BigEndian.Uint32(head)] = body
		if after := binary.BigEndian.Uint32(head[4:]); after > 0 {
			for number, body := range open {
				pages[number] = body
			}
			clear(open)
			size = int(after)
		}
	}
	if size == 0 {
		return data, nil
	}
	if size > MaxPositions/page {
		return nil, errSQLite
	}
	whole := make([]byte, size*page)
	copy(whole, data)
	for number, body := range pages {
		if number > 0 && int64(number) <= int64(size) {
			copy(whole[(int(number)-1)*page:], body)
		}
	}
	return whole, nil
}
