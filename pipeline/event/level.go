package event

// Level is a record's severity, one of six; 0 where none was found.
type Level uint8

const (
	NoLevel Level = iota
	Trace
	Debug
	Info
	Warn
	Error
	Fatal
)

var levelNames = [...]string{"", "trace", "debug", "info", "warn", "error", "fatal"}

// String returns the level's name, "" for NoLevel.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return ""
}

// LevelNames lists the six names, from trace to fatal.
func LevelNames() []string { return append([]string(nil), levelNames[1:]...) }

// LevelNamed returns the level with exactly this name, or NoLevel. Parsers know
// many more spellings; this one is for configs.
func LevelNamed(name string) Level {
	for i, n := range levelNames {
		if n == name {
			return Level(i)
		}
	}
	return NoLevel
}
