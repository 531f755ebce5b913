package pipeline

import "fmt"

// Traits are what the agent must know of a type of component that its settings do not say. The zero
// value is an input that follows files in bytes, or a transform that depends on nothing but the
// record.
type Traits struct {
	// ReserveAhead, for an input whose positions are not bytes of a file, is how many positions
	// stand for about a second of a busy source and a minute of an idle one. At least so many are
	// noted on disk as "may have been sent" before they are: more costs time after a crash, less
	// costs writes.
	ReserveAhead uint64
	// Ephemeral: an input whose sources do not wait, or cannot be read again. A container's log
	// goes on, and what was not read in time is rotated away; who writes to standard input is held
	// up. So a lagging output behind it begins to spool at once. Every input that is no Rereader
	// has it.
	Ephemeral bool
	// Rereadable: an input that finds the sources it knows by Cursor.State alone, wherever that was
	// written, and reads them again from Cursor.Pos on, be it the beginning, with the same
	// positions.
	Rereadable bool
	// SourceOptions: an input whose sources may carry SourceOptions, and so choose their parsers
	// and pipelines themselves.
	SourceOptions bool
	// Stateful: a transform that drops or changes records by more than what is in them, by the
	// clock or by those that came before. When they are read again, it may decide otherwise.
	Stateful bool
	// NeedsCondition: a transform that makes no sense without a condition.
	NeedsCondition bool
	// Acknowledges: an input that is a Committer. What it has not committed comes again, so a
	// reload stops it and starts it again.
	Acknowledges bool
	// WholeRecords: an input of which every line is a record, whatever the next one is. They are
	// never joined.
	WholeRecords bool
	// Observes: an input that is an Observer, and is made of the alerts of a config. It is
	// connected with all pipelines.
	Observes bool
	// ForPeople: an output that sends messages to people. Alerts go to it unless they name others,
	// and without pipelines nothing else does then.
	ForPeople bool
}

// Describe returns a line for people about each trait that is set.
func (t Traits) Describe() []string {
	var lines []string
	for _, trait := range []struct {
		is   bool
		text string
	}{
		{t.ReserveAhead > 0, fmt.Sprintf("reserve_ahead %d: positions that are reserved on disk before they are sent",
			t.ReserveAhead)},
		{t.Ephemeral, "ephemeral: its sources do not wait, so a lagging output spools at once"},
		{t.Rereadable, "rereadable: longshore verify can read its sources again"},
		{t.SourceOptions, "source_options: its sources can choose parsers and pipelines by labels"},
		{t.Acknowledges, "acknowledges: its sources keep what was sent until it is done at every output"},
		{t.WholeRecords, "whole_records: its lines are never joined"},
		{t.Stateful, "stateful: depends on the clock or on earlier records, so longshore verify cannot repeat it"},
		{t.NeedsCondition, "needs_condition: must have a condition (if)"},
		{t.Observes, "observes: is made of the alerts of a config, and looks at the records of all pipelines"},
		{t.ForPeople, "for_people: gets alerts, and without pipelines nothing else where there are alerts"},
	} {
		if trait.is {
			lines = append(lines, trait.text)
		}
	}
	return lines
}

// CheckKind returns an error if a trait is set that components of a kind cannot have.
func (t Traits) CheckKind(k Kind) error {
	ofInput := Traits{
		ReserveAhead: t.ReserveAhead, Ephemeral: t.Ephemeral, Rereadable: t.Rereadable, SourceOptions: t.SourceOptions,
		Observes: t.Observes, Acknowledges: t.Acknowledges, WholeRecords: t.WholeRecords,
	}
	ofTransform := Traits{Stateful: t.Stateful, NeedsCondition: t.NeedsCondition}
	if k != KindInput && ofInput != (Traits{}) || k != KindTransform && ofTransform != (Traits{}) ||
		k != KindOutput && t.ForPeople {
		return fmt.Errorf("has traits that no %s can have: %q", k, t.Describe())
	}
	return nil
}
