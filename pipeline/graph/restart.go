package graph

// Restart gives the state of a source that is to be read from its beginning once
// more: its input finds the source by it, and its pipelines know of no record.
func Restart(state []byte) []byte {
	_, cursor, ok := readState(state)
	if !ok {
		return nil
	}
	return appendState(nil, nil, cursor)
}
