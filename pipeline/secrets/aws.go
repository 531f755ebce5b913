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
	"slices"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// secretsManager is the service's name, in hosts and signatures.
const secretsManager = "secretsmanager"

// An aws reads from Secrets Manager. It is for the use of one goroutine at a time.
type aws struct {
	settings AWS
	client   *http.Client
	now      func() time.Time
	logins   *awsLogins
}

func newAWS(s AWS, env func(string) string, now func() time.Time) (*aws, error) {
	client, err := newClient(&tlsfiles.Client{CAFile: env("AWS_CA_BUNDLE")}, true)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	s.Endpoint = cmp.Or(s.Endpoint, env("AWS_ENDPOINT_URL_SECRETS_MANAGER"), env("AWS_ENDPOINT_URL"))
	s.Profile = cmp.Or(s.Profile, env("AWS_PROFILE"), "default")
	logins, err := newAWSLogins(s.Profile, env, now, client)
	if err != nil {
		return nil, err
	}
	return &aws{settings: s, client: client, now: now, logins: logins}, nil
}

func (a *aws) due() time.Time { return time.Time{} } // what it logs in with is had when it is needed

// read returns a secret's current version. Credentials that are not taken are had anew once.
func (a *aws) read(ctx context.Context, id string) (*document, error) {
	doc, err := a.readOnce(ctx, id)
	var s *statusError
	if errors.As(err, &s) && slices.Contains(invalidLogin, s.code) {
		a.logins.forget()
		doc, err = a.readOnce(ctx, id)
	}
	return doc, err
}

// invalidLogin are the codes of credentials that have expired or were taken away.
var invalidLogin = []string{"ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException",
	"InvalidClientTokenId", "RequestExpired", "InvalidSignatureException", "InvalidToken", "InvalidAccessKeyId"}

func (a *aws) readOnce(ctx context.Context, id string) (*document, error) {
	region, err := a.region(ctx, id)
	if err != nil {
		return nil, err
	}
	who, err := a.logins.get(ctx, region)
	if err != nil {
		return nil, fmt.Errorf("logging in to AWS: %w", err)
	}
	at, err := a.endpoint(region)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"SecretId": id})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	sign(req, hexSum(body), who, region, secretsManager, a.now())
	resp, answer, err := ask(a.client, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, a.refused(resp, answer, id)
	}
	return parseSecretValue(answer)
}

func parseSecretValue(answer []byte) (*document, error) {
	var value struct {
		SecretString *string
		SecretBinary []byte
	}
	if err := json.Unmarshal(answer, &value); err != nil {
		return nil, errors.New("the answer is not that of Secrets Manager; check secrets.aws.endpoint")
	}
	doc := &document{text: string(value.SecretBinary)}
	if value.SecretString != nil {
		doc.text = *value.SecretString
	}
	if json.Unmarshal([]byte(doc.text), &doc.fields) != nil {
		doc.fields = nil
	}
	return doc, nil
}

func (a *aws) refused(resp *http.Response, answer []byte, id string) error {
	var why struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Other   string `json:"Message"`
	}
	_ = json.Unmarshal(answer, &why) // without one the status has to do
	code := why.Type[strings.LastIndexByte(why.Type, '#')+1:]
	// It repeats headers that were sent, the session's token among them.
	words, _, _ := strings.Cut(cmp.Or(why.Message, why.Other), "The Canonical String")
	if code != "" {
		words = code + ": " + words
	}
	err := refused(resp, code, words)
	switch code {
	case "ResourceNotFoundException":
		return fmt.Errorf("there is no secret %s in this account and region: %w", id, err)
	case "AccessDeniedException":
		return fmt.Errorf("%w; it takes secretsmanager:GetSecretValue, and kms:Decrypt with a key of one's own", err)
	case "ThrottlingException", "InternalServiceError":
		return &Unavailable{err}
	}
	return err
}

func (a *aws) region(ctx context.Context, id string) (string, error) {
	region := a.settings.Region
	if region == "" {
		region = regionOfARN(id)
	}
	if region == "" {
		region = a.logins.region(ctx)
	}
	switch {
	case region == "":
		return "", errors.New("nothing says in which region the secret is; set secrets.aws.region, or AWS_REGION")
	case !regionPattern.MatchString(region):
		return "", errors.New("the region of AWS is not the name of one; write it like eu-central-1")
	}
	return region, nil
}

// regionOfARN returns the region of arn:aws:secretsmanager:REGION:….
func regionOfARN(id string) string {
	if parts := strings.Split(id, ":"); len(parts) > 5 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

func (a *aws) endpoint(region string) (*url.URL, error) {
	if a.settings.Endpoint != "" {
		return parseEndpoint(a.settings.Endpoint)
	}
	return parseEndpoint("https://" + secretsManager + "." + region + "." + awsDomain(region))
}

func awsDomain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
