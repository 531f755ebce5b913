package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// sourceOptions are what the labels of a source say of how it is read, by name.
type sourceOptions map[string]string

// splitOptions separates the options from the other labels.
func splitOptions(labels []event.Label) (rest []event.Label, o sourceOptions) {
	o = sourceOptions{}
	for _, l := range labels {
		if l.Name == pipeline.OptionWrapped || slices.Contains(pipeline.SourceOptions[:], l.Name) {
			o[l.Name] = l.Value
		} else {
			rest = append(rest, l)
		}
	}
	return rest, o
}

// pipelines returns those of all that the options name, or else those of the input.
func (o sourceOptions) pipelines(ofInput, all []*sharedPipeline) ([]*sharedPipeline, error) {
	if o[pipeline.OptionPipeline] == "" {
		return ofInput, nil
	}
	var chosen []*sharedPipeline
	for name := range strings.SplitSeq(o[pipeline.OptionPipeline], ",") {
		k := slices.IndexFunc(all, func(p *sharedPipeline) bool { return p.name == strings.TrimSpace(name) })
		if k < 0 {
			return ofInput, fmt.Errorf("the label %s: there is no pipeline %q", pipeline.OptionPipeline, name)
		}
		if !slices.Contains(chosen, all[k]) {
			chosen = append(chosen, all[k])
		}
	}
	return chosen, nil
}

// parsing returns a pipeline's parsing as the options change it. What cannot be done stays as it
// was, and is the error.
func (o sourceOptions) parsing(of *parsing, named map[string]parserFactory, cfg *config.Config) (*parsing, error) {
	wrapped := o[pipeline.OptionWrapped]
	if len(o) == 0 || len(o) == 1 && wrapped != "" {
		return of, nil
	}
	p := *of
	if name := o[pipeline.OptionParser]; name != "" {
		parser, err := parserNamed(name, named, cfg)
		if err != nil {
			return of, err
		}
		if p, err = behind(wrapped, parser, cfg); err != nil {
			return of, err
		}
	}
	if level := o[pipeline.OptionLevel]; level != "" {
		if p.lowestLevel = event.LevelNamed(strings.ToLower(level)); p.lowestLevel == event.NoLevel {
			return &p, fmt.Errorf("the label %s: there is no level %q; it is one of %s",
				pipeline.OptionLevel, level, strings.Join(event.LevelNames(), ", "))
		}
	}
	return &p, o.setJoiner(&p, cfg)
}

// behind returns what a parser does with the text in lines that another takes apart first; with the
// lines, where that is "".
func behind(wrapped string, parser parserFactory, cfg *config.Config) (parsing, error) {
	if wrapped == "" {
		return *newParsing([]parserFactory{parser}), nil
	}
	outer, err := parserOfType(wrapped, map[string]string{"inner": "false"}, cfg)
	if err != nil {
		return parsing{}, err
	}
	if parser.settings.Field == "" {
		parser.settings.Field = messageField
	}
	if parser.newJoiner != nil {
		outer.newJoiner, outer.limits = parser.newJoiner, parser.limits
	}
	return *newParsing([]parserFactory{outer, parser}), nil
}

// noLine is a pattern that no line matches.
const noLine = `[^\s\S]`

func (o sourceOptions) setJoiner(p *parsing, cfg *config.Config) error {
	settings := map[string]string{}
	switch multiline := o[pipeline.OptionMultiline]; multiline {
	case "":
		return nil
	case "false":
		if o[pipeline.OptionWrapped] == "" {
			p.newJoiner = nil
			return nil
		}
		settings["continue_pattern"] = noLine // parts of a line go together all the same
	case "auto", "true":
		settings["mode"] = "auto"
	default:
		settings["start_pattern"] = multiline
	}
	parser, err := parserOfType("multiline", settings, cfg)
	if err != nil {
		return fmt.Errorf("the label %s is neither false nor auto, and no pattern: %w", pipeline.OptionMultiline, err)
	}
	p.newJoiner, p.limits = parser.newJoiner, parser.limits
	return nil
}

// parserNamed returns a parser of the config, or of a type that needs no settings.
func parserNamed(name string, named map[string]parserFactory, cfg *config.Config) (parserFactory, error) {
	if p, ok := named[name]; ok {
		return p, nil
	}
	p, err := parserOfType(name, nil, cfg)
	if err != nil {
		return p, fmt.Errorf("the label %s: there is no parser %q in the config, "+
			"and no type of that name that needs no settings", pipeline.OptionParser, name)
	}
	return p, nil
}

func parserOfType(name string, settings map[string]string, cfg *config.Config) (parserFactory, error) {
	c, err := cfg.Parser(name, settings)
	if err != nil {
		return parserFactory{}, err
	}
	return newParserFactory(c)
}
