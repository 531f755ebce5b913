package recognize

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// levelWords are the spellings of levels as libraries write them, in lower
// case. Syslog's notice counts as info, and its crit, alert and emerg as
// fatal. The levels of java.util.logging follow SLF4J's bridge for them. It and PostgreSQL
// translate them: German, French, Spanish and Italian have words of their own.
var levelWords = newLevelWords(map[event.Level][]string{
	event.Trace: {"trace", "trc", "trce", "trac", "blat", "silly", "finest", "spam",
		"trace1", "trace2", "trace3", "trace4", "trace5", "trace6", "trace7", "trace8"},
	event.Debug: {"debug", "dbg", "dbug", "diag", "debg", "debu", "deb", "verbose", "fine", "finer", "http",
		"debug1", "debug2", "debug3", "debug4", "debug5"},
	event.Info: {"info", "inf", "information", "informational", "notice", "noti", "note", "config", "success", "log",
		"info2", "info3", "info4", "infos"},
	event.Warn: {"warn", "warning", "wrn", "warnin", "warn2", "warn3", "warn4",
		"warnung", "avertissement", "advertencia", "avvertenza"},
	event.Error: {"error", "err", "eror", "erro", "severe", "fail", "error2", "error3", "error4",
		"fehler", "schwerwiegend", "erreur", "grave"},
	event.Fatal: {"fatal", "ftl", "fata", "crit", "critical", "panic", "pani", "pnc", "dpanic", "alert", "aler",
		"emerg",
		"emer",
		"emergency",
		"fatal2", "fatal3", "fatal4"},
})

// levelLengths has a bit for the length of each level that begins with a letter: most words of
// prose are told from levels by that alone.
var levelLengths = func() (lengths [256]uint16) {
	for i := range levelWords.slots {
		if word := levelWords.slots[i].name; word != "" {
			lengths[word[0]] |= 1 << len(word)
			lengths[word[0]-'a'+'A'] |= 1 << len(word)
		}
	}
	return lengths
}()

func newLevelWords(words map[event.Level][]string) *table[event.Level] {
	t := newTable[event.Level](96)
	for level, spellings := range words {
		for _, s := range spellings {
			t.put(s, level)
		}
	}
	return t
}

// longestLevel is the length of "informational".
const longestLevel = 13

// Word returns the level that a word stands for, in any case, or NoLevel. It is for values that are
// known to be levels: by their key, or by where they stand. Serilog's "Verbose" is its lowest
// level, everyone else's is a kind of debug.
func Word(p []byte) event.Level {
	switch string(p) { // what most lines say
	case "info", "INFO":
		return event.Info
	case "debug", "DEBUG":
		return event.Debug
	case "warn", "WARN":
		return event.Warn
	case "error", "ERROR":
		return event.Error
	}
	if len(p) < 2 || len(p) > longestLevel || levelLengths[p[0]]>>len(p)&1 == 0 {
		return event.NoLevel
	}
	var buf [longestLevel]byte
	lower := toLower(&buf, p)
	level := levelWords.get(hash(lower), lower)
	if level == nil {
		return event.NoLevel
	}
	if *level == event.Debug && string(p) == "Verbose" {
		return event.Trace
	}
	return *level
}

