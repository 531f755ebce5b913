package main

import (
	"encoding/binary"
	"fmt"
)

// lengths calls f for each length-delimited field of a protobuf message that has
// this number, and skips all others.
func lengths(p []byte, number uint64, f func(value []byte) error) error {
	for len(p) > 0 {
		tag, n := binary.Uvarint(p)
		if n <= 0 {
			return fmt.Errorf("bad tag")
		}
		p = p[n:]
		value, rest, err := field(p, tag&7)
		if err != nil {
			return err
		}
		p = rest
		if tag != number<<3|2 {
			continue
		}
		if err := f(value); err != nil {
			return err
		}
	}
	return nil
}

// field cuts off the value of a field of this wire type.
func field(p []byte, wire uint64) (value, rest []byte, err error) {
	size := 0
	switch wire {
	case 0, 2:
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return nil, nil, fmt.Errorf("bad varint")
		}
		p = p[n:]
		if wire == 2 {
			size = int(min(v, uint64(len(p))+1))
		}
	case 1:
		size = 8
	case 5:
		size = 4
	default:
		return nil, nil, fmt.Errorf("bad wire type %d", wire)
	}
	if size > len(p) {
		return nil, nil, fmt.Errorf("a field of %d bytes where %d are left", size, len(p))
	}
	return p[:size], p[size:], nil
}
