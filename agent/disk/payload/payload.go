// Package payload encodes and decodes the fields of what is kept on disk: varints, and strings
// preceded by their length.
package payload

import "encoding/binary"

// AppendString appends a string, its length first.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// A Reader reads one field after the other. Any bytes are safe to read: after the first field that
// cannot be read, Damaged is set and all methods return zero.
type Reader struct {
	Rest    []byte // what is still to be read
	Damaged bool
}

// Fail marks what was read as damaged.
func (r *Reader) Fail() { r.Rest, r.Damaged = nil, true }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.Rest) == 0 {
		r.Fail()
		return 0
	}
	c := r.Rest[0]
	r.Rest = r.Rest[1:]
	return c
}

// Uint reads an unsigned varint.
func (r *Reader) Uint() uint64 {
	n, size := binary.Uvarint(r.Rest)
	if size <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[size:]
	return n
}

// Int reads a signed (zigzag) varint.
func (r *Reader) Int() int64 {
	n, size := binary.Varint(r.Rest)
	if size <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[size:]
	return n
}

// Uint64 reads eight bytes, little endian.
func (r *Reader) Uint64() uint64 {
	if len(r.Rest) < 8 {
		r.Fail()
		return 0
	}
	n := binary.LittleEndian.Uint64(r.Rest)
	r.Rest = r.Rest[8:]
	return n
}

// Count reads the number of elements that follow, each of at least one byte.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.Rest)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Bytes reads what AppendString wrote. The result shares memory with the input.
func (r *Reader) Bytes() []byte {
	n := r.Count()
	p := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return p
}
