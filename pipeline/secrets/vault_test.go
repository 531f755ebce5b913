package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A fakeVault answers as OpenBao 2.7 does; e2e has the real one.
type fakeVault struct {
	*httptest.Server
	asked []string
	// answers are by method and path.
	answers map[string]func(*http.Request) (int, string)
}

func newFakeVault(t *testing.T) *fakeVault {
	f := &fakeVault{answers: map[string]func(*http.Request) (int, string){}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/v1/")
		f.asked = append(f.asked, r.Method+" "+path)
		answer := f.answers[r.Method+" "+path]
		if answer == nil {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"errors":[]}`)
			return
		}
		status, body := answer(r)
		if status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", body)
			body = ""
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeVault) on(call, body string) {
	f.answers[call] = func(*http.Request) (int, string) { return http.StatusOK, body }
}

// A testClock is a clock that stands still unless it is moved.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time { return c.now }

func newTestStore(env map[string]string, clock *testClock) *Store {
	return New(Options{Now: clock.Now, Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
}

const (
	kv2Mount = `{"data":{"path":"secret/","options":{"version":"2"}}}`
	kv2Value = `{"data":{"data":{"password":%q,"port":9},"metadata":{"version":1}}}`
)

func TestVaultReads(t *testing.T) {
	folder := t.TempDir()
	jwt := filepath.Join(folder, "jwt")
	if err := os.WriteFile(jwt, []byte("the-jwt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sealed := func(*http.Request) (int, string) {
		return http.StatusServiceUnavailable, `{"errors":["Vault is sealed"]}`
	}
	tests := map[string]struct {
		settings Vault
		path     string
		field    string
		prepare  func(*fakeVault)
		want     string // the secret
		err      string
		away     bool
	}{
		"KV 2": {path: "secret/app", field: "password", want: "s3"},
		"KV 2, as its API names it": {path: "secret/data/app", field: "password", want: "s3",
			prepare: func(f *fakeVault) {
				f.on("GET sys/internal/ui/mounts/secret/data/app", kv2Mount)
			}},
		"a number": {path: "secret/app", field: "port", want: "9"},
		"KV 1": {path: "kv/app", field: "t", want: "one", prepare: func(f *fakeVault) {
			f.on("GET sys/internal/ui/mounts/kv/app", `{"data":{"path":"kv/","options":null}}`)
			f.on("GET kv/app", `{"lease_duration":2764800,"data":{"t":"one"}}`)
		}},
		"its mount may not be asked for": {path: "kv/app", field: "t", want: "one", prepare: func(f *fakeVault) {
			f.on("GET kv/app", `{"data":{"t":"one"}}`)
		}},
		"no such field": {path: "secret/app", field: "user", err: `has no field "user"; it has password, port`},
		"none there":    {path: "secret/none", field: "user", err: "there is no secret at secret/none"},
		"sealed": {path: "secret/app", field: "password", away: true, err: "Vault is sealed (503)",
			prepare: func(f *fakeVault) {
				f.answers["GET sys/internal/ui/mounts/secret/app"] = sealed
			}},
		"forbidden": {path: "secret/app", field: "password", err: "capability read on secret/data/app",
			prepare: func(f *fakeVault) {
				f.answers["GET secret/data/app"] = func(*http.Request) (int, string) {
					return 403, `{"errors":["permission denied"]}`
				}
			}},
		"not a Vault": {path: "secret/app", field: "password", err: "answers what is not Vault's",
			prepare: func(f *fakeVault) {
				f.on("GET secret/data/app", "<html>")
			}},
		"a standby": {path: "secret/app", field: "password", want: "active", prepare: func(f *fakeVault) {
			active := newFakeVault(t)
			active.on("GET secret/data/app", fmt.Sprintf(kv2Value, "active"))
			f.answers["GET secret/data/app"] = func(*http.Request) (int, string) {
				return http.StatusTemporaryRedirect, active.URL + "/v1/secret/data/app"
			}
		}},
		"a redirect to another scheme": {path: "secret/app", field: "password", err: "no place for a token",
			prepare: func(f *fakeVault) {
				f.answers["GET secret/data/app"] = func(*http.Request) (int, string) {
					return http.StatusTemporaryRedirect, "ftp://elsewhere/v1/secret/data/app"
				}
			}},
		"Kubernetes": {settings: Vault{Namespace: "team", Kubernetes: KubernetesLogin{Role: "logs", TokenFile: jwt}},
			path: "secret/app", field: "password", want: "s3", prepare: func(f *fakeVault) {
				f.answers["POST auth/kubernetes/login"] = func(r *http.Request) (int, string) {
					var got struct{ Role, JWT string }
					_ = json.NewDecoder(r.Body).Decode(&got)
					if got.Role != "logs" || got.JWT != "the-jwt" || r.Header.Get("X-Vault-Namespace") != "team" {
						return 400, `{"errors":["bad login"]}`
					}
					return 200, `{"auth":{"client_token":"root","lease_duration":60,"renewable":true}}`
				}
			}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeVault(t)
			f.on("GET sys/internal/ui/mounts/secret/app", kv2Mount)
			f.on("GET secret/data/app", fmt.Sprintf(kv2Value, "s3"))
			if test.prepare != nil {
				test.prepare(f)
			}
			test.settings.Address = f.URL
			s := newTestStore(map[string]string{"VAULT_TOKEN": "root"}, &testClock{time.Unix(1e9, 0)})
			got, err := s.Get(t.Context(), Settings{Vault: test.settings}, Ref{FromVault, test.path, test.field})
			var away *Unavailable
			switch {
			case test.err == "" && err != nil, err == nil && got != test.want:
				t.Errorf("%q, %v; want %q", got, err, test.want)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%v; want %q", err, test.err)
			case errors.As(err, &away) != test.away:
				t.Errorf("%v may pass: %v", err, !test.away)
			}
		})
	}
}

// TestVaultRenews has a lease renewed, come to its end, and be read anew; and one that is revoked.
func TestVaultRenews(t *testing.T) {
	f, clock := newFakeVault(t), &testClock{time.Unix(1e9, 0)}
	creds, lasts := "first", 60
	f.answers["GET database/creds/logs"] = func(*http.Request) (int, string) {
		return 200, fmt.Sprintf(`{"lease_id":"l/%s","lease_duration":60,"renewable":true,"data":{"password":%q}}`,
			creds, creds)
	}
	f.answers["PUT sys/leases/renew"] = func(*http.Request) (int, string) {
		if lasts == 0 {
			return 400, `{"errors":["lease not found"]}`
		}
		return 200, fmt.Sprintf(`{"lease_duration":%d}`, lasts)
	}
	s := newTestStore(map[string]string{"BAO_TOKEN": "root", "BAO_ADDR": f.URL}, clock)
	ref := Ref{FromVault, "database/creds/logs", "password"}
	get := func() string {
		got, err := s.Get(t.Context(), Settings{}, ref)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	get()
	creds = "second"
	for _, step := range []struct {
		name    string
		after   time.Duration
		lasts   int
		all     bool
		changed bool
		want    string
	}{
		{"not due", 30 * time.Second, 60, false, false, "first"},
		{"renewed", 10 * time.Second, 60, false, false, "first"},
		{"asked for, and still good", 5 * time.Second, 60, true, false, "first"},
		{"at its end", 40 * time.Second, 25, false, true, "second"},
		{"revoked", time.Second, 0, true, false, "second"}, // what comes instead is the same here
	} {
		clock.now, lasts = clock.now.Add(step.after), step.lasts
		if changed := s.Refresh(t.Context(), step.all); changed != step.changed || get() != step.want {
			t.Errorf("%s: changed %v, %s", step.name, changed, get())
		}
	}
}

// TestStoreKeeps has a source go away and come back.
func TestStoreKeeps(t *testing.T) {
	f, clock := newFakeVault(t), &testClock{time.Unix(1e9, 0)}
	f.on("GET kv/app", `{"data":{"t":"one"}}`)
	s := newTestStore(map[string]string{"VAULT_TOKEN": "root", "VAULT_ADDR": f.URL}, clock)
	ref := Ref{FromVault, "kv/app", "t"}
	want := func(step, value string, failing bool) {
		t.Helper()
		got, err := s.Get(t.Context(), Settings{}, ref)
		if got != value || err != nil || (s.Failing() != nil) != failing {
			t.Errorf("%s: %q, %v; failing: %v", step, got, err, s.Failing())
		}
	}
	want("at first", "one", false)
	f.answers["GET kv/app"] = func(*http.Request) (int, string) { return 500, `{"errors":["one is not to be had"]}` }
	s.Stale()
	want("away", "one", true)
	f.on("GET kv/app", `{"data":{"t":"two"}}`)
	if clock.now = clock.now.Add(retryAfter); !s.Refresh(context.Background(), false) {
		t.Error("the other value is not noticed")
	}
	want("back", "two", false)
	s.Keep(nil)
	if !s.Next().IsZero() {
		t.Error("what nobody names is read again")
	}
}

// TestLeasesEndWithTheirToken has the token of a login come to its end while a lease has long to
// go: Vault revokes that with it, so that it is had anew.
func TestLeasesEndWithTheirToken(t *testing.T) {
	f, clock := newFakeVault(t), &testClock{time.Unix(1e9, 0)}
	logins := 0
	f.answers["POST auth/approle/login"] = func(*http.Request) (int, string) {
		logins++
		return 200, fmt.Sprintf(`{"auth":{"client_token":"t%d","lease_duration":60,"renewable":false}}`, logins)
	}
	f.answers["GET database/creds/logs"] = func(*http.Request) (int, string) {
		return 200, fmt.Sprintf(`{"lease_id":"l/%d","lease_duration":3600,"renewable":true,"data":{"password":"p%d"}}`,
			logins, logins)
	}
	f.on("PUT sys/leases/renew", `{"lease_duration":3600}`)
	s := newTestStore(nil, clock)
	settings := Settings{Vault: Vault{Address: f.URL, AppRole: AppRole{RoleID: "logs"}}}
	ref := Ref{FromVault, "database/creds/logs", "password"}
	if got, err := s.Get(t.Context(), settings, ref); got != "p1" || err != nil {
		t.Fatal(got, err)
	}
	clock.now = s.Next()
	changed := s.Refresh(t.Context(), false) // logs in again
	if !changed {
		clock.now = s.Next()
		changed = s.Refresh(t.Context(), false)
	}
	if got, err := s.Get(t.Context(), settings, ref); got != "p2" || err != nil || !changed {
		t.Errorf("%s, %v; changed: %v", got, err, changed)
	}
	if wait := s.Next().Sub(clock.now); wait < 30*time.Second {
		t.Errorf("the next is due in %v", wait)
	}
}

// TestNotRenewable has a lease that cannot be renewed read anew before its end.
func TestNotRenewable(t *testing.T) {
	f, clock := newFakeVault(t), &testClock{time.Unix(1e9, 0)}
	reads := 0
	f.answers["GET aws/creds/logs"] = func(*http.Request) (int, string) {
		reads++
		return 200, fmt.Sprintf(`{"lease_id":"l","lease_duration":60,"data":{"password":"p%d"}}`, reads)
	}
	s := newTestStore(map[string]string{"VAULT_TOKEN": "root", "VAULT_ADDR": f.URL}, clock)
	ref := Ref{FromVault, "aws/creds/logs", "password"}
	if got, err := s.Get(t.Context(), Settings{}, ref); got != "p1" || err != nil {
		t.Fatal(got, err)
	}
	if clock.now = clock.now.Add(45 * time.Second); !s.Refresh(t.Context(), false) {
		t.Error("nothing has changed")
	}
	if got, err := s.Get(t.Context(), Settings{}, ref); got != "p2" || err != nil {
		t.Error(got, err)
	}
}
