package recognize

import (
	"fmt"
	"time"
	_ "time/tzdata" // an image built from scratch has no zones of its own

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Zone is where times without a zone of their own are at home; nil is UTC.
type Zone = *time.Location

// LoadZone finds a zone by its name: "", UTC, Europe/Berlin, or Local for that of the machine.
func LoadZone(name string) (Zone, error) {
	if name == "" || name == "UTC" {
		return nil, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q; write it like Europe/Berlin, UTC or Local", name)
	}
	return zone, nil
}

// CheckZone finds what is wrong with a setting named timezone.
func CheckZone(name string) []pipeline.Problem {
	if _, err := LoadZone(name); err != nil {
		return []pipeline.Problem{{Path: "timezone", Message: err.Error()}}
	}
	return nil
}

// ZoneConfig is the setting that parsers of times have. Their configs embed it.
type ZoneConfig struct {
	Timezone string `yaml:"timezone" doc:"Zone of times that do not name one." default:"UTC" example:"Europe/Berlin"`
}

// Check implements pipeline.Checker.
func (c *ZoneConfig) Check() []pipeline.Problem { return CheckZone(c.Timezone) }

// NewParser returns what makes the parser of each source from the zone. The error
// names the parser's type.
func (c *ZoneConfig) NewParser(name string, parser func(Zone) pipeline.Parser) (pipeline.NewParser, error) {
	zone, err := LoadZone(c.Timezone)
	if err != nil {
		return nil, fmt.Errorf("%s parser: %w", name, err)
	}
	return func(*event.Source) pipeline.Parser { return parser(zone) }, nil
}
