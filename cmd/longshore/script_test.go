package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/longshore/longshore/pipeline"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"longshore": func() {
		a := app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv, components: fakes()}
		os.Exit(a.run(context.Background(), os.Args[1:]))
	}, "agent": main})
}

// TestScripts runs testdata/script against the program with the components
// below. $ALIVE and $DEGRADED are the host:port of servers that answer so.
func TestScripts(t *testing.T) {
	alive := answer(t, http.StatusOK, `{"status": "alive", "problems": []}`)
	degraded := answer(t, http.StatusServiceUnavailable,
		`{"status": "degraded", "problems": [{"name": "ledger", "reason": "disk full"}]}`)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("ALIVE", alive)
			env.Setenv("DEGRADED", degraded)
			return nil
		},
	})
}

func answer(t *testing.T, status int, body string) (address string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func fakes() []pipeline.Spec {
	return []pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "docker", Summary: "Logs of containers.",
			New: func() any { return &fakeDocker{} }},
		{Kind: pipeline.KindInput, Type: "file", Summary: "Lines of files.", New: func() any { return &fakeFile{} }},
		{Kind: pipeline.KindParser, Type: "auto", Summary: "Any known format.",
			New: func() any { return &fakeParser{} }},
		{Kind: pipeline.KindOutput, Type: "stdout", Summary: "Standard output.",
			New: func() any { return &fakeOutput{} }},
		{Kind: pipeline.KindOutput, Type: "file", Summary: "Files of JSON lines.",
			New: func() any { return &fakeOutput{} }},
	}
}

type fakeDocker struct {
	Host     string `yaml:"host" doc:"Address of the Docker Engine." default:"unix:///var/run/docker.sock"`
	ReadFrom string `yaml:"read_from" doc:"Where to start." enum:"beginning|tail|end" default:"beginning"`
}

func (*fakeDocker) Input(pipeline.Env) (pipeline.Input, error) { return nil, nil }

type fakeFile struct {
	Paths    []string      `yaml:"paths" doc:"Globs of the files." required:"true" example:"[/var/log/app/*.log]"`
	ReadFrom string        `yaml:"read_from" doc:"Where to start." default:"beginning" enum:"beginning|end"`
	MaxLine  pipeline.Size `yaml:"max_line" doc:"Longest line." default:"1MiB" min:"1KiB" max:"16MiB"`
}

func (*fakeFile) Input(pipeline.Env) (pipeline.Input, error) { return nil, nil }

type fakeParser struct{}

func (*fakeParser) Parser() (pipeline.NewParser, error) { return nil, nil }

type fakeOutput struct{}

func (*fakeOutput) Output(pipeline.Env) (pipeline.Output, error) { return nil, nil }
