package auto

import (
	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/parsers/text"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// CRISpec describes the parser of what Kubernetes' container runtimes write to
// files.
func CRISpec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindParser,
		Type:    "cri",
		Summary: "Lines as container runtimes write them for Kubernetes; what is in them is understood as auto does.",
		New:     func() any { return new(CRIConfig) },
	}
}

// CRIConfig is the config of the cri parser.
type CRIConfig struct {
	Config `yaml:",inline"`
}

// Parser implements pipeline.ParserConfig.
func (c *CRIConfig) Parser() (pipeline.NewParser, error) {
	return c.NewParser("cri", func(zone recognize.Zone) pipeline.Parser { return runtimeLines{New(zone)} })
}

// runtimeLines takes nothing but a container runtime's lines.
type runtimeLines struct{ *Parser }

// Parse implements pipeline.Parser.
func (p runtimeLines) Parse(b *event.Batch, i int) bool {
	return text.IsCRI(b.Line(i)) && p.Parser.Parse(b, i)
}
