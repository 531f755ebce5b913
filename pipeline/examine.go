package pipeline

import "context"

// An Examiner is an Input or an Output that can look, before it runs or beside a run, at what would
// keep it from working: permissions, names, certificates, logins. It changes nothing there, and
// ends with ctx.
type Examiner interface {
	// Examine looks, and tells what it finds in the order in which one depends on the other. After
	// what failed comes only what can be told all the same.
	Examine(ctx context.Context, tell func(Finding))
}

// A Finding is what an Examiner found about one thing. Its texts may have words from outside in
// them, without secrets.
type Finding struct {
	What   string // that was looked at: DNS, socket
	State  FindingState
	Says   string // what it is like
	Advice string // what to do; empty where all is well
}

// FindingState says how well something is.
type FindingState uint8

const (
	// FoundFine is as it must be.
	FoundFine FindingState = iota
	// FoundUnknown could not be looked at, or there is nothing to say.
	FoundUnknown
	// FoundDoubtful works, and will perhaps not do so for long, or not for all.
	FoundDoubtful
	// FoundBroken keeps the component from working.
	FoundBroken
)

// String names the state.
func (s FindingState) String() string {
	return [...]string{"ok", "unknown", "warning", "failed"}[s]
}
