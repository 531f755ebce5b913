package secrets

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// An awsLogin is who we are for AWS.
type awsLogin struct {
	id, secret, token string
	expires           time.Time // zero for never
}

// awsLogins get credentials from where the AWS CLI looks for them.
type awsLogins struct {
	env     func(string) string
	now     func() time.Time
	client  *http.Client // for AWS
	local   *http.Client // for what this machine or its container offers: by no proxy
	profile string
	have    awsLogin
}

// soonExpired is how long before their end credentials are had anew.
const soonExpired = 5 * time.Minute

func newAWSLogins(
	profile string, env func(string) string, now func() time.Time, client *http.Client,
) (*awsLogins, error) {
	local, err := newClient(&tlsfiles.Client{}, false)
	if err != nil {
		return nil, err
	}
	local.Timeout = 2 * time.Second
	return &awsLogins{env: env, now: now, client: client, local: local, profile: profile}, nil
}

func (l *awsLogins) forget() { l.have = awsLogin{} }

// get returns credentials that are valid for a while.
func (l *awsLogins) get(ctx context.Context, region string) (awsLogin, error) {
	if l.have.id != "" && !l.have.expires.IsZero() && l.now().Add(soonExpired).Before(l.have.expires) {
		return l.have, nil
	}
	got, err := l.find(ctx, region)
	if err != nil {
		if l.have.id != "" && l.now().Before(l.have.expires) {
			return l.have, nil // it will be tried again
		}
		return awsLogin{}, err
	}
	l.have = got
	return got, nil
}

// find looks at one place after the other. One that is set and fails is an error: another one would
// be somebody else.
func (l *awsLogins) find(ctx context.Context, region string) (awsLogin, error) {
	if id := l.env("AWS_ACCESS_KEY_ID"); id != "" && l.env("AWS_SECRET_ACCESS_KEY") != "" {
		return awsLogin{id: id, secret: l.env("AWS_SECRET_ACCESS_KEY"), token: l.env("AWS_SESSION_TOKEN")}, nil
	}
	if role := l.env("AWS_ROLE_ARN"); role != "" && l.env("AWS_WEB_IDENTITY_TOKEN_FILE") != "" {
		return l.assume(ctx, role, l.env("AWS_WEB_IDENTITY_TOKEN_FILE"), l.env("AWS_ROLE_SESSION_NAME"), region)
	}
	if got, found, err := l.shared(ctx, region); found || err != nil {
		return got, err
	}
	if path := l.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		return l.container(ctx, "http://169.254.170.2"+path)
	}
	if at := l.env("AWS_CONTAINER_CREDENTIALS_FULL_URI"); at != "" {
		return l.container(ctx, at)
	}
	if strings.EqualFold(l.env("AWS_EC2_METADATA_DISABLED"), "true") {
		return awsLogin{}, errors.New("there are no credentials: not in the environment, nor in the shared files")
	}
	got, err := l.instance(ctx)
	if err != nil {
		return got, fmt.Errorf("there are no credentials in the environment or the shared files, and no instance "+
			"role: %w", err)
	}
	return got, nil
}

// profileOf returns the settings of the profile in the shared files; those of credentials go before
// those of config.
func (l *awsLogins) profileOf() (map[string]string, error) {
	all := map[string]string{}
	home, _ := os.UserHomeDir() // without one the files must be named
	if named := l.env("HOME"); named != "" {
		home = named
	}
	config := cmp.Or(l.env("AWS_CONFIG_FILE"), filepath.Join(home, ".aws", "config"))
	credentials := cmp.Or(l.env("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(home, ".aws", "credentials"))
	section := "profile " + l.profile
	if l.profile == "default" {
		section = "default"
	}
	for _, file := range []struct{ path, section string }{{config, section}, {credentials, l.profile}} {
		content, err := pipeline.ReadFile(file.path, maxAnswer)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the shared files of AWS: %w", err)
		}
		readINI(all, content, file.section)
	}
	return all, nil
}

// readINI adds the settings of one section.
func readINI(to map[string]string, content []byte, section string) {
	within := false
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		line := lines.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			name := strings.Trim(strings.SplitN(trimmed, "]", 2)[0], "[ \t")
			within = strings.Join(strings.Fields(name), " ") == section
		case within && line[0] != ' ' && line[0] != '\t': // those are settings of a setting
			if name, value, ok := strings.Cut(trimmed, "="); ok {
				to[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
			}
		}
	}
}

// shared returns credentials by the shared files: written there, or by a web identity.
func (l *awsLogins) shared(ctx context.Context, region string) (got awsLogin, found bool, err error) {
	p, err := l.profileOf()
	if err != nil {
		return got, false, err
	}
	if id := p["aws_access_key_id"]; id != "" {
		return awsLogin{id: id, secret: p["aws_secret_access_key"], token: p["aws_session_token"]}, true, nil
	}
	if p["role_arn"] != "" && p["web_identity_token_file"] != "" {
		got, err = l.assume(ctx, p["role_arn"], p["web_identity_token_file"], p["role_session_name"], region)
		return got, true, err
	}
	for _, other := range []string{"credential_process", "source_profile", "credential_source", "sso_session",
		"sso_start_url"} {
		if p[other] != "" {
			return got, false, fmt.Errorf("the profile %s has its credentials by %s, which is not supported; a role "+
				"of the machine, a web identity and keys are", l.profile, other)
		}
	}
	return got, false, nil
}

