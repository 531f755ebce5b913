package text

// A Form is a form of lines that a parser can be held to.
type Form uint8

// The forms that have a parser of their own.
const (
	AnyForm Form = iota
	AccessForm
	SyslogForm
)

// form reads the line as the form allows.
func (l *line) form(only Form) bool {
	switch only {
	case AccessForm:
		return l.access() || l.anyAccess()
	case SyslogForm:
		return l.syslog() || l.bareSyslog()
	}
	return l.format() || l.sought()
}
