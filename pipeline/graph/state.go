package graph

import "encoding/binary"

// The ledger keeps one state for each source: the times taken, for every
// pipeline the source goes through, and then the input's own cursor.
//
//	version byte (1) | count | for each: length, pipeline name, ties | cursor
const stateVersion = 1

func appendState(dst []byte, pipes []*pipe, cursor []byte) []byte {
	dst = append(dst, stateVersion, byte(len(pipes)))
	for _, p := range pipes {
		dst = binary.AppendUvarint(dst, uint64(len(p.pipeline.name)))
		dst = append(dst, p.pipeline.name...)
		dst = p.ties.append(dst)
	}
	return append(dst, cursor...)
}

// readState gives what appendState wrote; what it cannot have written gives ok
// false.
func readState(p []byte) (byPipeline map[string]ties, cursor []byte, ok bool) {
	if len(p) < 2 || p[0] != stateVersion {
		return nil, nil, false
	}
	n := int(p[1])
	p = p[2:]
	byPipeline = make(map[string]ties, n)
	for range n {
		length, size := binary.Uvarint(p)
		if size <= 0 || length > uint64(len(p)-size) {
			return nil, nil, false
		}
		name := string(p[size : size+int(length)])
		t, rest, ok := readTies(p[size+int(length):])
		if !ok {
			return nil, nil, false
		}
		byPipeline[name], p = t, rest
	}
	return byPipeline, p, true
}
