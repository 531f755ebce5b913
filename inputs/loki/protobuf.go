package loki

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// valid returns why a body is no JSON, or nil.
func valid(body []byte) error {
	if json.Valid(body) {
		return nil
	}
	var value json.RawMessage
	return json.Unmarshal(body, &value)
}

var errWire = errors.New("the body is no protobuf of a push request")

// The types of fields on the wire.
const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
	wireFixed4 = 5
)

// fields calls each for the fields of a message: with the number for varints, and with the bytes
// for what has a length.
func fields(message []byte, each func(field uint64, number uint64, value []byte) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 || tag>>3 == 0 {
			return errWire
		}
		message = message[n:]
		var number uint64
		var value []byte
		switch tag & 7 {
		case wireVarint:
			number, n = binary.Uvarint(message)
			if n <= 0 {
				return errWire
			}
			message = message[n:]
		case wireBytes:
			size, n := binary.Uvarint(message)
			if n <= 0 || size > uint64(len(message)-n) {
				return errWire
			}
			value, message = message[n:n+int(size)], message[n+int(size):]
		case wireFixed8, wireFixed4:
			size := 8
			if tag&7 == wireFixed4 {
				size = 4
			}
			if len(message) < size {
				return errWire
			}
			message = message[size:]
			continue // there are none in these messages
		default:
			return errWire
		}
		if err := each(tag>>3<<3|tag&7, number, value); err != nil {
			return err
		}
	}
	return nil
}

// The fields of Loki's messages, with their types.
const (
	requestStream = 1<<3 | wireBytes

	streamLabels = 1<<3 | wireBytes
	streamEntry  = 2<<3 | wireBytes

	entryTime     = 1<<3 | wireBytes
	entryLine     = 2<<3 | wireBytes
	entryMetadata = 3<<3 | wireBytes

	timeSeconds = 1<<3 | wireVarint
	timeNanos   = 2<<3 | wireVarint

	pairName  = 1<<3 | wireBytes
	pairValue = 2<<3 | wireBytes
)

// protobuf takes streams as Loki's PushRequest.
func (t *taker) protobuf(body []byte) error {
	err := fields(body, func(field, _ uint64, value []byte) error {
		if field == requestStream {
			return t.streamMessage(value)
		}
		return nil
	})
	if errors.Is(err, errWire) {
		return badRequest("%v", err)
	}
	return err
}

// streamMessage takes a stream. Its labels come before its entries, but need not.
func (t *taker) streamMessage(message []byte) error {
	labels := ""
	err := fields(message, func(field, _ uint64, value []byte) error {
		if field == streamLabels {
			labels = string(value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.begin(labels); err != nil {
		return err
	}
	return fields(message, func(field, _ uint64, value []byte) error {
		if field == streamEntry {
			return t.entryMessage(value)
		}
		return nil
	})
}

func (t *taker) entryMessage(message []byte) error {
	var at int64
	var line []byte
	t.pairs = t.pairs[:0]
	err := fields(message, func(field, _ uint64, value []byte) (err error) {
		switch field {
		case entryTime:
			at, err = timeOf(value)
		case entryLine:
			line = value
		case entryMetadata:
			err = t.pairMessage(value)
		}
		return err
	})
	if err != nil {
		return err
	}
	return t.entry(at, line)
}

func timeOf(message []byte) (int64, error) {
	var sec, nanos int64
	err := fields(message, func(field, number uint64, _ []byte) error {
		switch field {
		case timeSeconds:
			sec = int64(number)
		case timeNanos:
			nanos = int64(int32(number))
		}
		return nil
	})
	return unixNano(sec, nanos), err
}

func (t *taker) pairMessage(message []byte) error {
	var p pair
	err := fields(message, func(field, _ uint64, value []byte) error {
		switch field {
		case pairName:
			p.name = value
		case pairValue:
			p.value = value
		}
		return nil
	})
	if len(t.pairs) <= maxMetadata {
		t.pairs = append(t.pairs, p)
	}
	return err
}
