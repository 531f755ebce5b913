package httpclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// tokens keeps the OAuth2 token of one client and fetches the next when it has
// run out. Unlike the library's own sources, the wait for it ends with the
// context of the request that needs it.
type tokens struct {
	config clientcredentials.Config
	client *http.Client
	// turn holds the token, nil at first. Whoever has taken it out has the turn.
	turn chan *oauth2.Token
}

func newTokens(o *OAuth2, base http.RoundTripper) *tokens {
	t := &tokens{
		config: clientcredentials.Config{
			ClientID:     o.ClientID,
			ClientSecret: o.ClientSecret.Reveal(),
			TokenURL:     o.TokenURL,
			Scopes:       o.Scopes,
		},
		client: &http.Client{Transport: noUpgrade{base}, CheckRedirect: lastAnswer},
		turn:   make(chan *oauth2.Token, 1),
	}
	if len(o.Params) > 0 {
		t.config.EndpointParams = url.Values{}
		for name, value := range o.Params {
			t.config.EndpointParams.Set(name, value)
		}
	}
	t.turn <- nil
	return t
}

func lastAnswer(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (t *tokens) authorize(ctx context.Context) (string, error) {
	var token *oauth2.Token
	select {
	case token = <-t.turn:
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for an OAuth2 token: %w", ctx.Err())
	}
	defer func() { t.turn <- token }()
	if token.Valid() {
		return token.Type() + " " + token.AccessToken, nil
	}
	next, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		return "", &Error{URL: "getting a token from " + t.location(), Err: err}
	}
	token = next
	return token.Type() + " " + token.AccessToken, nil
}

func (t *tokens) location() string {
	u, err := url.Parse(t.config.TokenURL)
	if err != nil {
		return "auth.oauth2.token_url"
	}
	return Location(u)
}

// reject forgets the token: the destination did not take it.
func (t *tokens) reject() {
	select {
	case <-t.turn:
		t.turn <- nil
	default: // it is being renewed right now
	}
}
