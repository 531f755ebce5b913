package event

// Format is what a parser took a line for. It is written where people ask why a
// line was understood as it was.
type Format uint8

// The formats that need more than a name of their own here are documented with
// their parsers.
const (
	FormatNone Format = iota // no parser took it
	FormatJSON
	FormatLogfmt
	FormatAccess // nginx, Apache and their like
	FormatSyslog
	FormatText // text with a head that was understood
	formats
)

var formatNames = [formats]string{"none", "json", "logfmt", "access", "syslog", "text"}

// String gives the format's name.
func (f Format) String() string {
	if f >= formats {
		return "unknown"
	}
	return formatNames[f]
}
