package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// Alerts is the name of the input, of the pipeline and of the transform that the alerts of a config
// become, and of the section they stand in.
const Alerts = "alerts"

// routeType is the type of the transform by which alerts find their outputs.
const routeType = "route"

// An alertsSection is what becomes of the alerts of a config: an input, a pipeline from it to all
// outputs that one of them goes to, and where these differ, a transform that chooses.
type alertsSection struct {
	input   *component
	outputs map[string][]string // by alert
}

// alerts reads the alerts, and which outputs they go to.
func (d *document) alerts() *alertsSection {
	n := d.root.get(Alerts)
	if n == nil || n.broken {
		return nil
	}
	if len(n.entries) == 0 {
		d.report(n, Alerts, "is empty; add an alert: errors: {if: level >= \"error\", at_least: 10}")
		return nil
	}
	i := slices.IndexFunc(d.components, func(s pipeline.Spec) bool { return s.Traits.Observes })
	if i < 0 {
		d.report(n, Alerts, "this longshore has no alerts")
		return nil
	}
	for _, k := range []pipeline.Kind{pipeline.KindInput, pipeline.KindTransform} {
		if taken := d.declared[k][Alerts]; taken != nil {
			d.report(taken, child(string(k)+"s", Alerts),
				"this name is that of the %s which the section alerts becomes; rename it", k)
		}
	}
	a := &alertsSection{input: newComponent(Alerts, d.components[i]), outputs: map[string][]string{}}
	settings, ok := a.input.settings.(pipeline.AlertsConfig)
	if !ok {
		d.report(n, Alerts, "longshore's own type %T takes no alerts", a.input.settings)
		return nil
	}
	settings.SetAlerts(d.general.Alerts, strings.TrimSuffix(d.general.HTTP.URL, "/"))
	d.check(alertsCheck{a.input.settings}, n, Alerts, !n.anyBroken())
	for _, e := range n.entries {
		if !namePattern.MatchString(e.name) {
			d.problems.add(e.key, child(Alerts, e.name), "a name has up to 64 letters, digits, dots, dashes and "+
				"underscores, and starts with a letter or digit")
		}
		a.outputs[e.name] = d.alertOutputs(e)
	}
	return a
}

// alertsCheck is what the input of the alerts says of them, by their names.
type alertsCheck struct{ settings any }

// Check implements pipeline.Checker.
func (c alertsCheck) Check() []pipeline.Problem {
	checker, ok := c.settings.(pipeline.Checker)
	if !ok {
		return nil
	}
	problems := checker.Check()
	for i := range problems {
		problems[i].Path = strings.TrimPrefix(problems[i].Path, "rules.")
	}
	return problems
}

// alertOutputs returns where an alert goes: to the outputs that it names, or to all for people.
func (d *document) alertOutputs(e entry) (names []string) {
	n, path := e.value.get("outputs"), child(child(Alerts, e.name), "outputs")
	if n != nil {
		for i, item := range n.items {
			if name, ok := d.name(item, path+"["+strconv.Itoa(i)+"]", pipeline.KindOutput, names); ok {
				names = append(names, name)
			}
		}
		return names
	}
	for _, o := range d.cfg.Outputs {
		if d.isForPeople(o) {
			d.used[pipeline.KindOutput][o.Name] = true
			names = append(names, o.Name)
		}
	}
	if len(names) == 0 && len(d.cfg.Outputs) > 0 {
		d.problems.add(e.key, path, "is missing: there is no output of the type webhook or email to go to by itself; "+
			"name one%s", d.those(pipeline.KindOutput))
	}
	return names
}

func (d *document) isForPeople(o Output) bool {
	spec, ok := d.spec(pipeline.KindOutput, o.Type)
	return ok && spec.Traits.ForPeople
}

// onlyAlerts reports whether an output gets nothing but alerts where no pipeline says otherwise.
func (a *alertsSection) onlyAlerts(d *document, o Output) bool {
	return a != nil && d.isForPeople(o) && a.goTo(o.Name)
}

// goTo reports whether an alert goes to an output.
func (a *alertsSection) goTo(output string) bool {
	return slices.ContainsFunc(keys(a.outputs), func(name string) bool {
		return slices.Contains(a.outputs[name], output)
	})
}

// add adds the input of the alerts and their pipeline.
func (a *alertsSection) add(d *document) {
	if a == nil {
		return
	}
	if slices.ContainsFunc(d.cfg.Pipelines, func(p Pipeline) bool { return p.Name == Alerts }) {
		d.report(d.root.get("pipelines").get(Alerts), child("pipelines", Alerts), "this name is that of the pipeline "+
			"which the section alerts becomes; rename it")
		return
	}
	p := Pipeline{Name: Alerts, Inputs: []string{Alerts}, Parsers: d.auto()}
	for _, o := range d.cfg.Outputs {
		if a.goTo(o.Name) {
			p.Outputs = append(p.Outputs, o.Name)
		}
	}
	err := d.cfg.add(a.input)
	if spec, ok := d.spec(pipeline.KindTransform, routeType); ok && err == nil && a.differ() {
		var route *component
		if route, err = standalone(Alerts, spec, a.routes(), &problemList{source: newSource(Alerts, "")}); err == nil {
			err = d.cfg.add(route)
		}
		p.Transforms = []string{Alerts}
	}
	if err != nil {
		d.report(d.root.get(Alerts), Alerts, "%v", err)
		return
	}
	d.cfg.Pipelines = append(d.cfg.Pipelines, p)
}

// differ reports whether alerts go to different outputs.
func (a *alertsSection) differ() bool {
	names := keys(a.outputs)
	return slices.ContainsFunc(names, func(name string) bool {
		return !slices.Equal(slices.Sorted(slices.Values(a.outputs[name])),
			slices.Sorted(slices.Values(a.outputs[names[0]])))
	})
}

// routes are the settings of the transform that chooses the outputs of alerts.
func (a *alertsSection) routes() *node {
	list := &node{kind: listKind}
	for _, name := range keys(a.outputs) {
		outputs := &node{kind: listKind}
		for _, output := range a.outputs[name] {
			outputs.items = append(outputs.items, scalarNode(output))
		}
		list.items = append(list.items, &node{kind: mappingKind, entries: []entry{
			{name: "if", value: scalarNode(fmt.Sprintf("alert == %q", name))},
			{name: "outputs", value: outputs},
		}})
	}
	return &node{kind: mappingKind, entries: []entry{{name: "routes", value: list}}}
}

// checkObservers reports inputs that are made of another section.
func (d *document) checkObservers() {
	for _, in := range d.cfg.Inputs {
		if in.Traits.Observes {
			d.report(d.root.get("inputs").get(in.Name), child("inputs", in.Name),
				"list what is to ring under alerts, at the top of the config, instead")
		}
	}
}

// checkPageURL checks where people reach the page.
func (d *document) checkPageURL() {
	n := d.root.get("http").get("url")
	if n == nil || n.broken {
		return
	}
	u, err := url.Parse(d.general.HTTP.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		d.report(n, "http.url", "%s is no URL of a page; write it like https://logs.example.com",
			d.quote(n, &setting{}))
	}
}
