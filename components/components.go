// Package components is the one table of all components. Commands, examples and tests take it from
// here, so that neither the agent nor a component knows of another.
package components

import (
	"github.com/longshore/longshore/inputs/alerts"
	"github.com/longshore/longshore/inputs/docker"
	inputelasticsearch "github.com/longshore/longshore/inputs/elasticsearch"
	"github.com/longshore/longshore/inputs/exec"
	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/inputs/http"
	"github.com/longshore/longshore/inputs/journald"
	inputkafka "github.com/longshore/longshore/inputs/kafka"
	"github.com/longshore/longshore/inputs/kubernetes"
	"github.com/longshore/longshore/inputs/kubernetesevents"
	inputloki "github.com/longshore/longshore/inputs/loki"
	inputotlp "github.com/longshore/longshore/inputs/otlp"
	"github.com/longshore/longshore/inputs/probe"
	"github.com/longshore/longshore/inputs/stdin"
	"github.com/longshore/longshore/inputs/syslog"
	outputelasticsearch "github.com/longshore/longshore/outputs/elasticsearch"
	"github.com/longshore/longshore/outputs/email"
	outputfile "github.com/longshore/longshore/outputs/file"
	outputkafka "github.com/longshore/longshore/outputs/kafka"
	outputloki "github.com/longshore/longshore/outputs/loki"
	outputotlp "github.com/longshore/longshore/outputs/otlp"
	"github.com/longshore/longshore/outputs/s3"
	"github.com/longshore/longshore/outputs/splunk"
	"github.com/longshore/longshore/outputs/stdout"
	"github.com/longshore/longshore/outputs/webhook"
	"github.com/longshore/longshore/parsers/access"
	"github.com/longshore/longshore/parsers/auto"
	"github.com/longshore/longshore/parsers/cri"
	"github.com/longshore/longshore/parsers/csv"
	"github.com/longshore/longshore/parsers/grok"
	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/parsers/logfmt"
	"github.com/longshore/longshore/parsers/multiline"
	"github.com/longshore/longshore/parsers/pattern"
	"github.com/longshore/longshore/parsers/regex"
	parsersyslog "github.com/longshore/longshore/parsers/syslog"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/transforms/add"
	"github.com/longshore/longshore/transforms/dedupe"
	"github.com/longshore/longshore/transforms/drop"
	"github.com/longshore/longshore/transforms/keep"
	"github.com/longshore/longshore/transforms/metrics"
	"github.com/longshore/longshore/transforms/redact"
	"github.com/longshore/longshore/transforms/remove"
	"github.com/longshore/longshore/transforms/rename"
	"github.com/longshore/longshore/transforms/route"
	"github.com/longshore/longshore/transforms/sample"
	"github.com/longshore/longshore/transforms/throttle"
	"github.com/longshore/longshore/transforms/truncate"
)

// All returns every component, in the order in which people are shown them.
func All() []pipeline.Spec {
	return []pipeline.Spec{
		docker.Spec(),
		file.Spec(),
		kubernetes.Spec(),
		kubernetesevents.Spec(),
		syslog.Spec(),
		journald.Spec(),
		inputotlp.Spec(),
		inputkafka.Spec(),
		exec.Spec(),
		inputloki.Spec(),
		inputelasticsearch.Spec(),
		http.Spec(),
		stdin.Spec(),
		alerts.Spec(),
		probe.Spec(),

		auto.Spec(),
		json.Spec(),
		logfmt.Spec(),
		multiline.Spec(),
		pattern.Spec(),
		grok.Spec(),
		regex.Spec(),
		csv.Spec(),
		access.Spec(),
		parsersyslog.Spec(),
		cri.Spec(),

		redact.Spec(),
		add.Spec(),
		remove.Spec(),
		rename.Spec(),
		truncate.Spec(),
		drop.Spec(),
		keep.Spec(),
		sample.Spec(),
		throttle.Spec(),
		dedupe.Spec(),
		route.Spec(),
		metrics.Spec(),

		outputloki.Spec(),
		outputelasticsearch.Spec(),
		outputotlp.Spec(),
		s3.Spec(),
		splunk.Spec(),
		webhook.Spec(),
		email.Spec(),
		outputkafka.Spec(),
		stdout.Spec(),
		outputfile.Spec(),
	}
}
