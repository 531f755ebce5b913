package graph

import (
	"encoding/binary"

	"github.com/longshore/longshore/agent/disk/payload"
)

// The ledger keeps one state for each source: how every pipeline goes on with it, and then the
// input's own cursor.
//
//	version byte (2) | count | for each: length, pipeline name, uniquifier, begin | cursor
//
// Version 1, before lines were joined, has no begin.
const stateVersion = 2

func appendState(dst []byte, resumptions []resumption, cursor []byte) []byte {
	dst = append(dst, stateVersion, byte(len(resumptions)))
	for i := range resumptions {
		r := &resumptions[i]
		dst = payload.AppendString(dst, r.pipeline)
		dst = r.uniquifier.append(dst)
		dst = binary.AppendUvarint(dst, r.begin)
	}
	return append(dst, cursor...)
}

// readState reads what appendState wrote. ok is false where it cannot have written p.
func readState(p []byte) (byPipeline map[string]resumption, cursor []byte, ok bool) {
	r := payload.Reader{Rest: p}
	version, n := r.Byte(), int(r.Byte())
	if r.Damaged || version == 0 || version > stateVersion {
		return nil, nil, false
	}
	byPipeline = make(map[string]resumption, n)
	for range n {
		of := resumption{pipeline: string(r.Bytes()), uniquifier: readUniquifier(&r)}
		if version > 1 {
			of.begin = r.Uint()
		}
		byPipeline[of.pipeline] = of
	}
	if r.Damaged {
		return nil, nil, false
	}
	return byPipeline, r.Rest, true
}

// Restart returns the state of a source that is to be read from its beginning once more: its input
// finds the source by it, and its pipelines know of no record.
func Restart(state []byte) []byte {
	_, cursor, ok := readState(state)
	if !ok {
		return nil
	}
	return appendState(nil, nil, cursor)
}

// BeginAt returns the state of a source that begins at an input's cursor, of which no pipeline
// knows anything: another program has read what is before.
func BeginAt(cursor []byte) []byte { return appendState(nil, nil, cursor) }
