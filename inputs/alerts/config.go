package alerts

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/condition"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the input's settings.
type Config struct {
	Rules map[string]pipeline.Alert `yaml:"rules" doc:"The alerts of the section alerts, at the top of the config; write them there."`
	Page  string                    `yaml:"page" doc:"Where people reach the page: http.url."`
}

var (
	_ pipeline.AlertsConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "alerts",
		Summary: "Counts the records of all other inputs and says what rings; made of the section alerts.",
		Traits:  pipeline.Traits{Observes: true},
		New:     func() any { return new(Config) },
	}
}

// SetAlerts implements pipeline.AlertsConfig.
func (c *Config) SetAlerts(alerts map[string]pipeline.Alert, page string) {
	c.Rules, c.Page = alerts, page
}

// maxAlerts bounds the alerts of a config: each is a condition for every record.
const maxAlerts = 200

// Check implements pipeline.Checker.
func (c *Config) Check() (problems []pipeline.Problem) {
	if len(c.Rules) > maxAlerts {
		problems = append(problems, pipeline.Problem{Message: fmt.Sprintf("there are more than %d alerts", maxAlerts)})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Rules)) {
		alert := c.Rules[name]
		for _, p := range checkAlert(&alert) {
			p.Path = "rules." + name + dotted(p.Path)
			problems = append(problems, p)
		}
	}
	return problems
}

func dotted(path string) string {
	if path == "" {
		return ""
	}
	return "." + path
}

func checkAlert(a *pipeline.Alert) (problems []pipeline.Problem) {
	add := func(path, message string) {
		problems = append(problems, pipeline.Problem{Path: path, Message: message})
	}
	if a.If != "" {
		_, err := condition.Compile(a.If)
		if wrong, ok := errors.AsType[*condition.Error](err); ok {
			problems = append(problems, pipeline.Problem{Path: "if", Message: wrong.Message, Column: wrong.Column})
		}
	}
	switch {
	case a.AtLeast > 0 && a.Below > 0:
		add("below", "cannot be set beside at_least; make two alerts of it")
	case a.Unusual.Deviations > 0 && a.Below > 0:
		add("below", "cannot be set beside unusual; make two alerts of it")
	case a.Unusual.Deviations > 0 && a.AtLeast > 0 && a.Unusual.Direction == directionFewer:
		add("at_least", "cannot be had where fewer records than usual ring; remove it")
	}
	if len(a.By) > maxBy {
		add("by", fmt.Sprintf("has more than %d names", maxBy))
	}
	for i, name := range a.By {
		if name == "" || slices.Contains(a.By[:i], name) {
			add(fmt.Sprintf("by[%d]", i), "is empty, or there before")
		}
	}
	if _, err := parseText(a.Text, a.By); err != nil {
		add("text", err.Error())
	}
	for i, s := range a.Silences {
		if _, path, err := newSilence(s); err != nil {
			add(fmt.Sprintf("silences[%d]%s", i, dotted(path)), err.Error())
		}
	}
	return problems
}

// maxBy bounds the names by which an alert is grouped.
const maxBy = 8

// parseText reads the text of an alert, which may name what a conclusion has.
func parseText(text string, by []string) (event.Template, error) {
	parsed, err := event.ParseTemplate(text)
	if err != nil {
		return nil, err
	}
	for _, part := range parsed {
		if part.Field != "" && !slices.Contains(textNames, part.Field) && !slices.Contains(by, part.Field) {
			return nil, fmt.Errorf("has no {%s}: there are %v, and the names of by", part.Field, textNames)
		}
	}
	return parsed, nil
}