func toLower(buf *[longestLevel]byte, p []byte) []byte {
	for i, c := range p {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	return buf[:len(p)]
}

// weakWords are spellings that are levels only where a key says so; in text
// they are words like any other.
var weakWords = newLevelWords(map[event.Level][]string{
	event.Trace: {"silly", "spam", "finest"},
	event.Debug: {"deb", "fine", "finer", "http"},
	event.Info:  {"note", "config", "success", "log"},
	event.Error: {"fail"},
})

// Strong is Word for text, where a word that stands in a level's place may yet be something else.
func Strong(p []byte) event.Level {
	level := Word(p)
	if level == event.NoLevel || len(p) > 3 && (p[0] == 'I' || p[0] == 'W' || p[0] == 'E') {
		return level // no weak word starts like INFO, WARN and ERROR
	}
	var buf [longestLevel]byte
	lower := toLower(&buf, p)
	if weakWords.get(hash(lower), lower) != nil {
		return event.NoLevel
	}
	return level
}

// Letter returns the level of glog's, Android's and Ruby's single letters.
func Letter(c byte) event.Level {
	switch c {
	case 'T', 'V', 't', 'v':
		return event.Trace
	case 'D', 'd':
		return event.Debug
	case 'I', 'N', 'i', 'n':
		return event.Info
	case 'W', 'w':
		return event.Warn
	case 'E', 'e':
		return event.Error
	case 'F', 'C', 'A', 'f', 'c', 'a':
		return event.Fatal
	}
	return event.NoLevel
}

// Syslog returns the level of a syslog severity, 0 to 7 (RFC 5424, 6.2.1).
func Syslog(severity int) event.Level {
	switch {
	case severity < 0 || severity > 7:
		return event.NoLevel
	case severity <= 2:
		return event.Fatal
	case severity == 3:
		return event.Error
	case severity == 4:
		return event.Warn
	case severity <= 6:
		return event.Info
	}
	return event.Debug
}

// LevelText returns the level that text stands for where a level stands: a word, or slog's INFO+2.
func LevelText(p []byte) event.Level { return levelText(p, formAny) }

// levelText reads a level written as text under a key that holds levels:
// a word, a letter, slog's "INFO+2", a number, with colours or blanks around.
func levelText(p []byte, form form) event.Level {
	p = bytes.TrimSpace(stripColor(p))
	if len(p) > 2 && p[0] == '[' && p[len(p)-1] == ']' {
		p = p[1 : len(p)-1]
	}
	if len(p) == 0 {
		return event.NoLevel
	}
	if level := Word(p); level != event.NoLevel {
		return level
	}
	if '0' <= p[0] && p[0] <= '9' {
		return levelNumber(p, form)
	}
	if len(p) == 1 {
		return Letter(p[0])
	}
	return levelUnusual(p, form)
}

func levelUnusual(p []byte, form form) event.Level {
	switch {
	case form == formPostgres && (string(p) == "LOG" || string(p) == "STATEMENT"):
		return event.Info
	case form == formMySQL && string(p) == "System":
		return event.Info
	case len(p) == 2 && p[0] == 'D' && '1' <= p[1] && p[1] <= '5': // MongoDB's D1 to D5
		return event.Debug
	}
	return levelOffset(p)
}

// levelOffset reads log/slog's levels between the named ones: "INFO+2" is 2,
// "DEBUG-4" is -8; the names are 4 apart, with INFO at 0.
func levelOffset(p []byte) event.Level {
	at := bytes.IndexAny(p, "+-")
	if at < 0 {
		return event.NoLevel
	}
	offset, ok := smallInt(p[at+1:])
	if !ok {
		return event.NoLevel
	}
	if p[at] == '-' {
		offset = -offset
	}
	switch string(p[:at]) {
	case "DEBUG", "DBG":
		return slogLevel(offset - 4)
	case "INFO", "INF":
		return slogLevel(offset)
	case "WARN", "WRN":
		return slogLevel(offset + 4)
	case "ERROR", "ERR":
		return slogLevel(offset + 8)
	}
	return event.NoLevel
}

func slogLevel(n int) event.Level {
	switch {
	case n < -4:
		return event.Trace
	case n < 0:
		return event.Debug
	case n < 4:
		return event.Info
	case n < 8:
		return event.Warn
	case n < 12:
		return event.Error
	}
	return event.Fatal
}

// levelNumber reads a level written as a number. The same number means
// different things under different keys.
func levelNumber(p []byte, form form) event.Level {
	n, ok := smallInt(p)
	if !ok {
		return event.NoLevel
	}
	switch form {
	case formSyslog:
		return Syslog(n)
	case formSeverity:
		if n < 8 {
			return Syslog(n)
		}
		return scale(n, severityScale)
	case formPython:
		return scale(n, pythonScale)
	case formOTel:
		return scale(n, otelScale)
	case formMySQL:
		return scale(n, mysqlScale)
	case formNextcloud:
		return scale(n, nextcloudScale)
	}
	switch {
	case n < 100:
		return scale(n, pinoScale)
	case n < 1000:
		return scale(n, monologScale)
	}
	return scale(n, logbackScale)
}

// A step says that numbers from from on are of a level, up to the next step. Numbers
// below the first step and from the last on are no level.
type step struct {
	from  int
	level event.Level
}

var (
	// pino and bunyan.
	pinoScale = []step{{10, event.Trace}, {20, event.Debug}, {30, event.Info}, {40, event.Warn}, {50, event.Error},
		{60, event.Fatal}, {70, 0}}
	// Google Cloud Logging's LogSeverity.
	severityScale = []step{{100, event.Debug}, {200, event.Info}, {400, event.Warn}, {500, event.Error},
		{600, event.Fatal}, {801, 0}}
	// PHP's Monolog.
	monologScale = []step{{100, event.Debug}, {200, event.Info}, {300, event.Warn}, {400, event.Error},
		{500, event.Fatal}, {601, 0}}
	// Python's logging.
	pythonScale = []step{{1, event.Trace}, {10, event.Debug}, {20, event.Info}, {30, event.Warn}, {40, event.Error},
		{50, event.Fatal}, {60, 0}}
	// OpenTelemetry's SeverityNumber.
	otelScale = []step{{1, event.Trace}, {5, event.Debug}, {9, event.Info}, {13, event.Warn}, {17, event.Error},
		{21, event.Fatal}, {25, 0}}
	// logback's level_value.
	logbackScale = []step{{5000, event.Trace}, {10000, event.Debug}, {20000, event.Info}, {30000, event.Warn},
		{40000, event.Error}, {50000, event.Fatal}, {50001, 0}}
	// MySQL's prio: 0 is "system".
	mysqlScale = []step{{0, event.Info}, {1, event.Error}, {2, event.Warn}, {3, event.Info}, {4, 0}}
)

// Nextcloud's and ownCloud's.
var nextcloudScale = []step{{0, event.Debug}, {1, event.Info}, {2, event.Warn}, {3, event.Error}, {4, event.Fatal},
	{5, 0}}

func scale(n int, steps []step) event.Level {
	level := event.NoLevel
	for _, s := range steps {
		if n < s.from {
			break
		}
		level = s.level
	}
	return level
}

// smallInt reads up to nine digits and nothing else.
func smallInt(p []byte) (int, bool) {
	if len(p) == 0 || len(p) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// stripColor takes the terminal colours from around a word: ESC [ … m.
func stripColor(p []byte) []byte {
	for len(p) > 2 && p[0] == 0x1b && p[1] == '[' {
		end := bytes.IndexByte(p, 'm')
		if end < 0 {
			return p
		}
		p = p[end+1:]
	}
	if esc := bytes.IndexByte(p, 0x1b); esc >= 0 {
		p = p[:esc]
	}
	return p
}
