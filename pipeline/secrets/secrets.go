// Package secrets reads secrets from where they are kept: HashiCorp Vault and what speaks its API
// (OpenBao), and AWS Secrets Manager. A config names them as ${vault:PATH#FIELD} and
// ${aws:ID#FIELD}.
//
// A Store keeps what was read and reads it again when its lease or the interval runs out, or when a
// destination refuses who we are. What cannot be read again stays as it was. A program asks a Store
// with Get while it reads a config, and has Refresh tell when that config is to be read again.
//
// Both clients are written by hand, as each does one small thing: docs/design.md has what the
// libraries would weigh.
package secrets

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Settings say where secrets are kept. The zero value goes by the environment.
type Settings struct {
	Refresh pipeline.Duration `yaml:"refresh" doc:"How often the secrets of Vault and AWS are read again; those with a lease, before it runs out." default:"5m" min:"10s"`
	Vault   Vault             `yaml:"vault" doc:"HashiCorp Vault or OpenBao, for ${vault:PATH#FIELD}."`
	AWS     AWS               `yaml:"aws" doc:"AWS Secrets Manager, for ${aws:ID} and ${aws:ID#FIELD}."`
}

// Check returns what is invalid.
func (s *Settings) Check() []pipeline.Problem {
	return append(s.Vault.check(), s.AWS.check()...)
}

// Vault is how a Vault is reached, and as whom. Without a way to log in, a token is used.
type Vault struct {
	Address    string          `yaml:"address" doc:"URL of the server; by default VAULT_ADDR or BAO_ADDR." example:"https://vault.example.com:8200"`
	Namespace  string          `yaml:"namespace" doc:"Namespace; by default VAULT_NAMESPACE or BAO_NAMESPACE."`
	Token      pipeline.Secret `yaml:"token" doc:"Token; by default VAULT_TOKEN or BAO_TOKEN. It is renewed as long as it can be."`
	TokenFile  string          `yaml:"token_file" doc:"File with such a token, as an agent of Vault keeps one; it is read for every request."`
	AppRole    AppRole         `yaml:"approle" doc:"Login by AppRole."`
	Kubernetes KubernetesLogin `yaml:"kubernetes" doc:"Login by the pod's service account."`
	TLS        tlsfiles.Client `yaml:"tls" doc:"Certificates for https; by default VAULT_CACERT, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY, or those of BAO_."`
}

// AppRole is a login for machines.
type AppRole struct {
	Mount        string          `yaml:"mount" doc:"Where the method is mounted." default:"approle"`
	RoleID       string          `yaml:"role_id" doc:"The role's id."`
	SecretID     pipeline.Secret `yaml:"secret_id" doc:"The role's secret id."`
	SecretIDFile string          `yaml:"secret_id_file" doc:"File with the secret id; it is read for every login."`
}

// KubernetesLogin is a login by a service account's token.
type KubernetesLogin struct {
	Mount     string `yaml:"mount" doc:"Where the method is mounted." default:"kubernetes"`
	Role      string `yaml:"role" doc:"The role to log in as."`
	TokenFile string `yaml:"token_file" doc:"The service account's token; it is read for every login." default:"/var/run/secrets/kubernetes.io/serviceaccount/token"`
}

// AWS is how Secrets Manager is reached. Credentials come from where the AWS CLI looks for them, in
// its order: the environment, a web identity, the shared files, a container's, an instance's.
type AWS struct {
	Region   string `yaml:"region" doc:"Region; by default that of an ARN, AWS_REGION, the shared config file's, or the instance's." example:"eu-central-1"`
	Profile  string `yaml:"profile" doc:"Profile of the shared files; by default AWS_PROFILE, or default."`
	Endpoint string `yaml:"endpoint" doc:"URL of the service, such as that of a VPC endpoint; by default AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL, or the region's."`
}

func (v *Vault) check() (problems []pipeline.Problem) {
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: "vault." + path, Message: fmt.Sprintf(format, args...)})
	}
	if v.Address != "" {
		if _, err := parseEndpoint(v.Address); err != nil {
			found("address", "%s", err)
		}
	}
	ways := 0
	for _, set := range []bool{v.Token != "", v.TokenFile != "", v.AppRole.RoleID != "", v.Kubernetes.Role != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		found("token", "is one of several ways to log in; keep one of token, token_file, approle and kubernetes")
	}
	if v.AppRole.RoleID == "" && (v.AppRole.SecretID != "" || v.AppRole.SecretIDFile != "") {
		found("approle.role_id", "is missing; a secret id needs it")
	}
	if v.AppRole.SecretID != "" && v.AppRole.SecretIDFile != "" {
		found("approle.secret_id_file", "is set beside secret_id; use one of the two")
	}
	for _, p := range v.TLS.Check("tls") {
		found(p.Path, "%s", p.Message)
	}
	return problems
}

func (a *AWS) check() (problems []pipeline.Problem) {
	if a.Endpoint != "" {
		if _, err := parseEndpoint(a.Endpoint); err != nil {
			problems = append(problems, pipeline.Problem{Path: "aws.endpoint", Message: err.Error()})
		}
	}
	if a.Region != "" && !regionPattern.MatchString(a.Region) {
		problems = append(problems, pipeline.Problem{Path: "aws.region",
			Message: "is not the name of a region, such as eu-central-1"})
	}
	return problems
}

// Sources of secrets, as they are named in a Ref.
const (
	FromVault = "vault"
	FromAWS   = "aws"
)

// A Ref names one secret: a field of a document at a source, or all of it where Field is empty.
type Ref struct{ Source, Path, Field string }

// String returns the reference as a config has it.
func (r Ref) String() string {
	if r.Field == "" {
		return "${" + r.Source + ":" + r.Path + "}"
	}
	return "${" + r.Source + ":" + r.Path + "#" + r.Field + "}"
}

// regionPattern keeps a region from making another host of the endpoint's name.
var regionPattern = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// ParseRef parses what stands in ${…}. ok reports whether it names a secret of a source; the error
// is what is wrong with one that does.
func ParseRef(text string) (ref Ref, ok bool, err error) {
	source, rest, _ := strings.Cut(text, ":")
	if source != FromVault && source != FromAWS {
		return ref, false, nil
	}
	ref = Ref{Source: source, Path: rest}
	if at := strings.LastIndexByte(rest, '#'); at >= 0 {
		ref.Path, ref.Field = rest[:at], rest[at+1:]
		if ref.Field == "" {
			return ref, true, errors.New("names no field behind its #")
		}
	}
	switch {
	case ref.Path == "" && source == FromVault:
		return ref, true, errors.New("needs a path and a field, such as ${vault:secret/longshore#password}")
	case ref.Path == "":
		return ref, true, errors.New("needs the name or ARN of a secret, such as ${aws:prod/loki#password}")
	case len(text) > 2048:
		return ref, true, errors.New("is too long")
	case source == FromAWS:
		return ref, true, nil
	case ref.Field == "":
		return ref, true, errors.New("names no field; write #FIELD behind the path, such as " +
			"${vault:secret/longshore#password}")
	}
	return ref, true, checkVaultPath(ref.Path)
}

func checkVaultPath(path string) error {
	for _, part := range strings.Split(path, "/") {
		if part == "" || part == "." || part == ".." {
			return errors.New("has a path that is none: write it without / at its ends, as vault kv get does, such " +
				"as secret/longshore")
		}
	}
	if strings.ContainsAny(path, "?\x00\r\n") {
		return errors.New("has a sign in its path that no path may have")
	}
	return nil
}
