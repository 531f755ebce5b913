package secrets

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// A vault reads from one server. It is for the use of one goroutine at a time.
type vault struct {
	settings Vault
	base     *url.URL
	client   *http.Client
	now      func() time.Time

	session session
	logins  int // so far: with a token go the leases that were had by it
	// paths are where secrets are read, by how the config names them: a KV engine of version 2 has
	// data/ behind its mount.
	paths map[string]string
}

// A session is a token, and what is known of it.
type session struct {
	token     string
	known     bool // whether it has been asked what follows
	renewable bool
	renewAt   time.Time // zero for a token that never expires
	expires   time.Time
}

func newVault(s Vault, env func(string) string, now func() time.Time) (*vault, error) {
	either := func(name string) string { return cmp.Or(env("VAULT_"+name), env("BAO_"+name)) }
	s.Address = cmp.Or(s.Address, either("ADDR"))
	s.Namespace = cmp.Or(s.Namespace, either("NAMESPACE"))
	if s.TokenFile == "" && s.AppRole.RoleID == "" && s.Kubernetes.Role == "" {
		s.Token = cmp.Or(s.Token, pipeline.Secret(either("TOKEN")))
		if s.Token == "" {
			return nil, errors.New("nothing says how to log in to Vault; set secrets.vault.token_file, approle or " +
				"kubernetes, or VAULT_TOKEN")
		}
	}
	s.TLS.CAFile = cmp.Or(s.TLS.CAFile, either("CACERT"))
	s.TLS.CertFile = cmp.Or(s.TLS.CertFile, either("CLIENT_CERT"))
	s.TLS.KeyFile = cmp.Or(s.TLS.KeyFile, either("CLIENT_KEY"))
	s.TLS.ServerName = cmp.Or(s.TLS.ServerName, either("TLS_SERVER_NAME"))
	if s.Address == "" {
		return nil, errors.New("nothing says where Vault is; set secrets.vault.address, or VAULT_ADDR")
	}
	base, err := parseEndpoint(s.Address)
	if err != nil {
		return nil, fmt.Errorf("the address of Vault %w", err)
	}
	client, err := newClient(&s.TLS, true)
	if err != nil {
		return nil, fmt.Errorf("secrets.vault.%w", err)
	}
	return &vault{settings: s, base: base, client: client, now: now, paths: map[string]string{}}, nil
}

// A vaultAnswer is what Vault answers, to whatever was asked.
type vaultAnswer struct {
	Data          map[string]json.RawMessage
	LeaseID       string `json:"lease_id"`
	LeaseDuration int64  `json:"lease_duration"`
	Renewable     bool
	Auth          *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int64  `json:"lease_duration"`
		Renewable     bool
	}
	Errors []string
}

// read returns the secret at a path. A token that was revoked is replaced once, by another login.
func (v *vault) read(ctx context.Context, path string) (*document, error) {
	doc, err := v.readOnce(ctx, path)
	if statusOf(err) == http.StatusForbidden && v.logsIn() && v.session.token != "" {
		v.session = session{}
		doc, err = v.readOnce(ctx, path)
	}
	return doc, err
}

func (v *vault) readOnce(ctx context.Context, path string) (*document, error) {
	if err := v.authorize(ctx); err != nil {
		return nil, err
	}
	at, err := v.pathOf(ctx, path)
	if err != nil {
		return nil, err
	}
	a, err := v.ask(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, v.explain(err, at)
	}
	doc := &document{fields: a.Data, leaseID: a.LeaseID, renewable: a.Renewable,
		lasts: time.Duration(a.LeaseDuration) * time.Second, login: v.logins}
	if inner, ok := kv2(a.Data); ok {
		doc.fields = inner
	}
	return doc, nil
}

// kv2 returns the fields of what a KV engine of version 2 answers.
func kv2(data map[string]json.RawMessage) (fields map[string]json.RawMessage, ok bool) {
	var meta map[string]json.RawMessage
	if len(data) != 2 || json.Unmarshal(data["metadata"], &meta) != nil || meta["version"] == nil {
		return nil, false
	}
	return fields, json.Unmarshal(data["data"], &fields) == nil
}

func (v *vault) explain(err error, path string) error {
	switch statusOf(err) {
	case http.StatusNotFound:
		return fmt.Errorf("there is no secret at %s: %w", path, err)
	case http.StatusForbidden:
		return fmt.Errorf("%w; the token needs a policy with the capability read on %s", err, path)
	}
	return err
}

// pathOf returns where a secret is read. Vault is asked for its mount, as its own command line
// does; where that may not be asked, the path is taken as it is.
func (v *vault) pathOf(ctx context.Context, path string) (string, error) {
	if at, known := v.paths[path]; known {
		return at, nil
	}
	a, err := v.ask(ctx, http.MethodGet, "sys/internal/ui/mounts/"+path, nil)
	var away *Unavailable
	switch {
	case errors.As(err, &away):
		return "", err
	case err != nil:
		return path, nil
	}
	var mount string
	var options struct{ Version string }
	_ = json.Unmarshal(a.Data["path"], &mount)      // one that is not there is none
	_ = json.Unmarshal(a.Data["options"], &options) // null for other engines
	at, rest := path, strings.TrimPrefix(path, mount)
	if options.Version == "2" && mount != "" && rest != path && !strings.HasPrefix(rest, "data/") {
		at = mount + "data/" + rest
	}
	v.paths[path] = at
	return at, nil
}

// renew makes a lease longer, and returns how long it lasts now.
func (v *vault) renew(ctx context.Context, doc *document) (time.Duration, error) {
	if err := v.authorize(ctx); err != nil {
		return 0, err
	}
	a, err := v.ask(ctx, http.MethodPut, "sys/leases/renew", map[string]any{
		"lease_id": doc.leaseID, "increment": int64(doc.lasts / time.Second),
	})
	if err != nil {
		return 0, err
	}
	return time.Duration(a.LeaseDuration) * time.Second, nil
}

