package importer

import (
	"maps"
	"slices"
	"strconv"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// lokiLabels sets the labels of Loki outputs to those of all flows. Where two flows give one label
// different values, a transform puts that of each on its records.
func (c *conversion) lokiLabels(outs []*section, flows []*flow) {
	labels := map[string]string{}
	for _, f := range flows {
		for _, name := range slices.Sorted(maps.Keys(f.labels)) {
			value := f.labels[name]
			if value == "-" || labels[name] == value {
				continue
			}
			if labels[name] == "" {
				labels[name] = value
				continue
			}
			c.conflict(labels, flows, name)
		}
	}
	lineFormat := "raw"
	for _, f := range flows {
		if f.json != "" {
			lineFormat = "json"
		}
	}
	for _, out := range outs {
		if out.fields.text("type") != "loki" {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			out.fields.setIn("labels", name, labels[name])
		}
		if lineFormat == "raw" {
			out.fields.set("line_format", "raw")
		}
	}
}

// conflict has every flow give a label by a field of its name.
func (c *conversion) conflict(labels map[string]string, flows []*flow, name string) {
	own := template(name)
	labels[name] = own
	for _, f := range flows {
		value := f.labels[name]
		if value == "" || value == own || value == "-" {
			continue
		}
		t := c.out.add("transforms", f.name+"_add", "add")
		t.fields.set("fields", fields{{name: name, value: value}})
		f.transforms = append(f.transforms, t.name)
		f.labels[name] = own
	}
}

// divided returns a / b as a number for the config.
func divided(a, b string) string {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil || y == 0 {
		return a
	}
	return strconv.FormatFloat(max(x/y, 0.001), 'f', -1, 64)
}
