// Package deliver takes batches to one output: it encodes records into bodies, sends them, retries,
// splits, keeps what is rejected, and reports to the tracks what is done.
//
//   - A source always uses the same lane, and so do the generations of a rotated file, which are
//     one stream to Loki. A lane has one request in flight while its next body fills. So the order
//     within a source holds through every retry.
//   - Progress ends a failure: pauses grow only while nothing gets through. What a destination
//     refuses for now while it stores the rest of a body goes with a later one, where the output
//     does not need the order (Limits.InOrder); otherwise it goes first, after the shortest pause.
//   - A body that keeps failing as a whole while others get through is halved until the record that
//     something on the way refuses is alone (isolate.go). That waits aside, on disk, and is sent
//     again from time to time in a lane of its own (aside.go). Where nothing else gets through, the
//     destination is away, and nothing is suspected.
//   - Nothing queues before a lane: a batch is encoded at once, or waits where it came from.
//   - Bodies are regrouped freely on a retry: only records have an identity. An Encoder takes one
//     record, which costs two nanoseconds a call, so that limits, filters, rejections and skips are
//     decided here and not in every output.
//   - An idle output sends its first record at once. Under a steady trickle one request per record
//     would cost more than everything else, so bodies that are not full keep a pause (linger)
//     between them.
//   - How many lanes send at the same time adapts to the destination (limiter.go).
//   - An uncertain body is not sent again but reconciled, where the destination can be asked
//     (reconcile.go): what it holds is done, the rest is sent. A question that fails is asked again
//     after pauses of its own. Nothing is asked where repeats are harmless, as in an index with
//     ids. Records that an earlier run may have
//     sent to another target, since the configuration was changed after a crash, are looked for
//     there (previoustarget.go).
//   - A lane that stays full puts its bodies on disk (spill.go). Their records are reserved first,
//     so that a crash between spool and ledger duplicates nothing: all that a run finds in its
//     spool is uncertain. The order of a lane is memory, spool, what found no room there, the open
//     body.
//   - Dead letters and spooled bodies hold encoded records, and so belong to an output's name and
//     type. They go where its labels and index names said when they were encoded.
package deliver
