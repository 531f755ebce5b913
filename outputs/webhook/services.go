package webhook

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// slackText bounds a message: Slack cuts those that are longer than 4,000 characters.
const slackText = 3500

type slack struct {
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color     string   `json:"color"`
	Fallback  string   `json:"fallback"`
	Text      string   `json:"text"`
	TitleLink string   `json:"title_link,omitempty"`
	Title     string   `json:"title,omitempty"`
	Footer    string   `json:"footer,omitempty"`
	Time      int64    `json:"ts"`
	Markdown  []string `json:"mrkdwn_in"`
}

// slackEscapes takes the meaning from what would mention people or make links: see "Escaping text"
// in api.slack.com/reference/surfaces/formatting.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackEscape returns text with Slack's escapes in at most limit bytes, none of them cut.
func slackEscape(text string, limit int) string {
	if escaped := slackEscapes.Replace(text); len(escaped) <= limit {
		return escaped
	}
	var short strings.Builder
	for _, c := range text {
		next := slackEscapes.Replace(string(c))
		if short.Len()+len(next)+len(" …") > limit {
			break
		}
		short.WriteString(next)
	}
	return short.String() + " …"
}

// slackMessage returns a message as an attachment, which has a colour:
// api.slack.com/reference/messaging/attachments.
func slackMessage(r record, text event.Template) slack {
	says := slackEscape(r.text(text, slackText), slackText)
	a := slackAttachment{Color: slackColor(r), Fallback: says, Text: says, Footer: slackEscapes.Replace(r.origin()),
		Time: r.time().Unix(), Markdown: []string{}}
	if link := r.field(fieldLink); link != "" {
		a.Title, a.TitleLink = "Open in Longshore", link
	}
	return slack{[]slackAttachment{a}}
}

func slackColor(r record) string {
	switch {
	case r.isResolved():
		return "good"
	case r.level() >= event.Error:
		return "danger"
	case r.level() == event.Warn:
		return "warning"
	}
	return "#7a8794"
}

// origin returns where a record is from: its service and host, as far as they are known.
func (r record) origin() string {
	var known []string
	for _, name := range []string{event.LabelService, event.LabelHost} {
		if value := r.field(name); value != "" {
			known = append(known, strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	return shorten(strings.Join(known, " · "), 200)
}

// pagerDutyText is the longest summary: developer.pagerduty.com, "Send an Alert Event".
const pagerDutyText = 1024

type pagerDutyRequest struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	Key        string            `json:"dedup_key"`
	Client     string            `json:"client"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
	Links      []pagerDutyLink   `json:"links,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string          `json:"summary"`
	Source    string          `json:"source"`
	Severity  string          `json:"severity"`
	Timestamp string          `json:"timestamp"`
	Details   json.RawMessage `json:"custom_details"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// maxDetails bounds the record in an event: one of more than 512 KB is rejected.
const maxDetails = 64 << 10

func pagerDutyEvent(r record, text event.Template, routingKey string) pagerDutyRequest {
	e := pagerDutyRequest{RoutingKey: routingKey, Action: "trigger", Key: r.key(), Client: "Longshore"}
	if r.isResolved() {
		e.Action = "resolve"
		return e
	}
	e.Payload = &pagerDutyPayload{
		Summary:   r.text(text, pagerDutyText),
		Source:    r.origin(),
		Severity:  severity(r.level()),
		Timestamp: r.time().Format(time.RFC3339Nano),
		Details:   json.RawMessage(r.json),
	}
	if e.Payload.Source == "" {
		e.Payload.Source = "unknown"
	}
	if len(r.json) > maxDetails || !json.Valid(e.Payload.Details) {
		e.Payload.Details = appendJSON(nil, shorten(strings.ToValidUTF8(r.json, "\uFFFD"), maxDetails))
	}
	if link := r.field(fieldLink); link != "" {
		e.Links = []pagerDutyLink{{link, "Open in Longshore"}}
	}
	return e
}

// severity returns the word that PagerDuty, and alerts by custom, have for a level.
func severity(l event.Level) string {
	switch {
	case l == event.Fatal:
		return "critical"
	case l == event.Error:
		return "error"
	case l == event.Warn:
		return "warning"
	}
	return "info"
}

// alert is an alert of Alertmanager's API v2 (api/v2/openapi.yaml, postableAlert).
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt"`
	EndsAt      string            `json:"endsAt,omitempty"`
	Generator   string            `json:"generatorURL,omitempty"`
}

// alertText bounds an annotation.
const alertText = 4 << 10

// newAlert returns an alert. Its labels are what Alertmanager knows it by, so they are the same
// from firing to resolved: none of them is of the record's text.
func newAlert(r record, text event.Template) alert {
	name := r.field(fieldAlert)
	if name == "" {
		name = "log"
	}
	a := alert{
		Labels:      map[string]string{"alertname": valid(name)},
		Annotations: map[string]string{"summary": r.text(text, alertText)},
		StartsAt:    r.time().Format(time.RFC3339Nano),
		Generator:   r.field(fieldLink),
	}
	if service := r.field(event.LabelService); service != "" {
		a.Labels["service"] = valid(service)
	}
	for _, l := range r.b.Source.Labels {
		if l.Value != "" {
			a.Labels[labelName(l.Name)] = valid(l.Value)
		}
	}
	if key := r.field(fieldKey); key != "" && r.field(fieldAlert) != "" {
		a.Labels["key"] = valid(key)
	} else {
		a.Labels["severity"] = severity(r.level())
	}
	switch until, err := time.Parse(time.RFC3339, r.field(fieldUntil)); {
	case r.isResolved():
		a.EndsAt = a.StartsAt
	case err == nil && until.After(r.time()):
		a.EndsAt = until.Format(time.RFC3339Nano)
	}
	return a
}

// valid returns text as a label's value: valid UTF-8 of bounded length.
func valid(text string) string { return shorten(strings.ToValidUTF8(text, "\uFFFD"), 1024) }

// labelName returns a name as Prometheus has them: letters, digits and _, no digit first.
func labelName(name string) string {
	mapped := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '_'
	}, name)
	if mapped == "" || mapped[0] >= '0' && mapped[0] <= '9' {
		mapped = "_" + mapped
	}
	return mapped
}