func (v *vault) logsIn() bool {
	return v.settings.AppRole.RoleID != "" || v.settings.Kubernetes.Role != ""
}

// authorize sees to it that there is a token which is valid for a while.
func (v *vault) authorize(ctx context.Context) error {
	if !v.logsIn() {
		if err := v.takeToken(ctx); err != nil {
			return err
		}
	}
	s := &v.session
	if s.token != "" && (s.renewAt.IsZero() || v.now().Before(s.renewAt)) {
		return nil
	}
	if s.token != "" && s.renewable && v.now().Before(s.expires) {
		if v.renewSelf(ctx) == nil {
			return nil
		}
	}
	if !v.logsIn() {
		return nil // it may be good for a while yet; if not, that shows
	}
	return v.logIn(ctx)
}

// takeToken takes the token that is set. What is known of it is asked once.
func (v *vault) takeToken(ctx context.Context) error {
	token := v.settings.Token.Reveal()
	if v.settings.TokenFile != "" {
		var err error
		if token, err = readToken(v.settings.TokenFile); err != nil {
			return err
		}
	}
	if token == v.session.token && v.session.known {
		return nil
	}
	v.session = session{token: token}
	a, err := v.ask(ctx, http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil {
		return nil // perhaps it may not ask that; if it is invalid, that shows
	}
	var ttl int64
	_ = json.Unmarshal(a.Data["ttl"], &ttl)
	_ = json.Unmarshal(a.Data["renewable"], &v.session.renewable)
	v.session.known = true
	v.lasts(time.Duration(ttl) * time.Second)
	return nil
}

// lasts notes how long the token is valid, from now on; 0 is for ever.
func (v *vault) lasts(ttl time.Duration) {
	v.session.expires, v.session.renewAt = time.Time{}, time.Time{}
	if ttl > 0 {
		v.session.expires, v.session.renewAt = v.now().Add(ttl), v.now().Add(ttl*2/3)
	}
}

func (v *vault) renewSelf(ctx context.Context) error {
	a, err := v.ask(ctx, http.MethodPut, "auth/token/renew-self", map[string]any{})
	if err != nil {
		return err
	}
	if a.Auth == nil {
		return errors.New("renewing the token: the answer has no token")
	}
	left := v.session.expires
	v.lasts(time.Duration(a.Auth.LeaseDuration) * time.Second)
	v.session.renewable = a.Auth.Renewable
	if !v.session.expires.After(left) {
		v.session.renewable = false // it has come to its end
	}
	return nil
}

func (v *vault) logIn(ctx context.Context) error {
	mount, send := v.settings.Kubernetes.Mount, map[string]any{}
	if role := v.settings.AppRole; role.RoleID != "" {
		mount = cmp.Or(role.Mount, "approle")
		send["role_id"] = role.RoleID
		secret := role.SecretID.Reveal()
		if role.SecretIDFile != "" {
			var err error
			if secret, err = readToken(role.SecretIDFile); err != nil {
				return err
			}
		}
		if secret != "" { // a role may be bound by other means
			send["secret_id"] = secret
		}
	} else {
		token, err := readToken(v.settings.Kubernetes.TokenFile)
		if err != nil {
			return err
		}
		mount = cmp.Or(mount, "kubernetes")
		send["role"], send["jwt"] = v.settings.Kubernetes.Role, token
	}
	v.session = session{}
	a, err := v.ask(ctx, http.MethodPost, "auth/"+strings.Trim(mount, "/")+"/login", send)
	if err != nil {
		return fmt.Errorf("logging in to Vault: %w", err)
	}
	if a.Auth == nil || a.Auth.ClientToken == "" {
		return errors.New("logging in to Vault: the answer has no token")
	}
	v.session = session{token: a.Auth.ClientToken, known: true, renewable: a.Auth.Renewable}
	v.lasts(time.Duration(a.Auth.LeaseDuration) * time.Second)
	v.logins++
	return nil
}

// ask makes one request. A standby redirects it to the active node.
func (v *vault) ask(ctx context.Context, method, path string, send any) (*vaultAnswer, error) {
	at := v.base.JoinPath("v1", path)
	resp, body, err := v.request(ctx, method, at, send)
	if err == nil && resp.StatusCode == http.StatusTemporaryRedirect {
		to, parseErr := at.Parse(resp.Header.Get("Location"))
		if parseErr != nil || to.Scheme != at.Scheme || to.Hostname() == "" {
			return nil, fmt.Errorf("%s redirects to what is no place for a token", v.base)
		}
		resp, body, err = v.request(ctx, method, to, send)
	}
	if err != nil {
		return nil, err
	}
	a := &vaultAnswer{}
	err = json.Unmarshal(body, a)
	if resp.StatusCode/100 != 2 {
		return nil, refused(resp, "", strings.Join(a.Errors, "; "))
	}
	if len(bytes.TrimSpace(body)) > 0 && err != nil {
		return nil, fmt.Errorf("%s answers what is not Vault's; check secrets.vault.address", at)
	}
	return a, nil
}

func (v *vault) request(ctx context.Context, method string, at *url.URL, send any) (*http.Response, []byte, error) {
	var body []byte
	if send != nil {
		var err error
		if body, err = json.Marshal(send); err != nil {
			return nil, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("X-Vault-Request", "true")
	if v.session.token != "" {
		req.Header.Set("X-Vault-Token", v.session.token)
	}
	if v.settings.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.settings.Namespace)
	}
	return ask(v.client, req)
}

// due returns when the token is to be renewed; zero for never.
func (v *vault) due() time.Time { return v.session.renewAt }
