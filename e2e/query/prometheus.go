package query

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Prometheus asks a Prometheus.
type Prometheus struct {
	URL string // without a path
}

// Series returns how many series an expression has now.
func (p Prometheus) Series(ctx context.Context, expr string) (int, error) {
	return countResults(ctx, p.URL+"/api/v1/query?query="+url.QueryEscape(expr), nil)
}

// A Rule is a rule as it was last evaluated.
type Rule struct{ Name, Health, LastError string }

// Rules returns all rules.
func (p Prometheus) Rules(ctx context.Context) (rules []Rule, err error) {
	text, err := do(ctx, http.MethodGet, p.URL+"/api/v1/rules", nil, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct{ Groups []struct{ Rules []Rule } }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("decoding the rules: %w", err)
	}
	for _, group := range answer.Data.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

// countResults returns how many results a query has, as Prometheus and Loki answer one.
func countResults(ctx context.Context, address string, header http.Header) (int, error) {
	text, err := do(ctx, http.MethodGet, address, header, nil)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("decoding the answer of %s: %w", address, err)
	}
	return len(answer.Data.Result), nil
}
