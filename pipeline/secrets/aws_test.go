package secrets

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSign holds the signature to the example of the AWS documentation ("get-vanilla" of the
// signature test suite).
func TestSign(t *testing.T) {
	req, err := http.NewRequest(http.MethodGet, "https://example.amazonaws.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	who := awsLogin{id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	sign(req, hexSum(nil), who, "us-east-1", "service", time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
	const want = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, " +
		"SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	if got := req.Header.Get("Authorization"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestSignObject holds it to the example of S3's documentation ("PUT Object" of "Transferring
// payload in a single chunk").
func TestSignObject(t *testing.T) {
	req, err := http.NewRequest(http.MethodPut, "https://examplebucket.s3.amazonaws.com/test%24file.text", nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := hexSum([]byte("Welcome to Amazon S3."))
	req.Header.Set("Date", "Fri, 24 May 2013 00:00:00 GMT")
	req.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
	req.Header.Set("X-Amz-Content-Sha256", sum)
	signer, err := NewAWSSigner("s3", AWSKeys{ID: "AKIAIOSFODNN7EXAMPLE",
		Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	if err := signer.Sign(t.Context(), req, sum, "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	const want = "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
	if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestAWSLogins has credentials come from each place there is.
func TestAWSLogins(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const given = `{"AccessKeyId":%q,"SecretAccessKey":"s","Token":"t","Expiration":"2026-01-01T01:00:00Z"}`
		imds := r.Header.Get("X-Aws-Ec2-Metadata-Token") == "session"
		switch {
		case r.URL.Path == "/task" && r.Header.Get("Authorization") == "pod-token":
			fmt.Fprintf(w, given, "container")
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "session")
		case imds && r.URL.Path == instanceRole:
			fmt.Fprint(w, "role\n")
		case imds && r.URL.Path == instanceRole+"role":
			fmt.Fprintf(w, given, "instance")
		case imds && r.URL.Path == "/latest/meta-data/placement/region":
			fmt.Fprint(w, "eu-west-1")
		case r.URL.Path == "/sts/" && r.FormValue("WebIdentityToken") == "web":
			fmt.Fprint(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>`+
				`<AccessKeyId>web</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>`+
				`<Expiration>2026-01-01T01:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>`+
				`</AssumeRoleWithWebIdentityResponse>`)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer machine.Close()
	credentials := write("credentials", "[default]\naws_access_key_id = file\naws_secret_access_key=s\n"+
		"[other]\naws_access_key_id=other\naws_secret_access_key=s\n")
	config := write("config", "[profile sso]\nsso_session = x\n[profile web]\nrole_arn=r\nweb_identity_token_file="+
		write("web", "web")+"\n")
	none := filepath.Join(folder, "none")
	tests := map[string]struct {
		env       map[string]string
		profile   string
		want, err string
	}{
		"environment": {env: map[string]string{"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "s"},
			want: "env"},
		"shared file": {env: map[string]string{"AWS_SHARED_CREDENTIALS_FILE": credentials}, want: "file"},
		"a profile": {env: map[string]string{"AWS_SHARED_CREDENTIALS_FILE": credentials}, profile: "other",
			want: "other"},
		"not supported": {env: map[string]string{"AWS_CONFIG_FILE": config}, profile: "sso",
			err: "sso_session, which is not supported"},
		"web identity of a profile": {env: map[string]string{"AWS_CONFIG_FILE": config,
			"AWS_ENDPOINT_URL_STS": machine.URL + "/sts"}, profile: "web", want: "web"},
		"web identity": {env: map[string]string{"AWS_ROLE_ARN": "r", "AWS_WEB_IDENTITY_TOKEN_FILE": write("w", "web"),
			"AWS_ENDPOINT_URL_STS": machine.URL + "/sts"}, want: "web"},
		"container": {env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": machine.URL + "/task",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": write("pod", "pod-token\n")}, want: "container"},
		"a container elsewhere": {env: map[string]string{
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/task"},
			err: "must be of https, or of this machine"},
		"instance":    {env: map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.URL}, want: "instance"},
		"none at all": {env: map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}, err: "there are no credentials"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none}
			for k, v := range test.env {
				env[k] = v
			}
			profile := "default"
			if test.profile != "" {
				profile = test.profile
			}
			l, err := newAWSLogins(profile, func(k string) string { return env[k] },
				func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }, http.DefaultClient)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.get(t.Context(), "eu-central-1")
			if got.id != test.want || (err != nil) != (test.err != "") ||
				err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q, %v; want %q, %q", got.id, err, test.want, test.err)
			}
			if name == "instance" && l.region(t.Context()) != "eu-west-1" {
				t.Errorf("the region is %q", l.region(t.Context()))
			}
		})
	}
}

func TestParseRef(t *testing.T) {
	for text, want := range map[string]string{
		"vault:secret/app#password": "${vault:secret/app#password}",
		"aws:prod/loki":             "${aws:prod/loki}",
		"aws:arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf#k": "" +
			"${aws:arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf#k}",
		"vault:secret/app":      "names no field",
		"vault:":                "needs a path",
		"vault:/secret/app#k":   "a path that is none",
		"vault:a/../sys/raw#k":  "a path that is none",
		"vault:a/b?list=true#k": "a sign in its path",
		"aws:":                  "needs the name",
		"aws:x#":                "names no field",
		"VAULT_TOKEN":           "",
	} {
		ref, ok, err := ParseRef(text)
		got := ""
		if ok {
			got = ref.String()
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (want == "") == ok {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// FuzzParseSecretValue reads what a server answers.
func FuzzParseSecretValue(f *testing.F) {
	f.Add([]byte(`{"SecretString":"{\"a\":\"b\"}"}`))
	f.Add([]byte(`{"SecretBinary":"AAEC"}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if doc, err := parseSecretValue(answer); err == nil {
			_, _ = doc.get("")
			_, _ = doc.get("a")
		}
	})
}

// TestRefusedByAWS reads answers of the service that are errors. The first is what it says of a
// wrong signature, by its documentation.
func TestRefusedByAWS(t *testing.T) {
	tests := map[string]struct {
		status    int
		body      string
		want, not string
	}{
		"signature": {400, `{"__type":"InvalidSignatureException","message":"The signature does not match. ` +
			`The Canonical String for this request should have been 'POST x-amz-security-token:session-token'"}`,
			"InvalidSignatureException: The signature does not match. (400)", "session-token"},
		"not there": {400, `{"__type":"com.amazonaws#ResourceNotFoundException","Message":"none"}`,
			"no secret prod/x", "#"},
		"forbidden": {400, `{"__type":"AccessDeniedException","Message":"no"}`, "secretsmanager:GetSecretValue", "#"},
		"a gateway": {502, `<html>`, "Bad Gateway (502)", "html"},
	}
	for name, test := range tests {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		}))
		store := newTestStore(map[string]string{"AWS_ENDPOINT_URL": s.URL, "AWS_REGION": "eu-central-1",
			"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}, &testClock{time.Unix(1e9, 0)})
		_, err := store.Get(t.Context(), Settings{}, Ref{Source: FromAWS, Path: "prod/x"})
		s.Close()
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), test.not) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
