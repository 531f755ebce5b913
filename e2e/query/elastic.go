package query

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Elastic asks an Elasticsearch or an OpenSearch. Its indices can be patterns and data streams; one
// that is not there has no documents.
type Elastic struct {
	URL string // without a path
}

// A Doc is one stored document.
type Doc struct {
	Index  string          `json:"_index"`
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
}

// Refresh makes all that was written until now visible to Count and Docs.
func (e Elastic) Refresh(ctx context.Context, index string) error {
	return e.call(ctx, http.MethodPost, e.path(index, "_refresh"), nil, nil)
}

// Count refreshes the index and returns how many documents it has.
func (e Elastic) Count(ctx context.Context, index string) (int, error) {
	if err := e.Refresh(ctx, index); err != nil {
		return 0, err
	}
	var answer struct{ Count int }
	err := e.call(ctx, http.MethodGet, e.path(index, "_count"), nil, &answer)
	return answer.Count, err
}

// Docs refreshes the index and returns all its documents, in no order.
func (e Elastic) Docs(ctx context.Context, index string) ([]Doc, error) {
	if err := e.Refresh(ctx, index); err != nil {
		return nil, err
	}
	var page struct {
		ScrollID string `json:"_scroll_id"`
		Hits     struct{ Hits []Doc }
	}
	body := map[string]any{"size": 5000, "sort": []string{"_doc"}}
	if err := e.call(ctx, http.MethodPost, e.path(index, "_search")+"&scroll=1m", body, &page); err != nil {
		return nil, err
	}
	var all []Doc
	for len(page.Hits.Hits) > 0 {
		all = append(all, page.Hits.Hits...)
		page.Hits.Hits = nil
		next := map[string]any{"scroll": "1m", "scroll_id": page.ScrollID}
		if err := e.call(ctx, http.MethodPost, "/_search/scroll", next, &page); err != nil {
			return nil, err
		}
	}
	// The server frees an empty scroll itself, and answers 404 to the attempt.
	if len(all) == 0 {
		return nil, nil
	}
	return all, e.call(ctx, http.MethodDelete, "/_search/scroll", map[string]any{"scroll_id": page.ScrollID}, nil)
}

func (e Elastic) path(index, what string) string {
	return "/" + url.PathEscape(index) + "/" + what + "?ignore_unavailable=true&allow_no_indices=true"
}

// call sends body and decodes the answer, both where they are not nil.
func (e Elastic) call(ctx context.Context, method, path string, body, answer any) error {
	header := http.Header{}
	var text []byte
	if body != nil {
		header.Set("Content-Type", "application/json")
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	text, err := do(ctx, method, e.URL+path, header, text)
	if err != nil || answer == nil {
		return err
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(answer); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", path, err)
	}
	return nil
}
