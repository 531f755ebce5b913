package graph

import (
	"encoding/binary"

	"github.com/longshore/longshore/agent/disk/payload"
)

// The ledger keeps one state for each source: how every pipeline goes on that the
// source goes through, and then the input's own cursor.
//
//	version byte (2) | count | for each: length, pipeline name, ties, begin | cursor
//
// Version 1, before lines were joined, has no begin.
const stateVersion = 2

func appendState(dst []byte, pipes []resumption, cursor []byte) []byte {
	dst = append(dst, stateVersion, byte(len(pipes)))
	for i := range pipes {
		p := &pipes[i]
		dst = payload.AppendString(dst, p.pipeline)
		dst = p.ties.append(dst)
		dst = binary.AppendUvarint(dst, p.begin)
	}
	return append(dst, cursor...)
}

// readState gives what appendState wrote; what it cannot have written gives ok
// false.
func readState(p []byte) (byPipeline map[string]resumption, cursor []byte, ok bool) {
	r := payload.Reader{Rest: p}
	version, n := r.Byte(), int(r.Byte())
	if r.Damaged || version == 0 || version > stateVersion {
		return nil, nil, false
	}
	byPipeline = make(map[string]resumption, n)
	for range n {
		of := resumption{pipeline: string(r.Bytes()), ties: readTies(&r)}
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
