package query

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// VictoriaLogs asks a VictoriaLogs in LogsQL.
type VictoriaLogs struct {
	URL string // without a path
}

// A Row is one stored line, by the names of its fields: _time, _msg, _stream and those of the line.
type Row map[string]string

// Count returns how many lines a query, such as {service="a"} error, finds in all time.
func (v VictoriaLogs) Count(ctx context.Context, query string) (int, error) {
	rows, err := v.Rows(ctx, query+" | stats count() as n")
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return strconv.Atoi(rows[0]["n"])
}

// Rows returns all that a query finds, in no order. What was written until now is made visible
// first.
func (v VictoriaLogs) Rows(ctx context.Context, query string) ([]Row, error) {
	if _, err := do(ctx, http.MethodGet, v.URL+"/internal/force_flush", nil, nil); err != nil {
		return nil, err
	}
	params := url.Values{"query": {query}}
	text, err := do(ctx, http.MethodGet, v.URL+"/select/logsql/query?"+params.Encode(), nil, nil)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var row Row
		switch err := lines.Decode(&row); err {
		case nil:
			rows = append(rows, row)
		case io.EOF:
			return rows, nil
		default:
			return nil, fmt.Errorf("decoding the answer to %s: %w", query, err)
		}
	}
}
