package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// message is a protobuf message of length-delimited fields.
func message(fields ...[]byte) []byte { return bytes.Join(fields, nil) }

func bytesField(number int, value []byte) []byte {
	p := binary.AppendUvarint(nil, uint64(number)<<3|2)
	return append(binary.AppendUvarint(p, uint64(len(value))), value...)
}

func gzipped(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func zstandard(p []byte) []byte {
	w, _ := zstd.NewWriter(nil) // fails only for bad options
	return w.EncodeAll(p, nil)
}

func TestReceiverCounts(t *testing.T) {
	entry := bytesField(2, bytesField(2, []byte("a line")))
	stream := bytesField(1, message(bytesField(1, []byte(`{job="x"}`)), entry, entry))
	record := bytesField(2, message([]byte{1<<3 | 1, 1, 2, 3, 4, 5, 6, 7, 8}, bytesField(5, []byte("body"))))
	otlp := bytesField(1, message(bytesField(1, nil),
		bytesField(2, message(bytesField(1, nil), record, record, record))))
	const bulk = `{"create":{}}` + "\n" + `{"a":1}` + "\n" + `{"create":{}}` + "\n" + `{"a":2}` + "\n"
	const json = `{"streams":[{"stream":{"a":"b"},"values":[["1","x"],["2","y",{"t":"z"}]]},{"stream":{},` +
		`"values":[["3","z"]]}]}`
	for name, c := range map[string]struct {
		path   string
		header string // name=value
		body   []byte
		want   int64 // lines; -1: it is refused
	}{
		"loki, protobuf": {"/loki/api/v1/push", "Content-Type=application/x-protobuf",
			s2.EncodeSnappy(nil, message(stream, stream)), 4},
		"loki, JSON": {"/loki/api/v1/push", "Content-Type=application/json", []byte(json), 3},
		"loki, no snappy": {"/loki/api/v1/push", "Content-Type=application/x-protobuf",
			[]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), -1},
		"loki, cut off": {"/loki/api/v1/push", "Content-Type=application/x-protobuf",
			s2.EncodeSnappy(nil, stream[:len(stream)-3]), -1},
		"bulk":                {"/_bulk", "Content-Type=application/x-ndjson", []byte(bulk), 2},
		"bulk, gzip":          {"/_bulk", "Content-Encoding=gzip", gzipped([]byte(bulk)), 2},
		"bulk, no gzip":       {"/_bulk", "Content-Encoding=gzip", []byte(bulk), -1},
		"JSON lines, zstd":    {"/insert/jsonline", "Content-Encoding=zstd", zstandard([]byte("{}\n{}\n{}\n")), 3},
		"JSON, no zstd":       {"/insert/jsonline", "Content-Encoding=zstd", []byte("{}\n"), -1},
		"OTLP":                {"/v1/logs", "Content-Type=application/x-protobuf", otlp, 3},
		"OTLP, gzip":          {"/v1/logs", "Content-Encoding=gzip", gzipped(otlp), 3},
		"OTLP, bad wire type": {"/v1/logs", "Content-Type=application/x-protobuf", []byte{1<<3 | 6}, -1},
		"a block": {floorPath, "Content-Type=application/octet-stream",
			s2.EncodeSnappy(nil, []byte("a\nb\nc")), 2},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := newReceiver(1 << 62)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			for range 2 { // the second time, with the buffers of the first
				if got := sendTo(t, r, c.path, c.header, c.body); got != c.want {
					t.Fatalf("%d lines, want %d", got, c.want)
				}
			}
		})
	}
}

// sendTo sends a body, and gives how many lines more were counted; -1: it was refused.
func sendTo(t *testing.T, r *receiver, path, header string, body []byte) int64 {
	t.Helper()
	before := r.lines.Load()
	req, err := http.NewRequest(http.MethodPost, "http://"+r.address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := bytes.Cut([]byte(header), []byte("="))
	req.Header.Set(string(name), string(value))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusBadRequest {
		return -1
	}
	return r.lines.Load() - before
}

func TestBulkAnswer(t *testing.T) {
	const want = `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`
	answer := bulkAnswer()
	for range 2 {
		w := new(recorder)
		answer(w, 2)
		if got := w.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

type recorder struct {
	bytes.Buffer
	header http.Header
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *recorder) WriteHeader(int) {}

func TestWrittenAt(t *testing.T) {
	for record, want := range map[string]int64{
		`{"written":1795424600123456789}`:                         1795424600123456789,
		`{\"written\":1795424600123456789}`:                       1795424600123456789,
		`order 1, written 1795424600123456789`:                    1795424600123456789,
		"\x0awritten\x12\x07 7.5 and written=1795424600123456789": 1795424600123456789,
		`written 12`: 0,
		`nothing`:    0,
		``:           0,
	} {
		at, ok := writtenAt([]byte(record))
		if ok != (want != 0) || ok && at.UnixNano() != want {
			t.Errorf("%q: %v, %v", record, at, ok)
		}
	}
}
