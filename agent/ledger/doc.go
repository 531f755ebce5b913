// Package ledger stores the progress of every source at every route, which is a pipeline's output:
// in memory at once, on disk a moment later, in one append-only file.
//
// A position is one ascending number for every kind of input, so what is acknowledged is a set of
// intervals and the ledger knows nothing of files or containers. The cursor of a source is the last
// checkpoint that all its routes have reached; what an input needs beyond the position to find the
// place again is opaque state.
//
// A reservation says up to where records may have been sent. It is on disk before they are. After a
// crash, what is acknowledged is skipped, the rest below the reservation is uncertain, and what
// lies beyond it is new. Progress is written twice a second; that write also reserves ahead at
// twice the pace a source had, so that a steady source never waits for the disk. A new source's
// identity, and where it began, are on disk before anything of it is sent.
//
// Each entry of progress is complete, so a damaged file is read on behind the damage: a source
// whose last entry is lost resumes at an older cursor. Sources of inputs that are no longer
// configured stay: they are small, and an input that comes back would send everything again without
// them.
//
// A timeout boundary is where time, and not the source, ended a record. Boundaries have entries of
// their own, so that a flush writes only new ones, and one is dropped when the next line would have
// begun a record anyway: a slow source whose destination is away has few.
//
// The target of a route is what its output's settings make of a record's destination (an index, a
// stream's labels), and is stored with the position from which it holds. Uncertain records are
// looked up at the previous targets too, encoded as they were for them.
package ledger
