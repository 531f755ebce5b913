package elasticsearch

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	url := []string{"http://localhost:9200"}
	tests := []struct {
		name string
		in   Config
		want []string // paths
	}{
		{"the least", Config{URLs: url}, nil},
		{"everything", Config{
			URLs: []string{"https://a:9200", "https://b:9200/es/"}, Index: "logs-{service}-{yyyy.MM.dd}",
			APIKey: "id:key", InstallTemplate: true, Retention: 1,
		}, nil},
		{"no URL", Config{}, []string{"urls"}},
		{"not a URL", Config{URLs: []string{"localhost:9200", "http://x", "ftp://x"}}, []string{"urls[0]", "urls[2]"}},
		{"a query", Config{URLs: []string{"http://x/insert?a=b&c=%2C", "http://x?a=%zz"}}, []string{"urls[1]"}},
		{"two ways to log in", Config{URLs: url, APIKey: "k",
			Settings: httpclient.Settings{Auth: httpclient.Auth{Username: "u"}}},
			[]string{"api_key"}},
		{"a key and a user in the URL", Config{URLs: []string{"http://u:p@x"}, APIKey: "k"}, []string{"urls[0]"}},
		{"a key and a header", Config{URLs: url, APIKey: "k",
			Settings: httpclient.Settings{Headers: map[string]pipeline.Secret{"authorization": "x"}}},
			[]string{"headers.authorization"}},
		{"a bad index", Config{URLs: url, Index: "Logs"}, []string{"index"}},
		{"a template for everything", Config{URLs: url, Index: "{service}-logs", InstallTemplate: true},
			[]string{"index"}},
		{"retention alone", Config{URLs: url, Retention: 1}, []string{"retention"}},
		{"a CA file that is not there", Config{URLs: url,
			Settings: httpclient.Settings{TLS: tlsfiles.Client{CAFile: "/does/not/exist"}}},
			[]string{"tls.ca_file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range tt.in.Check() {
				got = append(got, p.Path)
				if strings.Contains(p.Message, "u:p") {
					t.Errorf("%s shows the password: %s", p.Path, p.Message)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			_, err := tt.in.Output(pipetest.Env(t))
			if (err != nil) != (len(tt.want) > 0) {
				t.Errorf("Output: %v", err)
			}
		})
	}
}

func TestEncodedKey(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte("id:key"))
	for _, given := range []string{"id:key", encoded} {
		if got := encodedKey(given); got != encoded {
			t.Errorf("%s: got %s, want %s", given, got, encoded)
		}
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	s := Spec()
	if s.Kind != pipeline.KindOutput || s.Type != "elasticsearch" {
		t.Errorf("got %s %s", s.Kind, s.Type)
	}
	if _, ok := s.New().(pipeline.OutputConfig); !ok {
		t.Error("its config makes no output")
	}
}
