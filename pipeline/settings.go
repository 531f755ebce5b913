package pipeline

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span, written as in Go with days besides: 250ms, 5s, 1h30m, 7d.
type Duration time.Duration

// ParseDuration reads a Duration.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err == nil && n >= 0 && n < 36500 {
			return Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration; write it like 500ms, 10s, 5m, 2h or 7d", s)
	}
	return Duration(d), nil
}

// String returns the duration as Go writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// Size is a number of bytes, written as 512, 64KiB, 10MB, 1GiB.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1},
}

// ParseSize reads a Size.
func ParseSize(s string) (Size, error) {
	number, unit := strings.ToLower(strings.TrimSpace(s)), 1.0
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*unit > 1<<53 {
		return 0, fmt.Errorf("%q is not a size; write it like 512KiB, 1MiB or 10GB", s)
	}
	return Size(n * unit), nil
}

// String returns the size in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name  string
		bytes Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// Rounded returns a size for people, such as "1.2 GiB".
func (s Size) Rounded() string {
	value, unit := float64(s), "bytes"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	if unit == "bytes" {
		return Count(int(s), "byte")
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// Count returns a number and a noun, such as "1 file" and "2 files".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Secret is a string that is never shown. Reveal returns it.
type Secret string

// Reveal returns the secret itself, for sending it to whom it is meant for.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// InputSettings are common to all inputs, beside their own.
type InputSettings struct {
	Labels map[string]string `yaml:"labels" doc:"Labels of your own, put on every record of this input." example:"{env: production}"`
}

// OutputSettings are common to all outputs, beside their own.
type OutputSettings struct {
	Filter      Filter        `yaml:"filter" doc:"Which records this output takes; all others are left out of it."`
	Batch       BatchSettings `yaml:"batch" doc:"How much goes into one request."`
	Retry       RetrySettings `yaml:"retry" doc:"How failed requests are tried again. There is no limit on the number of tries."`
	Queue       Size          `yaml:"queue_size" formerly:"queue" doc:"Encoded records waiting in memory before the inputs are slowed down." default:"8MiB" min:"64KiB"`
	Spool       Size          `yaml:"spool_size" formerly:"spool" doc:"Disk space, in data_dir, for records that wait while the destination is away; 0 for none. When it is full the inputs are slowed down." default:"512MiB"`
	DeadLetters Size          `yaml:"dead_letters_size" formerly:"dead_letters" doc:"Disk space, in data_dir, for records that the destination rejects for good. When it is full they are held back, and /ready says so; longshore replay makes room." default:"1GiB" min:"1MiB"`
	Lanes       int           `yaml:"concurrency" doc:"Requests in flight at most; how many there are adapts to what the destination takes." default:"4" min:"1" max:"64"`
}

// Filter chooses records by level and label.
type Filter struct {
	Level  string            `yaml:"level" doc:"The lowest level taken. Records without a level count as info." enum:"trace|debug|info|warn|error|fatal"`
	Labels map[string]string `yaml:"labels" doc:"Labels and the value each must have; * stands for any characters." example:"{compose.project: shop, container.name: web-*}"`
}

// BatchSettings bound one request. Zero means the output's own limit.
type BatchSettings struct {
	Bytes   Size     `yaml:"max_bytes" doc:"Size of a request before compression; 0 for what suits the destination."`
	Records int      `yaml:"max_records" doc:"Records in a request; 0 for no limit." min:"0"`
	Linger  Duration `yaml:"linger" doc:"Pause between two requests that are not full, in which the next one grows." default:"50ms" max:"1m"`
}

// RetrySettings say how long to pause between tries: doubling from Initial to
// Max, with jitter, or as long as the destination asks.
type RetrySettings struct {
	Initial Duration `yaml:"initial_backoff" formerly:"initial" doc:"Pause after the first failure; it doubles from there." default:"250ms" min:"1ms"`
	Max     Duration `yaml:"max_backoff" formerly:"max" doc:"Longest pause." default:"30s" min:"1ms"`
}
