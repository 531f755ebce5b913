package s3

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/secrets"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the output's settings.
type Config struct {
	Bucket      string            `yaml:"bucket" required:"true" doc:"The bucket. It must exist." example:"company-logs"`
	Prefix      string            `yaml:"prefix" default:"logs/{yyyy/MM/dd/HH}/" doc:"How the names of objects begin. {field} is a field of the record or a label of its source; yyyy, MM, dd and HH in { }, with / . - or _ between them, are of the record's own time in UTC. Each prefix is an object of its own in every batch." example:"logs/{service}/date={yyyy-MM-dd}/"`
	MaxPrefixes int               `yaml:"max_prefixes" default:"500" min:"1" doc:"Most values of the fields in prefix within a day; records of further ones go to the prefix with overflow in place of each {field}."`
	MaxAge      pipeline.Duration `yaml:"max_age" default:"5m" min:"1s" max:"1h" doc:"How long records are gathered for an object, if it does not become full before (batch). Records that cannot be read again wait for 5s at most."`

	Region     string `yaml:"region" doc:"Region of the bucket; by default what AWS_REGION, the profile or the instance says, and us-east-1 with an endpoint." example:"eu-central-1"`
	Endpoint   string `yaml:"endpoint" doc:"URL of another service that is compatible; by default that of AWS in the region." example:"http://minio:9000"`
	Addressing string `yaml:"addressing" default:"auto" enum:"auto|path|host" doc:"Whether the bucket stands in the path or in the host's name; auto is the path with an endpoint, or where the name has a dot."`

	AccessKeyID     pipeline.Secret `yaml:"access_key_id" doc:"Access key. Without one, credentials come from where the AWS CLI has them: environment, shared files, web identity, container, instance."`
	SecretAccessKey pipeline.Secret `yaml:"secret_access_key" doc:"Secret of the access key." example:"${S3_SECRET_KEY}"`
	SessionToken    pipeline.Secret `yaml:"session_token" doc:"Token of temporary credentials."`
	Profile         string          `yaml:"profile" doc:"Profile of the shared files; by default AWS_PROFILE, or default."`

	Compression string `yaml:"compression" default:"gzip" enum:"gzip|zstd|none" doc:"How objects are compressed."`
	Level       int    `yaml:"compression_level" default:"1" min:"1" max:"9" doc:"1 is the fastest, 9 the smallest."`
	Schema      string `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields: longshore's own, the Elastic Common Schema, or OpenTelemetry's."`

	StorageClass string `yaml:"storage_class" doc:"Storage class of the objects; by default that of the bucket." example:"STANDARD_IA"`
	Encryption   string `yaml:"server_side_encryption" enum:"AES256|aws:kms|aws:kms:dsse" doc:"Encryption at rest; by default that of the bucket."`
	KMSKeyID     string `yaml:"kms_key_id" doc:"Key for server_side_encryption: aws:kms."`
	ACL          string `yaml:"acl" doc:"Canned ACL of the objects; most buckets take none." example:"bucket-owner-full-control"`

	Conditional bool `yaml:"conditional_writes" default:"true" doc:"Make objects only where there are none (If-None-Match). Switch it off for a service that answers this with an error; what is under way during a crash may be a duplicate then."`

	TLS     tlsfiles.Client   `yaml:"tls" doc:"Certificates for https."`
	Proxy   string            `yaml:"proxy" doc:"URL of a proxy, or none; by default HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment."`
	Timeout pipeline.Duration `yaml:"timeout" default:"60s" min:"1s" max:"5m" doc:"Longest time of one request."`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
	_ pipeline.Warner       = (*Config)(nil)
)

// Spec describes the output. Its bodies are large, so there is one lane by default, with room for
// the next body while one is sent.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:     pipeline.KindOutput,
		Type:     "s3",
		Summary:  "Writes records to Amazon S3, or what is compatible, as objects of JSON lines.",
		New:      func() any { return new(Config) },
		Defaults: map[string]string{"concurrency": "1", "queue_size": "24MiB"},
	}
}

const (
	// maxBytes is how much of records one object has, before compression.
	maxBytes = 8 << 20
	// unsafeAge is how long what cannot be read again waits in memory.
	unsafeAge = 5 * time.Second
)

