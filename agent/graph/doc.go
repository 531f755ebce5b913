// Package graph builds the inputs, parsers, transforms and outputs of a config into one running
// whole, and ends it in order.
//
//   - Each source has one worker, which joins, parses and transforms its batches in their order.
//   - Nothing queues between the stages: a batch is handed from one to the next, so that the
//     processor still has it in its cache. Queues of two made each stage slower by a tenth, and
//     hold memory.
//   - A second pipeline of an input parses a copy of the batch: that is rare, and simpler than
//     sharing.
//   - Lines are joined here and not in the inputs, per pipeline and source, so that every pipeline
//     joins as its parsers say. What a pipeline hands on ends before the record that is open at the
//     end of a batch. A checkpoint within such a record is kept back until the record has passed:
//     then it is known how the pipeline goes on from there, which is all that is stored, instead of
//     the lines.
//   - A timeout ends the open records of all pipelines of a source, as on a replay. Its boundary is
//     removed again when the next line would have begun a record anyway, so that few are kept.
//     Waiting counts only while the worker is not held up itself and the input can read on in the
//     source (pipeline.Lookout), and ten times as long where an earlier run may have sent: a slow
//     replay must not split what was whole.
//   - No record reaches over the edge of what an earlier run has done, so that no line is lost in a
//     record that is skipped, even when a new version joins otherwise.
//   - Times are made unique within a source where records are parsed; see uniquifier. Its state is
//     stored before the input's cursor.
//   - Most sources are idle. Parsing state is created on the first batch, and released once a
//     source has been idle for long and all of it is done: 48 bytes remain, and the ledger has the
//     rest.
//   - Parsers are shared by a few sources of one worker. What they remember makes the next line
//     faster and decides nothing, so that a replay decides alike.
//   - Source options (labels that choose a parser or a pipeline) are applied here and not by
//     inputs, which know nothing of parsers and pipelines.
//   - A lane that stays full spills after half a second where an input is ephemeral, and after a
//     minute where sources wait on disk: an outage that takes longer may outlast their rotation.
//     While an input hurries, as lines are about to be gone where they are, it is half a second,
//     too; when it no longer does, the lane waits again: the spool is left to what needs it.
//   - Outputs do not wait for each other: a route whose lane stays full is let go where others wait
//     for it, and catches up by reading its source again; see catchup.go and docs/design.md.
//     The last record of a source that is gone is offered on instead, beside all else.
package graph
