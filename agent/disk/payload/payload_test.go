package payload_test

import (
	"encoding/binary"
	"testing"

	"github.com/longshore/longshore/agent/disk/payload"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	p := payload.AppendString([]byte{7}, "key")
	p = binary.AppendUvarint(p, 1<<63)
	p = binary.AppendVarint(p, -5)
	p = binary.LittleEndian.AppendUint64(p, 9)
	p = append(p, "rest"...)
	r := payload.Reader{Rest: p}
	if b, s, u, i, f := r.Byte(), string(r.Bytes()), r.Uint(), r.Int(), r.Uint64(); b != 7 || s != "key" ||
		u != 1<<63 || i != -5 || f != 9 {
		t.Errorf("read %d %q %d %d %d", b, s, u, i, f)
	}
	if string(r.Rest) != "rest" || r.Damaged {
		t.Errorf("the rest is %q, damaged: %v", r.Rest, r.Damaged)
	}
}

func TestDamageIsRemembered(t *testing.T) {
	tests := map[string]func(r *payload.Reader){
		"no byte":                    func(r *payload.Reader) { r.Byte() },
		"no varint":                  func(r *payload.Reader) { r.Uint() },
		"no signed varint":           func(r *payload.Reader) { r.Int() },
		"a truncated number":         func(r *payload.Reader) { r.Rest = make([]byte, 7); r.Uint64() },
		"more things than bytes":     func(r *payload.Reader) { r.Rest = []byte{9, 1}; r.Count() },
		"a length beyond the end":    func(r *payload.Reader) { r.Rest = []byte{3, 'a'}; r.Bytes() },
		"a varint that never ends":   func(r *payload.Reader) { r.Rest = []byte{0xff, 0xff}; r.Uint() },
		"a string of endless length": func(r *payload.Reader) { r.Rest = binary.AppendUvarint(nil, 1<<63); r.Bytes() },
	}
	for name, read := range tests {
		var r payload.Reader
		read(&r)
		if !r.Damaged || len(r.Rest) != 0 || r.Uint() != 0 || len(r.Bytes()) != 0 {
			t.Errorf("%s: damaged is %v, and %q is left", name, r.Damaged, r.Rest)
		}
	}
}