var (
	bucketPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)
	tokenPattern  = regexp.MustCompile(`^[A-Za-z0-9:/_.+=,@-]*$`)
)

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if c.Bucket != "" && !bucketPattern.MatchString(c.Bucket) {
		found("bucket", "is not a bucket's name: letters, digits, dots and hyphens are; folders go into prefix")
	}
	if _, err := parsePrefix(c.Prefix); err != nil {
		found("prefix", "%s", err)
	}
	if c.Region != "" {
		if err := secrets.CheckAWSRegion(c.Region); err != nil {
			found("region", "%s", err)
		}
	}
	c.checkEndpoint(found)
	if (c.AccessKeyID == "") != (c.SecretAccessKey == "") {
		found("access_key_id", "and secret_access_key belong together; set both or none")
	}
	if c.SessionToken != "" && c.AccessKeyID == "" {
		found("session_token", "is of no use without access_key_id and secret_access_key")
	}
	if c.KMSKeyID != "" && !strings.HasPrefix(c.Encryption, "aws:kms") {
		found("kms_key_id", "is only for server_side_encryption: aws:kms")
	}
	for path, text := range map[string]string{"storage_class": c.StorageClass, "kms_key_id": c.KMSKeyID, "acl": c.ACL} {
		if !tokenPattern.MatchString(text) {
			found(path, "has characters in it that no header takes")
		}
	}
	settings := c.http()
	return append(problems, settings.Check()...)
}

func (c *Config) checkEndpoint(found func(path, format string, args ...any)) {
	if c.Endpoint == "" {
		return
	}
	u, err := httpclient.ParseURL(c.Endpoint)
	switch {
	case err != nil:
		found("endpoint", "%s", err)
	case u.User != nil:
		found("endpoint", "names a user; set access_key_id and secret_access_key")
	case u.RawQuery != "" || u.Fragment != "":
		found("endpoint", "has more than a host and a path; take out query and fragment")
	}
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	problems := c.TLS.Warnings("tls")
	if c.Prefix != "" && !strings.HasSuffix(c.Prefix, "/") {
		problems = append(problems, pipeline.Problem{Path: "prefix",
			Message: "has no / at its end, so names of objects follow without one"})
	}
	return problems
}

func (c *Config) http() httpclient.Settings {
	return httpclient.Settings{TLS: c.TLS, Proxy: c.Proxy, Timeout: c.Timeout}
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) { return c.output(env, os.Getenv) }

func (c *Config) output(env pipeline.Env, getenv func(string) string) (*Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	prefix, err := parsePrefix(c.Prefix)
	if err != nil {
		return nil, err
	}
	client, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	keys := secrets.AWSKeys{ID: c.AccessKeyID, Secret: c.SecretAccessKey, Token: c.SessionToken, Profile: c.Profile}
	signer, err := secrets.NewAWSSigner("s3", keys, getenv)
	if err != nil {
		return nil, err
	}
	o := &Output{
		client:   client,
		signer:   signer,
		bucket:   c.bucket(),
		prefixes: newPrefixes(prefix, c.MaxPrefixes, env),
		schema:   event.SchemaNamed(c.Schema),
		packer:   packer{compression: c.Compression, level: c.Level},
		attempts: newAttempts(env.Folder),
		header:   c.headers(),
		maxAge:   time.Duration(c.MaxAge),
		log:      env.Log,
		metrics:  newMetrics(env.Metrics),
	}
	if !c.Conditional {
		o.conditional.Store(conditionalNo)
	}
	return o, nil
}

func (c *Config) bucket() bucket {
	b := bucket{name: c.Bucket, region: c.Region}
	if c.Endpoint != "" {
		b.endpoint, _ = httpclient.ParseURL(c.Endpoint) // Check has found it valid
	}
	b.inPath = c.Addressing == "path" ||
		c.Addressing != "host" && (b.endpoint != nil || strings.Contains(c.Bucket, "."))
	return b
}

// headers are those of each object.
func (c *Config) headers() map[string]string {
	all := map[string]string{}
	for name, value := range map[string]string{
		"X-Amz-Storage-Class": c.StorageClass, "X-Amz-Acl": c.ACL, "X-Amz-Server-Side-Encryption": c.Encryption,
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": c.KMSKeyID,
	} {
		if value != "" {
			all[name] = value
		}
	}
	return all
}

// A bucket knows its URL.
type bucket struct {
	name, region string
	endpoint     *url.URL // nil for AWS
	inPath       bool
}

// at returns the bucket's URL in a region.
func (b *bucket) at(region string) *url.URL {
	u := &url.URL{Scheme: "https", Host: "s3." + region + "." + secrets.AWSDomain(region)}
	if b.endpoint != nil {
		u = &url.URL{Scheme: b.endpoint.Scheme, Host: b.endpoint.Host, Path: strings.TrimRight(b.endpoint.Path, "/")}
	}
	if b.inPath {
		u.Path += "/" + b.name
	} else {
		u.Host = b.name + "." + u.Host
	}
	return u
}
