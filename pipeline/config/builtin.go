package config

import "strings"

// BuiltinName is where errors in the built-in config are said to be.
const BuiltinName = "(built-in config)"

// Builtin returns the text of the config that is used when there is none: all containers of the
// Docker socket (those that were there before the agent from their last lines on), to the
// destinations that the environment names, or to standard output. It names the variables and holds
// none of their values.
func Builtin(lookup func(string) (string, bool)) string {
	b := builtin{lookup: lookup}
	b.line("# The config that longshore uses when there is none.")
	b.line("version: 1")
	b.setting("", "data_dir", "LONGSHORE_DATA_DIR")
	if b.set("LONGSHORE_HTTP_LISTEN") || b.set("LONGSHORE_HTTP_TOKEN") {
		b.line("http:")
		b.setting("  ", "listen", "LONGSHORE_HTTP_LISTEN")
		b.setting("  ", "token", "LONGSHORE_HTTP_TOKEN")
	}
	b.line("inputs:")
	b.line("  containers:")
	b.line("    type: docker")
	b.line("    read_from: tail # what is running already: from now on, and its last ten lines")
	b.line("outputs:")
	if outputs := EnvOutputs(lookup); outputs != "" {
		b.text.WriteString(outputs)
	} else {
		b.line("  stdout:")
		b.line("    type: stdout")
		b.line("recent: on")
	}
	return b.text.String()
}

// EnvOutputs returns the outputs that the environment names, as what stands below "outputs:", or
// "". It names the variables and holds none of their values.
func EnvOutputs(lookup func(string) (string, bool)) string {
	b := builtin{lookup: lookup}
	b.loki()
	b.elasticsearch()
	return b.text.String()
}

// Default reads the built-in config. The error is an Errors.
func (l Loader) Default() (*Config, error) {
	lookup := l.LookupEnv
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return l.Load(BuiltinName, []byte(Builtin(lookup)))
}

type builtin struct {
	lookup func(string) (string, bool)
	text   strings.Builder
}

func (b *builtin) set(name string) bool {
	value, _ := b.lookup(name)
	return value != ""
}

func (b *builtin) line(s string) { b.text.WriteString(s + "\n") }

// setting writes a setting if its variable is set.
func (b *builtin) setting(indent, name, variable string) {
	if b.set(variable) {
		b.line(indent + name + ": ${" + variable + "}")
	}
}

func (b *builtin) loki() {
	if !b.set("LONGSHORE_LOKI_URL") {
		return
	}
	b.line("  loki:")
	b.line("    type: loki")
	b.setting("    ", "url", "LONGSHORE_LOKI_URL")
	b.setting("    ", "tenant_id", "LONGSHORE_LOKI_TENANT")
	b.auth("LONGSHORE_LOKI")
}

func (b *builtin) elasticsearch() {
	const prefix = "LONGSHORE_ELASTICSEARCH"
	if !b.set(prefix + "_URL") {
		return
	}
	b.line("  elasticsearch:")
	b.line("    type: elasticsearch")
	b.line("    urls:")
	b.line("      - ${" + prefix + "_URL}")
	b.setting("    ", "index", prefix+"_INDEX")
	b.setting("    ", "api_key", prefix+"_API_KEY")
	b.auth(prefix)
	if b.set(prefix + "_CA_FILE") {
		b.line("    tls:")
		b.setting("      ", "ca_file", prefix+"_CA_FILE")
	}
}

// auth writes who we are, if that is in the environment.
func (b *builtin) auth(prefix string) {
	if !b.set(prefix+"_USERNAME") && !b.set(prefix+"_PASSWORD") {
		return
	}
	b.line("    auth:")
	b.setting("      ", "username", prefix+"_USERNAME")
	b.setting("      ", "password", prefix+"_PASSWORD")
}
