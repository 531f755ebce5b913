package recognize

import (
	"fmt"
	"time"
	_ "time/tzdata" // an image built from scratch has no zones of its own

	"github.com/longshore/longshore/pipeline"
)

// Zone is where times without a zone of their own are at home; nil is UTC.
type Zone = *time.Location

// LoadZone finds a zone by its name: "", UTC, Europe/Berlin, or Local for that
// of the machine.
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
