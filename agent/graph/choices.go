package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// taking is how lines become records.
type taking struct {
	parsers   *chains
	newJoiner pipeline.NewJoiner // nil: lines stay as they are
	limits    pipeline.JoinLimits
	least     event.Level // records below it are dropped
}

// newTaking is what parsers do, of which the first that joins lines does so.
func newTaking(parsers []parserOf) *taking {
	t := &taking{parsers: &chains{parsers: parsers}}
	for _, p := range parsers {
		if t.newJoiner == nil {
			t.newJoiner, t.limits = p.newJoiner, p.limits
		}
	}
	return t
}

// choices are what the labels of a source say of how it is taken, by name.
type choices map[string]string

// choose takes the choices out of labels.
func choose(labels []event.Label) (rest []event.Label, c choices) {
	c = choices{}
	for _, l := range labels {
		if slices.Contains(pipeline.SourceOptions[:], l.Name) {
			c[l.Name] = l.Value
		} else {
			rest = append(rest, l)
		}
	}
	return rest, c
}

// pipelines gives those that are chosen, of all, or else those of the input.
func (c choices) pipelines(of, all []*pipelineOf) ([]*pipelineOf, error) {
	if c[pipeline.OptionPipeline] == "" {
		return of, nil
	}
	var chosen []*pipelineOf
	for name := range strings.SplitSeq(c[pipeline.OptionPipeline], ",") {
		k := slices.IndexFunc(all, func(p *pipelineOf) bool { return p.name == strings.TrimSpace(name) })
		if k < 0 {
			return of, fmt.Errorf("the label %s: there is no pipeline %q", pipeline.OptionPipeline, name)
		}
		if !slices.Contains(chosen, all[k]) {
			chosen = append(chosen, all[k])
		}
	}
	return chosen, nil
}

// taking gives a pipeline's way of taking lines, or a changed one if that is chosen. What
// cannot be done stays as it was, and is the error.
func (c choices) taking(of *taking, named map[string]parserOf, types *config.Config) (*taking, error) {
	if len(c) == 0 {
		return of, nil
	}
	t := *of
	if name := c[pipeline.OptionParser]; name != "" {
		p, err := parserNamed(name, named, types)
		if err != nil {
			return of, err
		}
		t = *newTaking([]parserOf{p})
	}
	if level := c[pipeline.OptionLevel]; level != "" {
		if t.least = event.LevelNamed(strings.ToLower(level)); t.least == event.NoLevel {
			return &t, fmt.Errorf("the label %s: there is no level %q; it is one of %s", pipeline.OptionLevel, level, strings.Join(event.LevelNames(), ", "))
		}
	}
	return &t, c.joining(&t, types)
}

// joining sets how lines are joined.
func (c choices) joining(t *taking, types *config.Config) error {
	settings := map[string]string{}
	switch how := c[pipeline.OptionMultiline]; how {
	case "":
		return nil
	case "false":
		t.newJoiner = nil
		return nil
	case "auto", "true":
		settings["mode"] = "auto"
	default:
		settings["start_pattern"] = how
	}
	joins, err := parserOfType("multiline", settings, types)
	if err != nil {
		return fmt.Errorf("the label %s is neither false nor auto, and no pattern: %w", pipeline.OptionMultiline, err)
	}
	t.newJoiner, t.limits = joins.newJoiner, joins.limits
	return nil
}

// parserNamed returns a parser of the config, or of a type that needs no settings.
func parserNamed(name string, named map[string]parserOf, types *config.Config) (parserOf, error) {
	if p, ok := named[name]; ok {
		return p, nil
	}
	p, err := parserOfType(name, nil, types)
	if err != nil {
		return p, fmt.Errorf("the label %s: there is no parser %q in the config, and no type of that name that needs no settings",
			pipeline.OptionParser, name)
	}
	return p, nil
}

func parserOfType(name string, settings map[string]string, types *config.Config) (parserOf, error) {
	c, err := types.Parser(name, settings)
	if err != nil {
		return parserOf{}, err
	}
	return newParserOf(c)
}
