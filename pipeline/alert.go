package pipeline

import "github.com/longshore/longshore/pipeline/event"

// An Alert is what a config says of one alert: which records count, how many of them ring, and
// where.
type Alert struct {
	If           string    `yaml:"if" doc:"Which records count, in the language of the conditions of transforms; by default all." example:"level >= \"error\" and service == \"checkout\""`
	By           []string  `yaml:"by" doc:"Labels or fields by whose values records are grouped; each group rings for itself." example:"[service, container.name]"`
	Window       Duration  `yaml:"window" doc:"How far back records count, by their own times." default:"5m" min:"10s" max:"1d"`
	AtLeast      int       `yaml:"at_least" doc:"Rings with at least so many records in the window; by default 1, unless below or unusual is set." min:"0" max:"1000000000" example:"10"`
	Below        int       `yaml:"below" doc:"Rings with fewer records than that in the window; 1 is absence." min:"0" max:"1000000000" example:"1"`
	Unusual      Unusual   `yaml:"unusual" doc:"Rings where there are many more or fewer records in the window than usual at this hour of the week."`
	For          Duration  `yaml:"for" doc:"For how long that must be so before it rings." max:"1d" example:"2m"`
	ResolveAfter Duration  `yaml:"resolve_after" doc:"For how long it must be over before it is resolved." default:"1m" max:"1d"`
	Repeat       Duration  `yaml:"repeat" doc:"Pause after which an alert that goes on rings again; 0 for never." default:"4h" max:"30d"`
	Level        string    `yaml:"level" doc:"Level of the alert's own records." enum:"debug|info|warn|error|fatal" default:"error"`
	Text         string    `yaml:"text" doc:"Message of the alert; {…} stands for alert, count, rate, window, condition, usual, sample, level, status, group and the names of by." example:"\"{count} errors in {window}: {sample}\""`
	Outputs      []string  `yaml:"outputs" doc:"Outputs that get it; by default all of the types webhook and email." example:"[pager]"`
	Silences     []Silence `yaml:"silences" doc:"When it does not ring. What still goes on when a silence ends rings then."`
	MaxGroups    int       `yaml:"max_groups" doc:"Groups that are remembered at most; records of others do not count, which is said." default:"1000" min:"1" max:"10000"`
	Forget       Duration  `yaml:"forget" doc:"A group of which nothing has come for so long is forgotten; if it rings for want of records, it is resolved." default:"1d" min:"1m" max:"30d"`
}

// Unusual is a learned threshold: the median of what was there at the same hour of earlier weeks,
// and how far it spreads.
type Unusual struct {
	Deviations float64  `yaml:"deviations" doc:"How many deviations from the usual number ring; 0: none. 4 is a good beginning." min:"0" max:"100"`
	Direction  string   `yaml:"direction" doc:"What rings: more than usual, fewer, or both." enum:"more|fewer|both" default:"more"`
	Learn      Duration `yaml:"learn" doc:"For how long records are counted before anything rings: after a week every hour of it is known, before only hours of the day are." default:"7d" min:"1d" max:"30d"`
}

// A Silence is a time in which an alert does not ring: once, from and until a time, or every day
// from one hour to another.
type Silence struct {
	From  string   `yaml:"from" doc:"When it begins: a time, or an hour of the day." example:"22:00"`
	Until string   `yaml:"until" doc:"When it ends: a time, or an hour of the day." example:"2026-12-24T06:00:00Z"`
	Days  []string `yaml:"days" doc:"Days of the week on which it begins; by default all." example:"[sat, sun]"`
	Zone  string   `yaml:"zone" doc:"Time zone of hours and days." default:"UTC" example:"Europe/Berlin"`
}

// An AlertsConfig is the config of the input (Traits.Observes) that the alerts of a config become.
type AlertsConfig interface {
	InputConfig
	// SetAlerts takes the alerts by name. page is where people reach the agent's page, if anywhere.
	SetAlerts(alerts map[string]Alert, page string)
}

// An Observer is an Input that makes its records of what it sees pass in the pipelines of others.
// What it remembers is stored with the progress of the sources, so that it sees each record once,
// however often sources are read again.
type Observer interface {
	Input
	// Begin is called once, before Run and the first Observe. state is what State returned when
	// progress was last stored; nil where there was none.
	Begin(state []byte, over Overview) error
	// Observe sees a batch that has gone through the first pipeline of its source, before outputs
	// get it. It is called concurrently for different sources, and in order for those of one; it
	// keeps nothing of the batch, changes nothing in it and does not wait for anything. After a
	// restart records may come again: those at positions below the To of a batch that State knew.
	Observe(b *event.Batch)
	// State returns what is to be remembered, with all batches that were observed. Any goroutine
	// may call it after Begin.
	State() []byte
}

// An Overview says how the sources of all inputs are, but for the Observer's own.
type Overview interface {
	// Lagging calls visit with each open source of which something waits to be read, or to go
	// through its pipelines.
	Lagging(visit func(id event.SourceID))
	// Knows reports whether a source is remembered.
	Knows(id event.SourceID) bool
}
