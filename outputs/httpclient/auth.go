package httpclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Auth is a user with a password, a token, or OAuth2. The zero value is none.
type Auth struct {
	Username        string          `yaml:"username" doc:"User for basic authentication."`
	Password        pipeline.Secret `yaml:"password" doc:"Password for basic authentication." example:"${LONGSHORE_PASSWORD}"`
	BearerToken     pipeline.Secret `yaml:"bearer_token" doc:"Token sent as \"Authorization: Bearer\"."`
	BearerTokenFile string          `yaml:"bearer_token_file" doc:"File with such a token; it is read for every request."`
	OAuth2          OAuth2          `yaml:"oauth2" doc:"OAuth2 with the client credentials grant."`
}

// OAuth2 gets tokens by the client credentials grant (RFC 6749, 4.4).
type OAuth2 struct {
	TokenURL     string            `yaml:"token_url" doc:"Token endpoint." example:"https://auth.example.com/oauth2/token"`
	ClientID     string            `yaml:"client_id" doc:"Client ID."`
	ClientSecret pipeline.Secret   `yaml:"client_secret" doc:"Client secret."`
	Scopes       []string          `yaml:"scopes" doc:"Scopes to request." example:"[logs:write]"`
	Params       map[string]string `yaml:"params" doc:"Additional parameters of the token request." example:"{audience: logs}"`
}

func (o *OAuth2) set() bool {
	return o.TokenURL != "" || o.ClientID != "" || o.ClientSecret != "" || len(o.Scopes) > 0
}

// Set reports whether there are credentials.
func (a *Auth) Set() bool { return a.methods() > 0 }

func (a *Auth) methods() int {
	n := 0
	for _, set := range []bool{
		a.Username != "" || a.Password != "",
		a.BearerToken != "",
		a.BearerTokenFile != "",
		a.OAuth2.set(),
	} {
		if set {
			n++
		}
	}
	return n
}

// Check returns what is invalid, in the token file too. The path is the setting's name.
func (a *Auth) Check(path string) []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(setting, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path + setting, Message: fmt.Sprintf(format, args...)})
	}
	if a.methods() > 1 {
		found("", "has more than one of username, bearer_token, bearer_token_file and oauth2; keep one")
	}
	if a.Username == "" && a.Password != "" {
		found(".username", "is missing; password needs it")
	}
	if !validHeaderValue(a.BearerToken.Reveal()) {
		found(".bearer_token", "has control characters in it, such as a line end; take them out")
	}
	if a.BearerTokenFile != "" {
		if _, err := readToken(a.BearerTokenFile); err != nil {
			found(".bearer_token_file", "cannot be used: %s", err)
		}
	}
	if !a.OAuth2.set() {
		return problems
	}
	if _, err := ParseURL(a.OAuth2.TokenURL); err != nil {
		found(".oauth2.token_url", "%s", err)
	}
	if a.OAuth2.ClientID == "" {
		found(".oauth2.client_id", "is missing; oauth2 needs it")
	}
	return problems
}

// An authorizer returns the value of a request's Authorization header, or "".
type authorizer func(ctx context.Context) (string, error)

// authorizer returns the configured one; it gets OAuth2 tokens through base. invalidate is called
// when a destination answers 401.
func (a *Auth) authorizer(base http.RoundTripper) (authorize authorizer, invalidate func()) {
	invalidate = func() {}
	switch {
	case a.OAuth2.set():
		tokens := newTokens(&a.OAuth2, base)
		return tokens.authorize, tokens.invalidate
	case a.BearerTokenFile != "":
		authorize = func(context.Context) (string, error) {
			token, err := readToken(a.BearerTokenFile)
			return "Bearer " + token, err
		}
	case a.BearerToken != "":
		authorize = constant("Bearer " + a.BearerToken.Reveal())
	case a.Username != "":
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(a.Username, a.Password.Reveal())
		authorize = constant(r.Header.Get("Authorization"))
	default:
		authorize = constant("")
	}
	return authorize, invalidate
}

func constant(header string) authorizer {
	return func(context.Context) (string, error) { return header, nil }
}

// maxToken bounds a token file; servers reject such headers anyway.
const maxToken = 64 << 10

func readToken(path string) (string, error) {
	content, err := pipeline.ReadFile(path, maxToken)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || !validHeaderValue(token) {
		return "", fmt.Errorf("reading the token: %s does not hold one line with a token", path)
	}
	return token, nil
}

// tokens keeps the OAuth2 token of one client and renews it. Unlike with the library's sources,
// waiting for it ends with the context of the request.
type tokens struct {
	config clientcredentials.Config
	client *http.Client
	// slot holds the token, nil at first. Whoever has taken it out may renew it.
	slot chan *oauth2.Token
}

func newTokens(o *OAuth2, base http.RoundTripper) *tokens {
	t := &tokens{
		config: clientcredentials.Config{
			ClientID:     o.ClientID,
			ClientSecret: o.ClientSecret.Reveal(),
			TokenURL:     o.TokenURL,
			Scopes:       o.Scopes,
		},
		client: &http.Client{Transport: noUpgrade{base}, CheckRedirect: noRedirects},
		slot:   make(chan *oauth2.Token, 1),
	}
	if len(o.Params) > 0 {
		t.config.EndpointParams = url.Values{}
		for name, value := range o.Params {
			t.config.EndpointParams.Set(name, value)
		}
	}
	t.slot <- nil
	return t
}

func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (t *tokens) authorize(ctx context.Context) (string, error) {
	var token *oauth2.Token
	select {
	case token = <-t.slot:
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for an OAuth2 token: %w", ctx.Err())
	}
	defer func() { t.slot <- token }()
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

// invalidate forgets the token, which the destination rejected.
func (t *tokens) invalidate() {
	select {
	case <-t.slot:
		t.slot <- nil
	default: // it is being renewed right now
	}
}

// Token returns how to get the token that there is for other protocols than HTTP: the bearer token,
// that of the file, or one by OAuth2, which is kept for as long as it is valid.
func (a *Auth) Token() func(ctx context.Context) (string, error) {
	base := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: tlsfiles.HandshakeTimeout,
		MaxResponseHeaderBytes: 256 << 10, DisableKeepAlives: true, // it is needed once an hour or so
	}
	authorize, _ := a.authorizer(base)
	return func(ctx context.Context) (string, error) {
		header, err := authorize(ctx)
		_, token, _ := strings.Cut(header, " ")
		return token, err
	}
}
