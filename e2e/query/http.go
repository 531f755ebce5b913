package query

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// do makes one request; an answer that is not 2xx is an error with its text.
func do(ctx context.Context, method, url string, header http.Header, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s answers %d: %s", method, url, resp.StatusCode, bytes.TrimSpace(text))
	}
	return text, nil
}
