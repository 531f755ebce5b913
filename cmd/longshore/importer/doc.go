// Package importer converts configs of other log agents to Longshore's.
//
// Every foreign format is read into one kind of tree, whose values know their line. What converts a
// setting takes it out of the tree, and what nobody has taken in the end is told as not converted:
// so a setting that this package does not know cannot be lost silently.
//
// # Decisions
//
//   - A secret in a foreign config becomes a ${VAR}, and is neither printed nor written anywhere.
//   - A text that a rival matches against the whole line is matched so here, too: the pipeline then
//     has a parser that takes the line as the message. Where another parser must stand, a condition
//     on the line is left out rather than changed.
//   - What is made is held against the real components by the caller (Accept). A component or
//     setting that they refuse is taken out again and told like everything else that could not be
//     converted.
//   - Alloy's and Fluent Bit's languages are read by hand: Fluent Bit's has no Go library,
//     Alloy's (github.com/grafana/alloy/syntax) cannot be had from the module proxy in a version of
//     its own, and a config of Alloy is data here, never evaluated.
package importer
