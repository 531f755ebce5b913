package graph

import (
	"github.com/longshore/longshore/inputs/docker"
	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/inputs/stdin"
	"github.com/longshore/longshore/outputs/elasticsearch"
	outputfile "github.com/longshore/longshore/outputs/file"
	"github.com/longshore/longshore/outputs/loki"
	"github.com/longshore/longshore/outputs/stdout"
	"github.com/longshore/longshore/parsers/auto"
	"github.com/longshore/longshore/parsers/csv"
	"github.com/longshore/longshore/parsers/grok"
	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/parsers/logfmt"
	"github.com/longshore/longshore/parsers/pattern"
	"github.com/longshore/longshore/parsers/regex"
	"github.com/longshore/longshore/pipeline"
)

// Components lists every component there is, in the order in which people are
// shown them.
func Components() []pipeline.Spec {
	return []pipeline.Spec{
		docker.Spec(),
		file.Spec(),
		stdin.Spec(),

		auto.Spec(),
		json.Spec(),
		logfmt.Spec(),
		pattern.Spec(),
		grok.Spec(),
		regex.Spec(),
		csv.Spec(),

		loki.Spec(),
		elasticsearch.Spec(),
		stdout.Spec(),
		outputfile.Spec(),
	}
}