// assume gets credentials for a role by a token, such as that of a Kubernetes service account
// (IRSA).
func (l *awsLogins) assume(ctx context.Context, role, tokenFile, session, region string) (got awsLogin, err error) {
	token, err := readToken(tokenFile)
	if err != nil {
		return got, err
	}
	at := cmp.Or(l.env("AWS_ENDPOINT_URL_STS"), l.env("AWS_ENDPOINT_URL"),
		"https://sts."+region+"."+awsDomain(region))
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {role},
		"RoleSessionName": {cmp.Or(session, "longshore")}, "WebIdentityToken": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(at, "/")+"/",
		strings.NewReader(form.Encode()))
	if err != nil {
		return got, errors.New("the endpoint of STS is not a URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, body, err := ask(l.client, req)
	if err != nil {
		return got, err
	}
	if resp.StatusCode != http.StatusOK {
		var why struct {
			Error struct{ Code, Message string }
		}
		_ = xml.Unmarshal(body, &why) // without one the status has to do
		return got, refused(resp, why.Error.Code, strings.Trim(why.Error.Code+": "+why.Error.Message, ": "))
	}
	var answer struct {
		Result struct {
			Credentials struct {
				AccessKeyId, SecretAccessKey, SessionToken string
				Expiration                                 time.Time
			}
		} `xml:"AssumeRoleWithWebIdentityResult"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return got, errors.New("the answer is not that of STS; check AWS_ENDPOINT_URL_STS")
	}
	c := answer.Result.Credentials
	return complete(awsLogin{c.AccessKeyId, c.SecretAccessKey, c.SessionToken, c.Expiration})
}

func complete(got awsLogin) (awsLogin, error) {
	if got.id == "" || got.secret == "" {
		return awsLogin{}, errors.New("the answer has no credentials")
	}
	return got, nil
}

// container gets the credentials of a task of ECS, or of a pod of EKS.
func (l *awsLogins) container(ctx context.Context, at string) (awsLogin, error) {
	u, err := url.Parse(at)
	if err != nil || !trustedHost(u) {
		return awsLogin{}, errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI must be of https, or of this machine")
	}
	token := l.env("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := l.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		if token, err = readToken(file); err != nil {
			return awsLogin{}, err
		}
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", token)
	}
	return l.temporary(ctx, u.String(), header)
}

// trustedHost reports whether credentials may be had from a URL, as AWS's own clients have it.
func trustedHost(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() ||
		ip.Equal(net.IPv4(169, 254, 170, 2)) || ip.Equal(net.IPv4(169, 254, 170, 23)) ||
		ip.Equal(net.ParseIP("fd00:ec2::23"))))
}

// temporary gets what containers and instances are given.
func (l *awsLogins) temporary(ctx context.Context, at string, header http.Header) (got awsLogin, err error) {
	body, err := l.look(ctx, http.MethodGet, at, header)
	if err != nil {
		return got, err
	}
	var c struct {
		AccessKeyId, SecretAccessKey, Token string
		Expiration                          time.Time
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return got, errors.New("the answer has no credentials")
	}
	return complete(awsLogin{c.AccessKeyId, c.SecretAccessKey, c.Token, c.Expiration})
}

func (l *awsLogins) look(ctx context.Context, method, at string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return nil, errors.New("the address of the credentials is not a URL")
	}
	req.Header = header
	resp, body, err := ask(l.local, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp, "", "")
	}
	return body, nil
}

// metadata asks the instance's service (IMDSv2).
func (l *awsLogins) metadata(ctx context.Context, path string) ([]byte, http.Header, error) {
	base := strings.TrimRight(cmp.Or(l.env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "http://169.254.169.254"), "/")
	token, err := l.look(ctx, http.MethodPut, base+"/latest/api/token",
		http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"300"}})
	if err != nil {
		return nil, nil, err
	}
	header := http.Header{"X-Aws-Ec2-Metadata-Token": {strings.TrimSpace(string(token))}}
	body, err := l.look(ctx, http.MethodGet, base+path, header)
	return body, header, err
}

const instanceRole = "/latest/meta-data/iam/security-credentials/"

// instance gets the credentials of the instance's role.
func (l *awsLogins) instance(ctx context.Context) (awsLogin, error) {
	role, header, err := l.metadata(ctx, instanceRole)
	if err != nil {
		return awsLogin{}, err
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(role)), "\n")
	if name == "" {
		return awsLogin{}, errors.New("the instance has no role")
	}
	base := strings.TrimRight(cmp.Or(l.env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "http://169.254.169.254"), "/")
	return l.temporary(ctx, base+instanceRole+url.PathEscape(name), header)
}

// region returns where we are; "" if nothing says so.
func (l *awsLogins) region(ctx context.Context) string {
	if named := cmp.Or(l.env("AWS_REGION"), l.env("AWS_DEFAULT_REGION")); named != "" {
		return named
	}
	if p, err := l.profileOf(); err == nil && p["region"] != "" {
		return p["region"]
	}
	if strings.EqualFold(l.env("AWS_EC2_METADATA_DISABLED"), "true") {
		return ""
	}
	body, _, err := l.metadata(ctx, "/latest/meta-data/placement/region")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}
