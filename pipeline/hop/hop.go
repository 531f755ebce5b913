// Package hop is how a record crosses from one Longshore to another: what names it, what it is
// from, and how it is read back from its JSON. Everything that is read here may come from anybody.
package hop

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/longshore/longshore/pipeline/event"
)

// The headers (attributes, in other protocols) of a record on its way.
const (
	// SourceHeader has the ID of the source that the record was first read from, as 16 hex digits.
	SourceHeader = "longshore-source"
	// PositionHeader has its position there, in decimal digits. With SourceHeader it is the
	// record's identity.
	PositionHeader = "longshore-position"
	// LabelsHeader has all labels of that source, as AppendLabels writes them. A record has it only
	// where its value is in the default shape, with the labels (event.AppendRecord), and can be
	// read back by AppendRecord.
	LabelsHeader = "longshore-labels"
)

// ParseSource reads what SourceHeader has: event.SourceID.String is its inverse.
func ParseSource(text []byte) (event.SourceID, error) {
	var raw [8]byte
	if len(text) != 2*len(raw) {
		return 0, fmt.Errorf("a source has 16 hex digits, not %d characters", len(text))
	}
	if _, err := hex.Decode(raw[:], text); err != nil {
		return 0, fmt.Errorf("a source has 16 hex digits: %w", err)
	}
	var id event.SourceID
	for _, b := range raw {
		id = id<<8 | event.SourceID(b)
	}
	return id, nil
}

// AppendPosition appends what PositionHeader has.
func AppendPosition(dst []byte, pos uint64) []byte { return strconv.AppendUint(dst, pos, 10) }

// ParsePosition reads what AppendPosition has written.
func ParsePosition(text []byte) (uint64, error) {
	const longest = len("18446744073709551615")
	if len(text) == 0 || len(text) > longest || text[0] < '0' || text[0] > '9' {
		return 0, fmt.Errorf("a position has 1 to %d digits", longest)
	}
	pos, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a position is a number below 2^64: %w", errors.Unwrap(err))
	}
	return pos, nil
}

// Bounds of what is taken for labels.
const (
	maxLabels     = 256
	maxLabelBytes = 64 << 10
)

// AppendLabels appends labels as one JSON object of strings, in their order.
func AppendLabels(dst []byte, labels []event.Label) []byte {
	dst = append(dst, '{')
	for i, l := range labels {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = event.AppendString(dst, l.Name)
		dst = append(dst, ':')
		dst = event.AppendString(dst, l.Value)
	}
	return append(dst, '}')
}

// ParseLabels reads what AppendLabels has written. The labels are in no particular order; NewSource
// sorts them.
func ParseLabels(text []byte) ([]event.Label, error) {
	if len(text) > maxLabelBytes {
		return nil, fmt.Errorf("labels of %d bytes; %d are taken", len(text), maxLabelBytes)
	}
	var values map[string]string
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("labels are a JSON object of strings: %w", err)
	}
	if len(values) > maxLabels {
		return nil, fmt.Errorf("%d labels; %d are taken", len(values), maxLabels)
	}
	labels := make([]event.Label, 0, len(values))
	for name, value := range values {
		labels = append(labels, event.Label{Name: name, Value: value})
	}
	return labels, nil
}
