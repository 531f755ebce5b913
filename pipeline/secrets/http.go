package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Bounds on what a source may answer.
const (
	maxAnswer      = 1 << 20
	maxToken       = 64 << 10
	maxReason      = 300
	requestTimeout = 10 * time.Second
)

// An Unavailable is a source that did not answer, or not as it will: it may be asked again later.
type Unavailable struct{ err error }

// Error returns why.
func (u *Unavailable) Error() string { return u.err.Error() }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.err }

// A statusError is an answer that is not success.
type statusError struct {
	status int
	code   string // of AWS
	err    error
}

func (s *statusError) Error() string { return s.err.Error() }

func statusOf(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		return s.status
	}
	return 0
}

func parseEndpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "" {
		return nil, errors.New("is not a URL; write it like https://host:port")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("has more than a host and a path; take out user, query and fragment")
	}
	return u, nil
}

// newClient returns a client for a source. It follows no redirect: that would take a token along.
// Connections are not kept, as the next request comes in minutes.
func newClient(files *tlsfiles.Client, proxied bool) (*http.Client, error) {
	conf, err := files.Config()
	if err != nil {
		return nil, err
	}
	dial := (&net.Dialer{Timeout: requestTimeout}).DialContext
	t := &http.Transport{
		DialContext: dial, DialTLSContext: files.Dialer(dial), TLSClientConfig: conf, DisableKeepAlives: true,
		TLSHandshakeTimeout: requestTimeout, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}
	if proxied {
		t.Proxy = http.ProxyFromEnvironment
	}
	none := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: t, Timeout: requestTimeout, CheckRedirect: none}, nil
}

// ask sends a request and returns the answer of at most maxAnswer bytes. Errors name the URL
// without its query, and nothing of what was sent.
func ask(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	where := (&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}).String()
	resp, err := client.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // which has no URL in it
		}
		return nil, nil, &Unavailable{fmt.Errorf("asking %s: %w", where, err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, &Unavailable{fmt.Errorf("reading the answer of %s: %w", where, err)}
	case len(body) > maxAnswer:
		return nil, nil, fmt.Errorf("the answer of %s is larger than %s", where, pipeline.Size(maxAnswer))
	}
	return resp, body, nil
}

// refused returns the error of an answer that is not success.
func refused(resp *http.Response, code, words string) error {
	at := resp.Request.URL
	where := (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path}).String()
	if words = oneLine(words); words == "" {
		words = http.StatusText(resp.StatusCode)
	}
	err := error(&statusError{resp.StatusCode, code, fmt.Errorf("%s: %s (%d)", where, words, resp.StatusCode)})
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode == http.StatusPreconditionFailed {
		return &Unavailable{err}
	}
	return err
}

// oneLine makes a server's words fit for a log.
func oneLine(words string) string {
	words = strings.ToValidUTF8(words, "")
	words = strings.Join(strings.FieldsFunc(words, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(words) > maxReason {
		words = strings.ToValidUTF8(words[:maxReason], "") + " …"
	}
	return words
}

// textOf returns a JSON value as the text of a secret: a string's own, and a number or a boolean as
// it is written.
func textOf(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	trimmed := strings.TrimSpace(string(raw))
	if trimmed == "" || trimmed == "null" || strings.ContainsAny(trimmed[:1], "{[") {
		return "", false
	}
	return trimmed, true
}

// readToken returns a file's one line.
func readToken(path string) (string, error) {
	content, err := pipeline.ReadFile(path, maxToken)
	if err != nil {
		return "", fmt.Errorf("reading a token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, unicode.IsControl) {
		return "", fmt.Errorf("reading a token: %s does not hold one line with a token", path)
	}
	return token, nil
}

// bounded is ctx with the time that one secret may take, with all that it needs.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*requestTimeout)
}
