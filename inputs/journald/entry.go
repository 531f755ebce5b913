package journald

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// maxFields bounds the fields of a record.
const maxFields = 500

// A field is one field of an entry.
type field struct {
	name, value string
	cut         bool
	member      string // of the record: "name":"value"; empty if it is none
	key         string // the member's name
}

// named are the fields of journald's own that a record has, and what they are called there.
var named = map[string]string{
	"_SYSTEMD_USER_UNIT": "user_unit", "_HOSTNAME": "hostname", "_PID": "pid", "_UID": "uid", "_COMM": "comm",
	"_TRANSPORT": "transport", "SYSLOG_IDENTIFIER": "identifier",
}

// told are fields that a record has in other ways, or that say nothing more.
var told = map[string]bool{
	"MESSAGE": true, "PRIORITY": true, "_SYSTEMD_UNIT": true, "SYSLOG_FACILITY": true, "SYSLOG_PID": true,
	"SYSLOG_TIMESTAMP": true, "SYSLOG_RAW": true,
}

// reserved are the names of a record's members that a program's own field does not get.
var reserved = []string{
	"message", "level", "service", "unit", "facility", "user_unit", "hostname", "pid", "uid", "comm", "transport",
	"identifier", "timestamp", "time",
}

// newField makes a field of NAME=value.
func newField(p []byte, cut bool, more []string) field {
	name, value, _ := bytes.Cut(p, []byte("="))
	f := field{name: string(name), value: string(value), cut: cut}
	f.key = f.keyOf(more)
	if f.key != "" {
		f.member = f.memberAs(f.key)
	}
	return f
}

func (f *field) keyOf(more []string) string {
	switch key := named[f.name]; {
	case key != "":
		return key
	case told[f.name], f.name == "":
		return ""
	case f.name[0] != '_':
		key := strings.ToLower(f.name)
		if slices.Contains(reserved, key) {
			return key + "_2"
		}
		return key
	case slices.Contains(more, f.name):
		return strings.ToLower(strings.TrimLeft(f.name, "_"))
	}
	return ""
}

func (f *field) memberAs(key string) string {
	b := append(event.AppendString(nil, key), ':')
	switch f.name {
	case "_PID", "_UID", "CODE_LINE", "ERRNO":
		if n, err := strconv.ParseUint(f.value, 10, 63); err == nil {
			return string(strconv.AppendUint(b, n, 10))
		}
	}
	return string(event.AppendString(b, f.value))
}

// An entry is one entry of the journal, as far as its fields were read.
type entry struct {
	fields []field
	keys   []string // that the record has
}

// get returns the first value of a field.
func (e *entry) get(name string) string {
	for i := range e.fields {
		if e.fields[i].name == name {
			return e.fields[i].value
		}
	}
	return ""
}

// unit returns the unit that an entry is of. What the system's manager says of a unit is the
// unit's.
func (e *entry) unit() string {
	unit := e.get("_SYSTEMD_UNIT")
	if unit == "init.scope" || e.get("_PID") == "1" {
		if about := e.get("UNIT"); about != "" {
			return about
		}
	}
	return unit
}

// service returns the best guess at the service that an entry is of.
func (e *entry) service(unit string) string {
	if name := e.get("CONTAINER_NAME"); name != "" { // by Docker's driver journald
		return name
	}
	if name, ok := strings.CutSuffix(unit, ".service"); ok {
		return name
	}
	if name := e.get("SYSLOG_IDENTIFIER"); name != "" {
		return name
	}
	return e.get("_COMM")
}

// priority returns an entry's priority, or that of info.
func (e *entry) priority() int {
	if p := e.get("PRIORITY"); len(p) == 1 && p[0] >= '0' && p[0] <= '7' {
		return int(p[0] - '0')
	}
	return 6
}

// wanted reports whether the settings let an entry through.
func (in *input) wanted(e *entry) bool {
	c := &in.config
	if e.priority() > in.lowest {
		return false
	}
	if len(c.Units) > 0 && !pipeline.MatchAny(c.Units, e.unit()) ||
		len(c.ExcludeUnits) > 0 && pipeline.MatchAny(c.ExcludeUnits, e.unit()) {
		return false
	}
	return len(c.Identifiers) == 0 || pipeline.MatchAny(c.Identifiers, e.get("SYSLOG_IDENTIFIER"))
}

// appendRecord appends an entry as a line of JSON, and reports whether its message is cut.
func (e *entry) appendRecord(dst []byte) (line []byte, cut bool) {
	e.keys = e.keys[:0]
	dst = append(dst, '{')
	for i := range e.fields {
		if f := &e.fields[i]; f.name == "MESSAGE" {
			dst = appendMember(dst, "message", f.value)
			cut = f.cut
			break
		}
	}
	if p := e.get("PRIORITY"); p != "" {
		dst = appendMember(dst, "level", levels[e.priority()])
	}
	unit := e.unit()
	if service := e.service(unit); service != "" {
		dst = appendMember(dst, "service", service)
	}
	if unit != "" {
		dst = appendMember(dst, "unit", unit)
	}
	if n, err := strconv.Atoi(e.get("SYSLOG_FACILITY")); err == nil && n >= 0 && n < len(facilities) {
		dst = appendMember(dst, "facility", facilities[n])
	}
	for i := range e.fields {
		f := &e.fields[i]
		if f.member == "" || len(e.keys) == maxFields {
			continue
		}
		member := f.member
		if n := e.times(f.key); n > 0 {
			member = f.memberAs(f.key + "_" + strconv.Itoa(n+1))
		}
		e.keys = append(e.keys, f.key)
		dst = append(comma(dst), member...)
	}
	return append(dst, '}'), cut
}

// times returns how often the record has a key by now.
func (e *entry) times(key string) (n int) {
	for _, k := range e.keys {
		if k == key {
			n++
		}
	}
	return n
}

func comma(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

func appendMember(dst []byte, key, value string) []byte {
	dst = append(append(append(comma(dst), '"'), key...), `":`...)
	return event.AppendString(dst, value)
}

// levels are those of syslog's severities.
var levels = [8]string{"fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug"}

// facilities are syslog's, as parsers name them.
var facilities = [24]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "security", "console", "solaris-cron",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}
