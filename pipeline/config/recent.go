package config

import "strings"

// recent decides whether recent records are kept: where the config asks for it, or has no output.
// Without either, nothing would become of a record.
func (d *document) recent() {
	n, hasOutputs := d.root.get("recent"), d.root.get("outputs") != nil
	d.cfg.Recent = d.general.Recent.Size
	isOff := n != nil && n.kind == scalarKind && !switches[strings.ToLower(n.text)]
	switch {
	case isOff && !hasOutputs:
		d.report(n, "recent", "is off, and there are no outputs: nothing would become of the records; add an output "+
			"(outputs: {…}), or remove this")
	case n == nil && !hasOutputs:
		d.problems.warn(span{}, "", "there are no outputs: records are only kept to be looked at, the newest 64MiB of "+
			"them; add an output (outputs: {…}), or say that this is meant (recent: on)")
	case n == nil, isOff:
		d.cfg.Recent = 0
	}
}
