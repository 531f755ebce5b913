// Package webhook posts records to a URL: as they are, or in the form that Slack, PagerDuty or
// Alertmanager take, or as text or an object of the user's own.
//
// All but lines and alertmanager have a request for each record. Every request carries a key that
// is the same when the record is sent again: Idempotency-Key, or that of the service's own. So a
// receiver that looks at it takes nothing twice; others may, when an answer is lost.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's settings.
type Config struct {
	URL        pipeline.Secret   `yaml:"url" doc:"Where to post. Its path and query are never shown, as they are often the key. For pagerduty it may be left out." example:"https://hooks.slack.com/services/…"`
	Format     string            `yaml:"format" default:"json" enum:"json|lines|text|slack|pagerduty|alertmanager" doc:"What a request is: json is a record as an object, lines is many records with one object on each line, text is text alone; slack is a message that Slack, Mattermost, Rocket.Chat and Discord (its URL with /slack) show; pagerduty is an event of the Events API v2; alertmanager is alerts of its API v2."`
	Text       string            `yaml:"text" default:"{message}" doc:"What people read of a record, with {field} for its fields: for text, slack, pagerduty and alertmanager." example:"\"{service}: {message}\""`
	Body       map[string]string `yaml:"body" doc:"Members of an object that is posted instead of the record, for json: values may have {field} in them." example:"{content: \"{message}\"}"`
	RoutingKey pipeline.Secret   `yaml:"routing_key" doc:"The integration key of a PagerDuty service." example:"${PAGERDUTY_KEY}"`
	httpclient.Settings
	Timeout pipeline.Duration `yaml:"timeout" default:"10s" min:"1s" max:"10m" doc:"Longest time of one request."`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
	_ pipeline.Output       = (*Output)(nil)
)

const (
	pagerDuty     = "https://events.pagerduty.com/v2/enqueue"
	alertsPath    = "/api/v2/alerts"
	maxAtOnce     = 64 // alerts in a request
	maxLinesBytes = 1 << 20
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "webhook",
		Summary: "Posts records to a URL: JSON, text, or the form of Slack, PagerDuty or Alertmanager.",
		Traits:  pipeline.Traits{ForPeople: true},
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() (problems []pipeline.Problem) {
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch raw := c.URL.Reveal(); {
	case raw == "" && c.Format != "pagerduty":
		found("url", "is missing; say where to post")
	case raw != "":
		problems = append(problems, httpclient.CheckURL("url", raw, &c.Auth)...)
	}
	if c.Format == "pagerduty" && c.RoutingKey == "" {
		found("routing_key", "is missing; it is the integration key of the PagerDuty service")
	}
	if _, err := event.ParseTemplate(c.Text); err != nil {
		found("text", "%s", err)
	}
	if len(c.Body) > 0 && c.Format != "json" {
		found("body", "is for format: json alone; take it out, or set text")
	}
	if _, bad, err := newObject(c.Body); err != nil {
		found("body."+bad, "%s", err)
	}
	settings := c.http()
	return append(problems, settings.Check()...)
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	if c.Format == "pagerduty" || c.RoutingKey == "" {
		return nil
	}
	return []pipeline.Problem{{Path: "routing_key", Message: "is for format: pagerduty alone; take it out"}}
}

func (c *Config) http() httpclient.Settings {
	settings := c.Settings
	settings.Timeout = c.Timeout
	return settings
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	target, err := httpclient.ParseURL(cmp.Or(c.URL.Reveal(), pagerDuty))
	if err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	transport, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	o := &Output{target: target, client: transport, format: c.newFormat()}
	if c.Format == "alertmanager" && strings.Trim(target.Path, "/") == "" {
		target.Path = alertsPath
	}
	return o, nil
}

// An Output posts to one URL. Config makes it.
type Output struct {
	target *url.URL
	client *httpclient.Client
	format format
}

// Limits implements pipeline.Output.
func (o *Output) Limits() pipeline.Limits {
	return pipeline.Limits{Bytes: maxLinesBytes, Records: o.format.atOnce, InOrder: true}
}

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder { return &encoder{format: o.format} }

// An item is the record as a line of JSON and, where the request is not that, what is posted of it.
type item struct{ record, posted []byte }

func itemOf(body *pipeline.Body, i int) item {
	record, posted, other := bytes.Cut(body.Item(i), []byte{'\n'})
	if !other {
		posted = record
	}
	return item{record, posted}
}

// Original implements pipeline.Output.
func (o *Output) Original(body *pipeline.Body, i int) []byte { return itemOf(body, i).record }

// Send implements pipeline.Output. Where a record has a request of its own, those behind the first
// that fails are sent again with it.
func (o *Output) Send(ctx context.Context, body *pipeline.Body) error {
	if o.format.frame != nil {
		return o.asError(o.post(ctx, o.format.frame(body), ""))
	}
	for i := range body.Items {
		err := o.post(ctx, bytes.Clone(itemOf(body, i).posted), keyOf(body, i))
		if err == nil {
			continue
		}
		return from(body, i, o.asError(err).(*pipeline.SendError))
	}
	return nil
}

// from returns what an error of item i means for a body of which those before it are stored.
func from(body *pipeline.Body, i int, e *pipeline.SendError) error {
	if i == 0 && len(body.Items) == 1 || i == 0 && e.Outcome != pipeline.Bisect && e.Outcome != pipeline.Reject {
		return e
	}
	this, rest := e.Outcome, pipeline.Retry
	switch this {
	case pipeline.Bisect, pipeline.Split:
		this = pipeline.Reject // it is alone
	case pipeline.Hold:
		rest = pipeline.Hold
	}
	for k := i; k < len(body.Items); k++ {
		e.Items = append(e.Items, pipeline.ItemError{Index: k, Outcome: rest, Status: e.Status, Reason: e.Reason})
	}
	e.Items[0].Outcome = this
	e.Outcome = pipeline.Retry
	return e
}

// post makes one request. What it posts must be its own: a transport may read it even after the
// answer.
func (o *Output) post(ctx context.Context, text []byte, key string) error {
	ctx, cancel := context.WithTimeout(ctx, o.client.Timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.target.String(), bytes.NewReader(text))
	if err != nil {
		return httpclient.RequestError(err)
	}
	req.Header.Set("Content-Type", o.format.contentType)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return httpclient.RequestError(err)
	}
	answer, _ := httpclient.ReadBody(resp) // what is there of it; the status decides
	if resp.StatusCode/100 != 2 {
		return httpclient.ResponseError(resp, answer)
	}
	return nil
}

// asError hides the path of the URL in an error of post: whoever has it may post.
func (o *Output) asError(err error) error {
	e, ok := err.(*pipeline.SendError)
	if !ok || len(o.target.Path) <= 1 {
		return err
	}
	for _, path := range []string{o.target.EscapedPath(), o.target.Path} {
		e.Reason = strings.ReplaceAll(e.Reason, path, "/…")
	}
	return e
}

// keyOf returns what item i is known by, however often it is sent.
func keyOf(body *pipeline.Body, i int) string {
	return identity(body.SourceOf(i).ID, body.Items[i].Pos)
}

func identity(source event.SourceID, pos uint64) string {
	return fmt.Sprintf("longshore-%016x-%d", uint64(source), pos)
}

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.client.CloseIdleConnections()
	return nil
}
