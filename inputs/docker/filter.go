package docker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// backends are the repositories of images that store or show logs. Following them makes a loop, as
// they log about the logs that they receive.
var backends = []string{
	"grafana/loki", "grafana/grafana", "grafana/grafana-oss", "grafana/grafana-enterprise",
	"bitnami/grafana", "bitnami/grafana-loki",
	"elasticsearch", "library/elasticsearch", "elasticsearch/elasticsearch",
	"elasticsearch/elasticsearch-wolfi", "bitnami/elasticsearch",
	"kibana", "library/kibana", "kibana/kibana", "kibana/kibana-wolfi", "bitnami/kibana",
	"opensearchproject/opensearch", "opensearchproject/opensearch-dashboards",
	"victoriametrics/victoria-logs",
}

// follows reports whether a container is to be followed, and if not, why.
func (c *Config) follows(ident *identity) (reason string, ok bool) {
	if strings.EqualFold(ident.labels[labelEnable], "false") {
		return "it is labelled " + labelEnable + "=false", false
	}
	if c.Exclude.matchesAny(ident) {
		return "exclude matches it", false
	}
	if !c.Include.matchesAll(ident) {
		return "include does not match it", false
	}
	if c.Backends != "include" && isBackend(ident.image) && !c.Include.names(ident) {
		return "it stores or shows logs; set backends: include to follow it", false
	}
	return "", true
}

func isBackend(image string) bool {
	return slices.Contains(backends, withoutRegistry(withoutTag(image)))
}

func withoutTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		return image[:colon]
	}
	return image
}

// withoutRegistry removes the registry, which has a dot or a port, or is localhost.
func withoutRegistry(image string) string {
	head, rest, found := strings.Cut(image, "/")
	if found && (strings.ContainsAny(head, ".:") || head == "localhost") {
		return rest
	}
	return image
}

// matchesAll reports whether each list that is not empty matches the container.
func (m *Match) matchesAll(ident *identity) bool {
	return (len(m.Names) == 0 || matchAny(m.Names, ident.name)) &&
		(len(m.Images) == 0 || m.image(ident)) &&
		(len(m.Labels) == 0 || m.label(ident)) &&
		(len(m.Projects) == 0 || matchAny(m.Projects, ident.project())) &&
		(len(m.Services) == 0 || matchAny(m.Services, ident.service()))
}

// matchesAny reports whether any list matches the container.
func (m *Match) matchesAny(ident *identity) bool {
	return matchAny(m.Names, ident.name) || m.image(ident) || m.label(ident) ||
		matchAny(m.Projects, ident.project()) || matchAny(m.Services, ident.service())
}

// names reports whether a pattern matches that does not match everything.
func (m *Match) names(ident *identity) bool {
	named := Match{Names: m.Names, Images: m.Images, Services: m.Services}
	for _, list := range []*[]string{&named.Names, &named.Images, &named.Services} {
		*list = slices.DeleteFunc(slices.Clone(*list), func(p string) bool { return strings.Trim(p, "*") == "" })
	}
	return named.matchesAny(ident)
}

func (m *Match) image(ident *identity) bool {
	bare := withoutTag(ident.image)
	return matchAny(m.Images, ident.image) || matchAny(m.Images, bare) || matchAny(m.Images, withoutRegistry(bare))
}

func (m *Match) label(ident *identity) bool {
	return slices.ContainsFunc(m.Labels, func(pattern string) bool {
		key, value, withValue := strings.Cut(pattern, "=")
		for k, v := range ident.labels {
			if pipeline.Match(key, k) && (!withValue || pipeline.Match(value, v)) {
				return true
			}
		}
		return false
	})
}

func (m *Match) check(path string) []pipeline.Problem {
	var problems []pipeline.Problem
	for _, list := range []struct {
		name     string
		patterns []string
	}{
		{"images", m.Images}, {"labels", m.Labels}, {"names", m.Names}, {"projects", m.Projects},
		{"services", m.Services},
	} {
		for i, pattern := range list.patterns {
			if pattern == "" || strings.HasPrefix(pattern, "=") {
				problems = append(problems, pipeline.Problem{
					Path:    fmt.Sprintf("%s.%s[%d]", path, list.name, i),
					Message: "this pattern is empty and matches nothing; remove it, or write * for everything",
				})
			}
		}
	}
	return problems
}

// matchAny reports whether any of the patterns matches s. A container without s ("") matches none.
func matchAny(patterns []string, s string) bool { return s != "" && pipeline.MatchAny(patterns, s) }
