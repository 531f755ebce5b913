package config_test

import (
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// components are like the real ones, with one setting of every type.
func components() []pipeline.Spec {
	return []pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "docker", Summary: "Logs of containers.",
			Traits: pipeline.Traits{SourceOptions: true}, New: func() any { return &dockerInput{} }},
		{Kind: pipeline.KindInput, Type: "file", Summary: "Lines of files.", New: func() any { return &fileInput{} }},
		{Kind: pipeline.KindInput, Type: "watcher", Summary: "Made of alerts.",
			Traits: pipeline.Traits{Observes: true}, New: func() any { return &alertsInput{} }},
		{Kind: pipeline.KindParser, Type: "auto", Summary: "Any known format.",
			New: func() any { return &autoParser{} }},
		{Kind: pipeline.KindParser, Type: "json", Summary: "JSON objects.", New: func() any { return &autoParser{} }},
		{Kind: pipeline.KindParser, Type: "regex", Summary: "Named groups.", New: func() any { return &regexParser{} }},
		{Kind: pipeline.KindTransform, Type: "remove", Summary: "Takes fields out.",
			New: func() any { return &removeTransform{} }},
		{Kind: pipeline.KindTransform, Type: "drop", Summary: "Drops records.",
			Traits: pipeline.Traits{NeedsCondition: true}, New: func() any { return &dropTransform{} }},
		{Kind: pipeline.KindTransform, Type: "route", Summary: "Chooses outputs.",
			New: func() any { return &routeTransform{} }},
		{Kind: pipeline.KindTransform, Type: "redact", Summary: "Takes secrets out.",
			New: func() any { return &redactTransform{} }},
		{Kind: pipeline.KindOutput, Type: "loki", Summary: "Grafana Loki.", New: func() any { return &lokiOutput{} }},
		{Kind: pipeline.KindOutput, Type: "elasticsearch", Summary: "Elasticsearch and OpenSearch.",
			New: func() any { return &elasticOutput{} }},
		{Kind: pipeline.KindOutput, Type: "stdout", Summary: "Standard output.",
			New: func() any { return &stdoutOutput{} }},
		{Kind: pipeline.KindOutput, Type: "chat", Summary: "Messages.",
			Traits: pipeline.Traits{ForPeople: true}, New: func() any { return &stdoutOutput{} }},
	}
}

type alertsInput struct {
	Rules map[string]pipeline.Alert `yaml:"rules" doc:"Alerts."`
	page  string
}

func (*alertsInput) Input(pipeline.Env) (pipeline.Input, error) { return nil, nil }

func (a *alertsInput) SetAlerts(alerts map[string]pipeline.Alert, page string) {
	a.Rules, a.page = alerts, page
}

// Check implements pipeline.Checker.
func (a *alertsInput) Check() (problems []pipeline.Problem) {
	for name, alert := range a.Rules {
		if alert.If == "bad" {
			problems = append(problems, pipeline.Problem{Path: "rules." + name + ".if", Message: "is bad", Column: 1})
		}
	}
	return problems
}

type dockerInput struct {
	Host     string `yaml:"host" doc:"Address of the Docker Engine." default:"unix:///var/run/docker.sock"`
	ReadFrom string `yaml:"read_from" doc:"Where to start." enum:"beginning|tail|end" default:"beginning"`
}

func (*dockerInput) Input(pipeline.Env) (pipeline.Input, error) { return nil, nil }

type fileInput struct {
	Paths    []string          `yaml:"paths" doc:"Globs of the files." required:"true" example:"[/var/log/app/*.log]"`
	Exclude  []string          `yaml:"exclude" doc:"Globs of files to leave out." default:"['*.tmp', '*.swp']"`
	ReadFrom string            `yaml:"read_from" doc:"Where to start in a file never seen before." default:"beginning" enum:"beginning|end"`
	MaxLine  pipeline.Size     `yaml:"max_line" doc:"Longest line." default:"1MiB" min:"1KiB" max:"16MiB"`
	Poll     pipeline.Duration `yaml:"poll" doc:"Pause between two looks." default:"1s" min:"10ms" max:"1m"`
	Follow   bool              `yaml:"follow" doc:"Wait for more at the end." default:"true"`
	Share    float64           `yaml:"share" doc:"A part." max:"1"`
	MaxFiles uint              `yaml:"max_files" doc:"Files open at once." default:"512" min:"1"`
	Rules    []rule            `yaml:"rules" doc:"Rules by name."`
	Windows  map[string]int    `yaml:"windows" doc:"Sizes by name." max:"9"`
}

