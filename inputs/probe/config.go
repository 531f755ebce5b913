// Package probe checks whether something is well, again and again, and makes a record when that
// changes. Only where the config says so it does something about it.
//
// What it concludes is a line of its own journal, which is read as any log is (package journal): so
// a record is delivered once, and after a restart nothing is said again that was said before.
package probe

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/dockerapi"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the config of the probe input.
type Config struct {
	HTTP       HTTP       `yaml:"http" doc:"Asks a URL."`
	TCP        string     `yaml:"tcp" doc:"Connects to an address." example:"db:5432"`
	Process    Process    `yaml:"process" doc:"Looks for a process."`
	Containers Containers `yaml:"containers" doc:"Looks at the health checks of containers, by the Docker Engine."`

	Interval    pipeline.Duration `yaml:"interval" doc:"Pause between two checks." default:"15s" min:"1s" max:"1d"`
	Timeout     pipeline.Duration `yaml:"timeout" doc:"How long one check may take." default:"5s" min:"10ms" max:"10m"`
	Retries     int               `yaml:"retries" doc:"How many checks in a row must fail until what is probed is down." default:"3" min:"1" max:"1000"`
	StartPeriod pipeline.Duration `yaml:"start_period" doc:"For how long failures do not count, after the start and after an action, until a first success." default:"0s" max:"1d"`
	Results     bool              `yaml:"results" doc:"Make a record of each check, and not only of changes."`

	Docker Docker `yaml:"docker" doc:"The Docker Engine, for containers and on_failure.restart."`
	Action Action `yaml:"on_failure" doc:"What to do when something is down; by default nothing but a record."`
}

// HTTP is a check by HTTP.
type HTTP struct {
	URL        string                     `yaml:"url" doc:"What to ask by GET. Redirects are not followed." example:"http://shop:8080/health"`
	Status     []int                      `yaml:"status" doc:"Statuses that are good; by default 200 to 399." example:"[200, 204]"`
	Contains   string                     `yaml:"contains" doc:"What the first 64 KiB of the answer must have in them."`
	Headers    map[string]pipeline.Secret `yaml:"headers" doc:"Headers to send." example:"{Authorization: Bearer TOKEN}"`
	SkipVerify bool                       `yaml:"skip_verify" doc:"Take any certificate."`
	TLS        tlsfiles.Client            `yaml:"tls" doc:"Certificates for https; the files are read for every check."`
}

// Process is a check for a process.
type Process struct {
	Name    string `yaml:"name" doc:"Name of the program, as ps -e shows it." example:"nginx"`
	PIDFile string `yaml:"pid_file" doc:"File that has the number of the process." example:"/run/nginx.pid"`
	Proc    string `yaml:"proc" doc:"Where /proc is: in a container, where that of the host is mounted." default:"/proc" example:"/host/proc"`
}

// Containers is a check of containers.
type Containers struct {
	Names []string `yaml:"names" doc:"Names of containers that run and have a health check; * stands for any characters." example:"[shop-*]"`
}

// Docker is how the engine is reached.
type Docker struct {
	Host string        `yaml:"host" doc:"Address of the Docker Engine; by default DOCKER_HOST, or else unix:///var/run/docker.sock."`
	TLS  dockerapi.TLS `yaml:"tls" doc:"For an engine that listens on TCP with TLS; by default DOCKER_CERT_PATH and DOCKER_TLS_VERIFY."`
}

// Action is what is done when something is down.
type Action struct {
	Restart   bool              `yaml:"restart" doc:"Restart the container, if it runs and has the label longshore.restart: \"true\". Only then is anything but GET sent to the engine, and nothing but this."`
	Container string            `yaml:"container" doc:"Name of the container to restart; with containers it is the one that is down." example:"shop-api-1"`
	Command   []string          `yaml:"command" doc:"Run a program, with its arguments, without a shell. Its environment has PATH, LONGSHORE_PROBE and LONGSHORE_TARGET." example:"[/usr/local/bin/page-me, shop]"`
	Timeout   pipeline.Duration `yaml:"timeout" doc:"How long an action may take." default:"1m" min:"1s" max:"1h"`
	Max       int               `yaml:"max" doc:"How many actions there are within the window at most, over restarts of the agent too." default:"3" min:"1" max:"100"`
	Window    pipeline.Duration `yaml:"window" doc:"See max." default:"1h" min:"1m" max:"7d"`
	Backoff   pipeline.Duration `yaml:"backoff" doc:"Pause after an action until the next one; it doubles while nothing gets better." default:"1m" min:"1s" max:"1d"`
}

func (a *Action) on() bool { return a.Restart || len(a.Command) > 0 }

// Spec describes the probe input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "probe",
		Summary: "Checks a URL, an address, a process or the health of containers, and makes records of changes.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	add := func(path, message string) {
		problems = append(problems, pipeline.Problem{Path: path, Message: message})
	}
	kinds := 0
	for _, set := range []bool{c.HTTP.URL != "", c.TCP != "", c.Process.Name+c.Process.PIDFile != "",
		len(c.Containers.Names) > 0} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		add("", "must have one of http.url, tcp, process.name (or process.pid_file) and containers.names")
	}
	if u, err := url.Parse(c.HTTP.URL); c.HTTP.URL != "" &&
		(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		add("http.url", "is no URL; write it like http://shop:8080/health")
	}
	if c.HTTP.SkipVerify && c.HTTP.TLS != (tlsfiles.Client{}) {
		add("http.skip_verify", "makes tls useless; take one of them out")
	}
	problems = append(problems, c.HTTP.TLS.Check("http.tls")...)
	if _, port, err := net.SplitHostPort(c.TCP); c.TCP != "" && (err != nil || port == "") {
		add("tcp", "is no address; write it like db:5432")
	}
	if c.Process.Name != "" && c.Process.PIDFile != "" {
		add("process", "has a name and a pid_file; remove one of them")
	}
	if !filepath.IsAbs(c.Process.Proc) {
		add("process.proc", "must be an absolute path, such as /host/proc")
	}
	return append(append(problems, c.checkAction()...), dockerapi.Check(c.Docker.Host, c.Docker.TLS)...)
}

func (c *Config) checkAction() (problems []pipeline.Problem) {
	a, byContainer := c.Action, len(c.Containers.Names) > 0
	add := func(path, message string) {
		problems = append(problems, pipeline.Problem{Path: path, Message: message})
	}
	switch {
	case a.Restart && len(a.Command) > 0:
		add("on_failure", "has restart and command; remove one of them")
	case a.Restart && !byContainer && a.Container == "":
		add("on_failure.container", "must name the container to restart")
	case a.Container != "" && !a.Restart:
		add("on_failure.container", "does nothing without restart; set restart: true, or remove this")
	case a.Container != "" && byContainer:
		add("on_failure.container", "is for restart where something else than containers is probed; remove it")
	case len(a.Command) > 0 && !filepath.IsAbs(a.Command[0]):
		add("on_failure.command", "must begin with the absolute path of a program")
	}
	return problems
}

// what says what is probed, without secrets.
func (c *Config) what() string {
	switch {
	case c.HTTP.URL != "":
		u, _ := url.Parse(c.HTTP.URL) // it was checked
		u.User, u.RawQuery = nil, ""
		return u.String()
	case c.TCP != "":
		return c.TCP
	case c.Process.Name != "":
		return "process " + c.Process.Name
	case c.Process.PIDFile != "":
		return "process of " + c.Process.PIDFile
	}
	return "containers " + strings.Join(c.Containers.Names, ", ")
}
