package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd", "none"} {
		t.Run(compression, func(t *testing.T) {
			pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
				s := newFakeS3(t)
				return pipetest.OutputHarness{
					Output: open(t, s, filepath.Join(t.TempDir(), "s3"), "compression: "+compression),
					Stored: s.messages,
					Away:   func(testing.TB) { s.Close() },
				}
			})
		})
	}
}

// TestRequest: an object's request, but for what is new each time.
func TestRequest(t *testing.T) {
	s := newFakeS3(t)
	o := open(t, s, "", "prefix: a{host.name}/{yyyy/MM/dd}/\nstorage_class: STANDARD_IA\nacl: private\n"+
		"server_side_encryption: aws:kms\nkms_key_id: key\nsession_token: a-token")
	if err := o.Send(t.Context(), bodyOf(t, o, 1, 0, "first")); err != nil {
		t.Fatal(err)
	}
	r := s.requests[0]
	if !regexp.MustCompile(`^/logs/aweb-1/2026/05/01/\d{8}T\d{6}Z-[0-9a-f]{16}\.jsonl\.gz$`).MatchString(r.URL.Path) {
		t.Errorf("path: %s", r.URL.Path)
	}
	want := map[string]string{
		"If-None-Match": "*", "Content-Type": "application/gzip", "X-Amz-Storage-Class": "STANDARD_IA",
		"X-Amz-Acl": "private", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Security-Token": "a-token",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key",
	}
	for name, value := range want {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	login := r.Header.Get("Authorization")
	for _, part := range []string{"Credential=id/", "/us-east-1/s3/aws4_request", "content-md5;content-type;host;" +
		"if-none-match;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-server-side-encryption;" +
		"x-amz-server-side-encryption-aws-kms-key-id;x-amz-storage-class,"} {
		if !strings.Contains(login, part) {
			t.Errorf("Authorization is %s, without %s", login, part)
		}
	}
}

// TestAnswers: what each answer of S3 to an object means.
func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		status    int
		code      string
		want      pipeline.Outcome
		uncertain bool
		says      string
	}{
		"forbidden":      {403, "AccessDenied", pipeline.Hold, false, "s3:PutObject"},
		"wrong key":      {403, "InvalidAccessKeyId", pipeline.Hold, false, "words of it"},
		"no bucket":      {404, "NoSuchBucket", pipeline.Hold, false, "make the bucket"},
		"busy":           {503, "SlowDown", pipeline.Retry, false, "SlowDown"},
		"broken":         {500, "InternalError", pipeline.Retry, true, "InternalError"},
		"a gateway":      {502, "", pipeline.Retry, true, "Bad Gateway"},
		"broken on way":  {400, "BadDigest", pipeline.Retry, false, "BadDigest"},
		"slow":           {400, "RequestTimeout", pipeline.Retry, true, "RequestTimeout"},
		"invalid":        {400, "InvalidStorageClass", pipeline.Hold, false, "InvalidStorageClass"},
		"unprocessable":  {422, "", pipeline.Hold, false, "Unprocessable"},
		"too large":      {413, "", pipeline.Split, false, "Too Large"},
		"there already":  {412, "PreconditionFailed", pipeline.Retry, true, "PreconditionFailed"},
		"at once":        {409, "ConditionalRequestConflict", pipeline.Retry, true, "Conflict"},
		"another region": {301, "PermanentRedirect", pipeline.Hold, false, "eu-west-1: set region"},
		"region":         {400, "AuthorizationHeaderMalformed", pipeline.Hold, false, "eu-west-1: set region"},
		"no condition":   {501, "NotImplemented", pipeline.Retry, false, "NotImplemented"},
		"not S3":         {200, "", pipeline.Hold, true, "not that of an object store"},
		"many":           {429, "", pipeline.Retry, false, "Too Many"},
		"its own log in": {407, "", pipeline.Hold, false, "proxy"},
		"clock":          {403, "RequestTimeTooSkewed", pipeline.Retry, false, "RequestTimeTooSkewed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newFakeS3(t)
			s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
				if test.code == "" {
					w.WriteHeader(test.status)
				} else {
					xmlError(w, test.status, test.code)
				}
				return true
			}
			o := open(t, s, "", "")
			err := o.Send(t.Context(), bodyOf(t, o, 1, 0, "a", "b"))
			var failed *pipeline.SendError
			if !errors.As(err, &failed) || failed.Outcome != test.want || failed.Uncertain != test.uncertain ||
				failed.Items != nil || !strings.Contains(failed.Reason, test.says) {
				t.Errorf("Send: %+v; want %s, uncertain %t, %q", err, test.want, test.uncertain, test.says)
			}
			if strings.Contains(fmt.Sprint(err), "a-secret-key") {
				t.Errorf("Send shows the secret: %v", err)
			}
		})
	}
}

