package importer

import (
	"path/filepath"
	"regexp"
	"strings"
)

var (
	alloyBlock = regexp.MustCompile(`(?m)^(loki|local|discovery|prometheus|otelcol|remote|declare|mimir|pyroscope|` +
		`beyla|faro|database_observability)(\.[a-z0-9_]+)+\s+"[^"\n]*"\s*\{|^(logging|livedebugging|tracing)\s*\{`)
	fluentSection = regexp.MustCompile(`(?mi)^[ \t]*\[(INPUT|OUTPUT|FILTER|SERVICE|PARSER|MULTILINE_PARSER)\][ \t]*$`)
	tomlTable     = regexp.MustCompile(`(?m)^[ \t]*\[\[?[ \t]*["A-Za-z_][^\]\n]*\]\]?[ \t]*(#.*)?$`)
	tomlSetting   = regexp.MustCompile(`(?m)^[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=[ \t]*["'\[{0-9tf]`)
	vectorTable   = regexp.MustCompile(`(?m)^[ \t]*\[(sources|sinks|transforms)\.[^\]\n]+\]`)
)

// Recognise returns the tool that a config is of, by its content, or "".
func Recognise(name, text string) Tool {
	switch {
	case len(text) > MaxConfig:
		return ""
	case alloyBlock.MatchString(text):
		return Alloy
	case fluentSection.MatchString(text):
		return FluentBit
	case vectorTable.MatchString(text):
		return Vector
	}
	root, err := parseYAML(name, text)
	if err != nil {
		return ""
	}
	return recogniseYAML(root)
}

func recogniseYAML(root *node) Tool {
	has := func(names ...string) bool {
		for _, name := range names {
			if !root.has(name) {
				return false
			}
		}
		return true
	}
	switch {
	case has("inputs", "outputs"):
		return "" // Longshore's own
	case has("scrape_configs") && (has("clients") || has("client") || has("positions") || has("server") ||
		strings.Contains(filepath.Base(root.file), "promtail")), has("clients", "positions"):
		return Promtail
	case has("receivers") && (has("exporters") || has("service")):
		return Otelcol
	case has("sources", "sinks"):
		return Vector
	case root.at("pipeline.inputs") != nil || root.at("pipeline.outputs") != nil:
		return FluentBit
	}
	for _, e := range root.maps() {
		if strings.HasPrefix(e.name, "filebeat.") || e.name == "filebeat" {
			return Filebeat
		}
	}
	if root.at("output.elasticsearch") != nil || root.at("output.logstash") != nil {
		return Filebeat
	}
	return ""
}

// IsTOML reports whether a text looks like TOML, and not like YAML.
func IsTOML(text string) bool {
	if len(text) > MaxConfig || !tomlTable.MatchString(text) && !tomlSetting.MatchString(text) {
		return false
	}
	_, err := parseTOML("", text)
	return err == nil
}
