package config

import (
	"slices"
	"strconv"
	"time"
)

// A Case is lines and what is to become of them: `longshore test` holds a pipeline against it.
type Case struct {
	Name     string            `yaml:"name" required:"true" doc:"What the case shows."`
	Pipeline string            `yaml:"pipeline" doc:"The pipeline that the lines go through; the first one if there is none."`
	Time     string            `yaml:"time" doc:"The time at which the source has the lines, in RFC 3339, as a container's log does; without one it knows none." example:"2026-01-31T12:00:00Z"`
	Labels   map[string]string `yaml:"labels" doc:"The source's labels." example:"{container.name: web-1}"`
	Input    []string          `yaml:"input" required:"true" doc:"Lines."`
	// Expect has a map for each record. Values are compared as text.
	Expect []map[string]string `yaml:"expect" doc:"For each record that comes out, the fields it must have. Other fields are not looked at; one with the value absent must not be there."`
	// At is Time, read, or zero.
	At time.Time `yaml:"-"`
}

// cases checks the cases of the config.
func (d *document) cases() {
	n := d.root.get("tests")
	for i := range d.general.Tests {
		if i < len(n.items) && !n.items[i].anyBroken() {
			d.oneCase(&d.general.Tests[i], n.items[i], "tests["+strconv.Itoa(i)+"]")
		}
	}
	d.cfg.Tests = d.general.Tests
}

func (d *document) oneCase(c *Case, n *node, path string) {
	var err error
	if c.At, err = time.Parse(time.RFC3339, c.Time); err != nil && c.Time != "" {
		d.report(n.get("time"), child(path, "time"), "%q is not a time; write it like 2026-01-31T12:00:00Z", c.Time)
	}
	isNamed := func(p Pipeline) bool { return p.Name == c.Pipeline }
	if c.Pipeline != "" && !slices.ContainsFunc(d.cfg.Pipelines, isNamed) {
		d.report(n.get("pipeline"), child(path, "pipeline"), "there is no pipeline %q", c.Pipeline)
	}
}
