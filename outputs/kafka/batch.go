package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/longshore/longshore/pipeline"
)

// A batch is what of a body goes to one partition at once.
type batch struct {
	topic     *topic
	partition int32
	items     []int32 // of the body, ascending

	packed *packed
	failed bool  // what comes after it must not be sent before it
	err    error // why it was refused as a whole
}

// A packer makes record batches (magic 2, of Kafka 0.11 and newer).
type packer struct {
	compressor kgo.Compressor // nil for none
	buffers    sync.Pool
}

// A packed is a record batch, and the memory it was made in.
type packed struct {
	records []byte
	batch   []byte
	buffer  bytes.Buffer
}

func newPacker(compression string, level int) (*packer, error) {
	codec := map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
		"zstd": kgo.ZstdCompression(), "none": kgo.NoCompression(),
	}[compression]
	if compression == "zstd" {
		level = max(level, 1)
	}
	if level > 0 {
		codec = codec.WithLevel(level)
	}
	if compression == "lz4" && level > 0 {
		codec = codec.WithLevel(1 << (8 + level)) // as the library counts
	}
	compressor, err := kgo.DefaultCompressor(codec)
	if err != nil {
		return nil, fmt.Errorf("preparing compression: %w", err)
	}
	return &packer{compressor: compressor, buffers: sync.Pool{New: func() any { return new(packed) }}}, nil
}

// release gives the memory back. It is not to be called while a request may still read it.
func (k *packer) release(p *packed) {
	const keep = 4 << 20
	if cap(p.records) <= keep && p.buffer.Cap() <= keep {
		k.buffers.Put(p)
	}
}

// Where things are in a record batch.
const (
	batchHead = 61
	afterCRC  = 21

	attributeTransactional = 1 << 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A stamp is what a batch has of its producer.
type stamp struct {
	at            int64 // ms since 1970
	producer      int64
	epoch         int16
	sequence      int32
	transactional bool
}

// pack makes the batch of some items.
func (k *packer) pack(body *pipeline.Body, items []int32, s stamp) (*packed, error) {
	p := k.buffers.Get().(*packed)
	p.records = p.records[:0]
	for n, i := range items {
		p.records = appendRecord(p.records, n, body.Item(int(i)))
	}
	compressed, codec := p.records, kgo.CodecNone
	if k.compressor != nil {
		p.buffer.Reset()
		compressed, codec = k.compressor.Compress(&p.buffer, p.records)
		if codec == kgo.CodecError {
			return nil, fmt.Errorf("compressing %d bytes failed", len(p.records))
		}
	}
	p.batch = append(appendHead(p.batch[:0], len(items), int16(codec), s), compressed...)
	binary.BigEndian.PutUint32(p.batch[8:], uint32(len(p.batch)-12))
	binary.BigEndian.PutUint32(p.batch[17:], crc32.Checksum(p.batch[afterCRC:], castagnoli))
	return p, nil
}

// appendRecord appends the n-th record of a batch. All have the batch's time.
func appendRecord(dst []byte, n int, item []byte) []byte {
	var delta [binary.MaxVarintLen64]byte
	digits := binary.PutVarint(delta[:], int64(n))
	dst = binary.AppendVarint(dst, int64(2+digits+len(item)))
	dst = append(dst, 0, 0) // no attributes; no milliseconds after the first
	dst = append(dst, delta[:digits]...)
	return append(dst, item...)
}

func appendHead(dst []byte, records int, attributes int16, s stamp) []byte {
	if s.transactional {
		attributes |= attributeTransactional
	}
	be := binary.BigEndian
	dst = be.AppendUint64(dst, 0)          // first offset: the broker's business
	dst = be.AppendUint32(dst, 0)          // length, filled in later
	dst = be.AppendUint32(dst, 0xffffffff) // the leader's epoch is not known
	dst = append(dst, 2)                   // magic
	dst = be.AppendUint32(dst, 0)          // CRC, filled in later
	dst = be.AppendUint16(dst, uint16(attributes))
	dst = be.AppendUint32(dst, uint32(records-1))
	dst = be.AppendUint64(dst, uint64(s.at))
	dst = be.AppendUint64(dst, uint64(s.at))
	dst = be.AppendUint64(dst, uint64(s.producer))
	dst = be.AppendUint16(dst, uint16(s.epoch))
	dst = be.AppendUint32(dst, uint32(s.sequence))
	return be.AppendUint32(dst, uint32(records))
}