// TestSkewedClock: the clock of the service is taken for signatures, and the next request gets
// through.
func TestSkewedClock(t *testing.T) {
	s := newFakeS3(t)
	ahead := time.Now().Add(3 * time.Hour)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err == nil && at.Sub(ahead).Abs() < 15*time.Minute {
			return false
		}
		w.Header().Set("Date", ahead.UTC().Format(http.TimeFormat))
		xmlError(w, 403, "RequestTimeTooSkewed")
		return true
	}
	o := open(t, s, "", "")
	body := bodyOf(t, o, 1, 0, "a")
	if err := o.Send(t.Context(), body); err == nil {
		t.Fatal("the first request gets through")
	}
	if err := o.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
}

// TestPrefixesOfOneBody: each is an object, and one that fails does not hide the others.
func TestPrefixesOfOneBody(t *testing.T) {
	s := newFakeS3(t)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/logs/web-2/") {
			return false
		}
		xmlError(w, 403, "AccessDenied")
		return true
	}
	o := open(t, s, "", "prefix: '{host.name}/'")
	body := bodyOf(t, o, 1, 0, "a", "b")
	add(t, o, body, 2, 0, "c")
	add(t, o, body, 1, 2, "d")
	err := o.Send(t.Context(), body)
	var failed *pipeline.SendError
	if !errors.As(err, &failed) || len(failed.Items) != 1 || failed.Items[0].Index != 2 ||
		failed.Items[0].Outcome != pipeline.Hold {
		t.Errorf("Send: %+v", err)
	}
	if diff := cmp.Diff([]string{"a", "b", "d"}, s.messages(t)); diff != "" {
		t.Error(diff)
	}
}

// TestPrefix: what is made of templates, and of hostile values.
func TestPrefix(t *testing.T) {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "in", "key", []event.Label{{Name: "host.name", Value: "../é b/c"},
		{Name: "dot", Value: ".."}, {Name: "long", Value: strings.Repeat("x", 300)}}))
	b.Add(0, noon.UnixNano(), b.PutString("x"))
	for text, want := range map[string]string{
		"logs/{yyyy/MM/dd/HH}/":                 "logs/2026/05/01/12/",
		"date={yyyy-MM-dd}/hour={HH}/":          "date=2026-05-01/hour=12/",
		"{host.name}/":                          ".._" + "__" + "_b_c/",
		"{dot}/{none}/x":                        "_./unknown/x",
		"{long}":                                strings.Repeat("x", maxField),
		"{level}/":                              "unknown/",
		"":                                      "",
		"/logs/":                                "error",
		"logs//x":                               "error",
		"a/../b":                                "error",
		"{message}/":                            "error",
		"{a":                                    "error",
		"a b":                                   "error",
		strings.Repeat("{a}", 10):               "error",
		"{yyyy}{MM}{dd}":                        "20260501",
		"x/{yyyy MM}/":                          "x/unknown/",
		"!-_.*'()=+,@/{HH}":                     "!-_.*'()=+,@/12",
		"../x":                                  "error",
		"é":                                     "error",
		strings.Repeat("long/", maxPrefix/5+10): "error",
	} {
		p, err := parsePrefix(text)
		got := "error"
		if err == nil {
			got = string(p.appendTo(nil, b, 0, false))
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", text, got, err, want)
		}
	}
}

// TestTooManyPrefixes: they go to one, whatever the encoder remembers of the last one.
func TestTooManyPrefixes(t *testing.T) {
	s := newFakeS3(t)
	o := open(t, s, "", "prefix: '{host.name}/'\nmax_prefixes: 2")
	body := bodyOf(t, o, 1, 0, "a")
	for id := event.SourceID(2); id < 6; id++ {
		add(t, o, body, id, 0, "b", "c")
	}
	want := []string{"web-1/", "web-2/", "overflow/"}
	if diff := cmp.Diff(want, body.Groups); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	for yaml, want := range map[string]string{
		"bucket: a/b":                                       "bucket",
		"bucket: logs\nendpoint: minio:9000":                "endpoint",
		"bucket: logs\nendpoint: http://u:p@minio:9000":     "endpoint",
		"bucket: logs\nendpoint: http://minio:9000?x=y":     "endpoint",
		"bucket: logs\naccess_key_id: x":                    "access_key_id",
		"bucket: logs\nsession_token: x":                    "session_token",
		"bucket: logs\nregion: 'eu/x'":                      "region",
		"bucket: logs\nkms_key_id: x":                       "kms_key_id",
		"bucket: logs\nstorage_class: \"a\\r\\nb: c\"":      "storage_class",
		"bucket: logs\nprefix: '{trace_id}/'":               "prefix",
		"bucket: logs\nproxy: nothing":                      "proxy",
		"bucket: my.logs\nregion: eu-central-1\nacl: x-y-z": "",
	} {
		_, err := config.Settings(Spec(), yaml)
		if (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("%s: %v, want a problem with %q", yaml, err, want)
		}
	}
}