type rule struct {
	Match string `yaml:"match" doc:"A glob." required:"true"`
	Times int    `yaml:"times" doc:"How often." default:"3" min:"1"`
}

func (*fileInput) Input(pipeline.Env) (pipeline.Input, error) { return nil, nil }

type autoParser struct{}

func (*autoParser) Parser() (pipeline.NewParser, error) { return nil, nil }

type regexParser struct {
	Pattern string `yaml:"pattern" doc:"Regular expression with named groups." required:"true"`
}

func (*regexParser) Parser() (pipeline.NewParser, error) { return nil, nil }

type removeTransform struct {
	Fields []string `yaml:"fields" doc:"Names." required:"true"`
}

func (*removeTransform) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return nil, nil }

type routeTransform struct {
	Routes []struct {
		If      string   `yaml:"if" doc:"When."`
		Outputs []string `yaml:"outputs" doc:"Where to."`
	} `yaml:"routes" doc:"Rules."`
}

func (*routeTransform) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return nil, nil }

func (r *routeTransform) Check() []pipeline.Problem {
	if len(r.Routes) > 0 && r.Routes[0].If == "level is bad" {
		return []pipeline.Problem{{Path: "routes[0].if", Message: "is no expression", Column: 7}}
	}
	return nil
}

func (r *routeTransform) CheckOutputs(outputs []string) []pipeline.Problem {
	return []pipeline.Problem{{Path: "routes[0]", Message: "there is only " + strings.Join(outputs, " ")}}
}

type dropTransform struct{}

func (*dropTransform) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return nil, nil }

type redactTransform struct {
	With string `yaml:"with" doc:"What stands there instead." default:"[REDACTED]"`
}

func (*redactTransform) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return nil, nil }

type tlsSettings struct {
	CAFile string `yaml:"ca_file" doc:"Certificates to trust."`
}

type auth struct {
	Username string          `yaml:"username" doc:"User."`
	Password pipeline.Secret `yaml:"password" doc:"Password."`
	TokenURL string          `yaml:"token_url" doc:"Where tokens are from."`
}

type lokiOutput struct {
	URL     string                     `yaml:"url" doc:"Where Loki listens." required:"true"`
	Tenant  string                     `yaml:"tenant_id" formerly:"tenant" doc:"Tenant."`
	Labels  map[string]string          `yaml:"labels" doc:"Labels of the streams."`
	TLS     tlsSettings                `yaml:"tls" doc:"How to trust the server."`
	Auth    auth                       `yaml:"auth" doc:"Who we are."`
	Headers map[string]pipeline.Secret `yaml:"headers" doc:"More headers."`
}

func (*lokiOutput) Output(pipeline.Env) (pipeline.Output, error) { return nil, nil }

func (o *lokiOutput) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	if !strings.HasPrefix(o.URL, "http") {
		problems = append(problems, pipeline.Problem{Path: "url", Message: o.URL + " is not an http or https URL"})
	}
	if o.Auth.Username != "" && o.Auth.Password == "" {
		problems = append(problems, pipeline.Problem{Path: "auth.password",
			Message: "is missing, but there is a username"})
	}
	if o.Labels["container.name"] == "bad" {
		problems = append(problems, pipeline.Problem{Path: "labels.container.name", Message: "is not a label template"})
	}
	if o.Tenant == "both" {
		problems = append(problems, pipeline.Problem{Message: "cannot have both"})
	}
	return problems
}

type elasticOutput struct {
	URLs   []string        `yaml:"urls" doc:"The nodes." required:"true"`
	Index  string          `yaml:"index" doc:"Name of the index."`
	APIKey pipeline.Secret `yaml:"api_key" doc:"API key."`
	TLS    tlsSettings     `yaml:"tls" doc:"How to trust the server."`
	Auth   auth            `yaml:"auth" doc:"Who we are."`
}

func (*elasticOutput) Output(pipeline.Env) (pipeline.Output, error) { return nil, nil }

func (o *elasticOutput) Check() []pipeline.Problem {
	for i, u := range o.URLs {
		if !strings.HasPrefix(u, "http") {
			return []pipeline.Problem{{Path: "urls[" + string(rune('0'+i)) + "]",
				Message: "is not an http or https URL"}}
		}
	}
	return nil
}

type stdoutOutput struct{}

func (*stdoutOutput) Output(pipeline.Env) (pipeline.Output, error) { return nil, nil }
