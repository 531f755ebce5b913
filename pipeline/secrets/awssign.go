package secrets

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// AWSKeys are credentials of a config. Without any, those are taken that the AWS CLI would find.
type AWSKeys struct {
	ID, Secret, Token pipeline.Secret
	Profile           string // of the shared files; "" for AWS_PROFILE, or the default one
}

// An AWSSigner signs requests to one service of AWS, or of one that is compatible. It is safe for
// concurrent use.
type AWSSigner struct {
	service string
	fixed   *awsLogin // nil where logins are asked

	mu     sync.Mutex
	logins *awsLogins
	where  string // the region, where the config does not say
}

// NewAWSSigner returns a signer for a service. env is os.Getenv, or a test's own.
func NewAWSSigner(service string, keys AWSKeys, env func(string) string) (*AWSSigner, error) {
	s := &AWSSigner{service: service}
	if keys.ID != "" {
		s.fixed = &awsLogin{id: keys.ID.Reveal(), secret: keys.Secret.Reveal(), token: keys.Token.Reveal()}
	}
	if env == nil {
		env = os.Getenv
	}
	client, err := newClient(&tlsfiles.Client{CAFile: env("AWS_CA_BUNDLE")}, true)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	s.logins, err = newAWSLogins(cmp.Or(keys.Profile, env("AWS_PROFILE"), "default"), env, time.Now, client)
	return s, err
}

// Region returns the region that the environment, the shared files or the instance name; "" for
// none.
func (s *AWSSigner) Region(ctx context.Context) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.where == "" {
		s.where = s.logins.region(ctx)
	}
	return s.where
}

// Sign signs a request without a query, whose body has a SHA-256 in hex, as at a time. It asks for
// credentials if there are none that are valid for a while.
func (s *AWSSigner) Sign(ctx context.Context, req *http.Request, sum, region string, now time.Time) error {
	who, err := s.login(ctx, region)
	if err != nil {
		return fmt.Errorf("logging in to AWS: %w", err)
	}
	sign(req, sum, who, region, s.service, now)
	return nil
}

func (s *AWSSigner) login(ctx context.Context, region string) (awsLogin, error) {
	if s.fixed != nil {
		return *s.fixed, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins.get(ctx, region)
}

// Forget has credentials asked for anew: they are not taken any more.
func (s *AWSSigner) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins.forget()
}

// InvalidAWSLogin reports whether a code of AWS's is that of credentials which have expired, or
// were taken away.
func InvalidAWSLogin(code string) bool { return slices.Contains(invalidLogin, code) }

// CheckAWSRegion returns what is wrong with the name of a region.
func CheckAWSRegion(region string) error {
	if !regionPattern.MatchString(region) {
		return fmt.Errorf("is not the name of a region; write it like eu-central-1")
	}
	return nil
}

// AWSDomain is where the services of a region are.
func AWSDomain(region string) string { return awsDomain(region) }

// sign adds a signature (version 4) to a request without a query. sum is that of its body.
func sign(req *http.Request, sum string, who awsLogin, region, service string, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	day := stamp[:8]
	req.Header.Set("X-Amz-Date", stamp)
	if who.token != "" {
		req.Header.Set("X-Amz-Security-Token", who.token)
	}
	headers := map[string]string{"host": req.URL.Host}
	for name := range req.Header {
		headers[strings.ToLower(name)] = strings.TrimSpace(req.Header.Get(name))
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	signed := strings.Join(names, ";")
	var canonical strings.Builder
	path := cmp.Or(req.URL.EscapedPath(), "/")
	canonical.WriteString(req.Method + "\n" + path + "\n\n")
	for _, name := range names {
		canonical.WriteString(name + ":" + headers[name] + "\n")
	}
	canonical.WriteString("\n" + signed + "\n" + sum)
	scope := day + "/" + region + "/" + service + "/aws4_request"
	toSign := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hexSum([]byte(canonical.String()))
	key := []byte("AWS4" + who.secret)
	for _, part := range []string{day, region, service, "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+who.id+"/"+scope+", SignedHeaders="+signed+
		", Signature="+hex.EncodeToString(key))
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// IsUnavailable reports whether an error of Sign's may pass by itself.
func IsUnavailable(err error) bool {
	var away *Unavailable
	return errors.As(err, &away)
}