// TestURLs: of AWS and of others.
func TestURLs(t *testing.T) {
	for settings, want := range map[string]string{
		"logs, region: eu-central-1":                        "https://logs.s3.eu-central-1.amazonaws.com",
		"my.logs, region: eu-central-1":                     "https://s3.eu-central-1.amazonaws.com/my.logs",
		"logs, region: cn-north-1":                          "https://logs.s3.cn-north-1.amazonaws.com.cn",
		"logs, endpoint: 'http://minio:9000'":               "http://minio:9000/logs",
		"logs, endpoint: 'http://minio:9000/x/'":            "http://minio:9000/x/logs",
		"logs, endpoint: 'https://x.com', addressing: host": "https://logs.x.com",
	} {
		c := pipetest.Config[*Config](t, Spec(), "{bucket: "+settings+"}")
		b := c.bucket()
		region := "us-east-1"
		if c.Region != "" {
			region = c.Region
		}
		if got := b.at(region).String(); got != want {
			t.Errorf("%s: %s, want %s", settings, got, want)
		}
	}
}

// TestNoRegion: nothing is sent anywhere without one.
func TestNoRegion(t *testing.T) {
	c := pipetest.Config[*Config](t, Spec(), "bucket: logs\naccess_key_id: x\nsecret_access_key: y")
	o, err := c.output(pipetest.Env(t), func(name string) string {
		return map[string]string{"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/none",
			"AWS_SHARED_CREDENTIALS_FILE": "/none"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var failed *pipeline.SendError
	if err := o.Send(t.Context(), bodyOf(t, o, 1, 0, "a")); !errors.As(err, &failed) ||
		failed.Outcome != pipeline.Hold || !strings.Contains(failed.Reason, "set region") {
		t.Errorf("Send: %v", err)
	}
}

// TestExamine: what doctor tells.
func TestExamine(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   pipeline.FindingState
		says   string
	}{
		"there":     {nil, pipeline.FoundFine, "logs is there"},
		"forbidden": {status(403), pipeline.FoundUnknown, "s3:ListBucket"},
		"none":      {status(404), pipeline.FoundBroken, "there is no bucket logs"},
		"elsewhere": {status(301), pipeline.FoundBroken, "is in eu-west-1"},
	} {
		s := newFakeS3(t)
		if test.answer != nil {
			s.answer = func(w http.ResponseWriter, r *http.Request) bool { test.answer(w, r); return true }
		}
		var found []pipeline.Finding
		o := open(t, s, "", "")
		o.Examine(t.Context(), func(f pipeline.Finding) { found = append(found, f) })
		last := found[len(found)-1]
		if last.State != test.want || !strings.Contains(last.Says, test.says) {
			t.Errorf("%s: %+v", name, found)
		}
		if _, err := o.Probe(t.Context()); (err != nil) != (test.want == pipeline.FoundBroken) {
			t.Errorf("%s: Probe: %v", name, err)
		}
		if slices.ContainsFunc(s.requests, func(r *http.Request) bool { return r.Method != http.MethodHead }) {
			t.Errorf("%s: it writes", name)
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
		w.WriteHeader(code)
	}
}

// TestCredentialsAway: while nobody gives credentials nothing is sent, and nothing lost.
func TestCredentialsAway(t *testing.T) {
	s := newFakeS3(t)
	var given atomic.Bool
	task := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !given.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"AccessKeyId":"id","SecretAccessKey":"s","Token":"t","Expiration":%q}`,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer task.Close()
	env := map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": task.URL, "AWS_CONFIG_FILE": "/none",
		"AWS_SHARED_CREDENTIALS_FILE": "/none"}
	c := pipetest.Config[*Config](t, Spec(), "bucket: logs\nendpoint: "+s.URL)
	o, err := c.output(pipetest.Env(t), func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	body := bodyOf(t, o, 1, 0, "a")
	var failed *pipeline.SendError
	err = o.Send(t.Context(), body)
	if !errors.As(err, &failed) || failed.Outcome != pipeline.Retry || failed.Uncertain {
		t.Errorf("Send: %+v, want to try again", err)
	}
	given.Store(true)
	if err := o.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a"}, s.messages(t)); diff != "" || len(s.requests) != 1 {
		t.Errorf("%d requests; %s", len(s.requests), diff)
	}
}
