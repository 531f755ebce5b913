package importer

import (
	"regexp"
	"slices"
	"strings"
)

// dockerMeta are the labels of Prometheus' discovery of containers, and what Longshore calls them.
var dockerMeta = map[string]string{
	"__meta_docker_container_name":                             "container.name",
	"__meta_docker_container_id":                               "container.id",
	"__meta_docker_container_log_stream":                       "stream",
	"__container_id__":                                         "container.id",
	"__meta_docker_container_label_com_docker_compose_service": "compose.service",
	"__meta_docker_container_label_com_docker_compose_project": "compose.project",
	"__path__":     "filename",
	"filename":     "filename",
	"__hostname__": "host.name",
}

const containerLabel = "__meta_docker_container_label_"

var (
	wholeValue = regexp.MustCompile(`^(\(\.[*+]\)|\^?/\(\.[*+]\)\$?|\^?/\?\(\.[*+]\)\$?)?$`)
	someNames  = regexp.MustCompile(`^\^?/?\(?([A-Za-z0-9_.|*-]+)\)?\$?$`)
)

// relabel converts a rule of relabel_configs, or of Alloy's discovery.relabel. in is the input of
// the containers, nil for files.
func (f *flow) relabel(rule *node, in *section) {
	c := f.c
	action := rule.get("action").raw()
	var sources []string
	for _, s := range rule.get("source_labels").list() {
		sources = append(sources, s.text)
	}
	target, regex := rule.get("target_label").raw(), rule.get("regex").raw()
	replacement := rule.get("replacement")
	switch {
	case action == "keep" || action == "drop":
		f.choose(rule, in, action, sources, regex)
	case action != "" && action != "replace":
		c.left(rule, "rules with the action %s are not converted; name the labels under labels of the output", action)
	case len(sources) == 0 && replacement != nil && !strings.Contains(replacement.text, "$"):
		f.static[target] = c.text(replacement)
		f.labels[target] = template(target)
		c.done(rule)
	case strings.HasPrefix(target, "__"):
		f.internal(rule, target)
	case len(sources) != 1 || !wholeValue.MatchString(regex) ||
		replacement != nil && replacement.text != "$1" && replacement.text != "${1}":
		c.left(rule, "only rules that copy one label as a whole are converted; a label of the output can be put "+
			"together: "+
			"{compose.project}/{compose.service}")
	default:
		f.copied(rule, sources[0], target)
	}
}

// copied converts a rule that copies a label.
func (f *flow) copied(rule *node, source, target string) {
	switch name := firstOf(dockerMeta[source], hostMeta[source]); {
	case name == "container.id":
		f.c.left(rule, "would be a stream for every container; Longshore sends container_id beside the line")
	case name != "":
		f.labels[target] = template(name)
		f.c.done(rule)
	case f.labels[source] != "":
		f.labels[target] = f.labels[source]
		f.c.done(rule)
	case strings.HasPrefix(source, containerLabel):
		f.c.left(rule, "a container's own labels are not labels of its records; those that Longshore knows are "+
			"listed in "+
			"docs/docker.md")
	default:
		f.c.left(rule, "Longshore does not know the label %s", source)
	}
}

// internal converts rules for labels that only the discovery uses.
func (f *flow) internal(rule *node, target string) {
	if target == "__path__" {
		f.c.skip(rule, "the paths of pods' logs are the same on every node: see the input's paths")
		return
	}
	f.c.left(rule, "Longshore has no label %s", target)
}

// choose converts rules that keep or drop containers.
func (f *flow) choose(rule *node, in *section, action string, sources []string, regex string) {
	c := f.c
	list := map[string]string{"keep": "include", "drop": "exclude"}[action]
	if in == nil || len(sources) != 1 {
		c.left(rule, "only rules for one label of containers choose what is read; use paths and exclude for files")
		return
	}
	source := sources[0]
	names := someNames.FindStringSubmatch(regex)
	key, isLabel := strings.CutPrefix(source, containerLabel)
	var setting string
	var values []string
	switch {
	case source == "__meta_docker_container_name" && names != nil:
		setting, values = "names", strings.Split(names[1], "|")
	case isLabel && key == "com_docker_compose_service" && names != nil:
		setting, values = "services", strings.Split(names[1], "|")
	case isLabel && key == "com_docker_compose_project" && names != nil:
		setting, values = "projects", strings.Split(names[1], "|")
	case isLabel && (regex == ".+" || regex == "(.+)"):
		setting, values = "labels", []string{key}
	case isLabel && names != nil && !strings.Contains(names[1], "*"):
		for v := range strings.SplitSeq(names[1], "|") {
			values = append(values, key+"="+v)
		}
		setting = "labels"
	default:
		c.left(rule, "only names, or a label with one of several values, choose containers; set include and "+
			"exclude of "+
			"the input")
		return
	}
	for i, v := range values {
		values[i] = strings.ReplaceAll(strings.ReplaceAll(v, ".*", "*"), ".+", "*")
	}
	if below := in.fields.sub(list); list == "include" && below.has(setting) {
		c.left(rule, "a second rule for the same must hold too, and include takes what one of a list takes")
		return
	}
	c.done(rule)
	in.fields.setIn(list, setting, appended(in.fields.sub(list), setting, values))
	if setting == "labels" && strings.Contains(key, "_") {
		c.note(rule, Differs, "the label is taken to be %q, as Prometheus writes dots and dashes as _; correct it "+
			"if it has "+
			"others", dotted(key))
		for i, v := range values {
			values[i] = strings.Replace(v, key, dotted(key), 1)
		}
	}
}

// dotted guesses a container's label from what Prometheus calls it.
func dotted(key string) string {
	if head, _, _ := strings.Cut(key, "_"); slices.Contains([]string{"com", "org", "io", "net", "dev"}, head) {
		return strings.ReplaceAll(key, "_", ".")
	}
	return key
}

func appended(fs fields, name string, values []string) []string {
	for _, f := range fs {
		if old, ok := f.value.([]string); ok && f.name == name {
			return append(old, values...)
		}
	}
	return values
}
