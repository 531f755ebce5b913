package loki

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// categorizeLabels is the encoding flag with which Loki keeps structured metadata apart from
// labels.
const categorizeLabels = "categorize-labels"

// A queryStream is a stream in an answer to a log query.
type queryStream struct {
	labels  map[string]string
	entries []queryEntry
	// mixed is set if labels include structured metadata: a Loki before 2.9.3.
	mixed bool
}

// A queryEntry is ["nanoseconds", "line", {"structuredMetadata": {…}}]; the last is optional.
type queryEntry struct {
	at       int64
	line     string
	metadata map[string]string
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *queryEntry) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return errors.New("an entry without a line")
	}
	var stamp string
	if err := json.Unmarshal(parts[0], &stamp); err != nil {
		return err
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no time", stamp)
	}
	e.at = at
	if err := json.Unmarshal(parts[1], &e.line); err != nil {
		return err
	}
	if len(parts) < 3 {
		return nil
	}
	var more struct {
		Metadata map[string]string `json:"structuredMetadata"`
	}
	if err := json.Unmarshal(parts[2], &more); err != nil {
		return err
	}
	e.metadata = more.Metadata
	return nil
}

// readResult parses an answer whose result must be of a kind.
func readResult(text []byte, kind string, result any) (flags []string, err error) {
	var answer struct {
		Status string
		Data   struct {
			ResultType    string
			EncodingFlags []string
			Result        json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" || answer.Data.ResultType != kind {
		return nil, fmt.Errorf("it is a %.20q of %.20q, not of %s", answer.Status, answer.Data.ResultType, kind)
	}
	return answer.Data.EncodingFlags, json.Unmarshal(answer.Data.Result, result)
}

// readStreams parses the answer to a log query.
func readStreams(text []byte) ([]queryStream, error) {
	var result []struct {
		Stream map[string]string
		Values []queryEntry
	}
	flags, err := readResult(text, "streams", &result)
	if err != nil {
		return nil, err
	}
	mixed := !slices.Contains(flags, categorizeLabels)
	var streams []queryStream
	for _, r := range result {
		streams = append(streams, queryStream{labels: r.Stream, entries: r.Values, mixed: mixed})
	}
	return streams, nil
}

// readCount parses the answer to a sum over all series: one sample, or none for zero.
func readCount(text []byte) (int, error) {
	var result []struct{ Value []json.RawMessage }
	if _, err := readResult(text, "vector", &result); err != nil {
		return 0, err
	}
	if len(result) == 0 {
		return 0, nil
	}
	if len(result) > 1 || len(result[0].Value) != 2 {
		return 0, errors.New("a count that is not one number")
	}
	var number string
	if err := json.Unmarshal(result[0].Value[1], &number); err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n <= math.MaxInt32) {
		return 0, fmt.Errorf("%.40q is no count", number)
	}
	return int(n), nil
}
