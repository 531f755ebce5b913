// Package alerts is the input that a config's alerts become: it counts the records of all other
// inputs as they pass, and what it concludes are records of its own, in a journal that is read as
// any log is.
//
// Counting is by the records' own times. Time is divided into buckets, a sixtieth of an alert's
// window each; a bucket is looked at once the clock has passed its end, in order, and never again.
// That clock is event time: it is the time up to which everything has been seen. While a source has
// something unread it is no further than that source's last record; where all is read, it follows
// the wall clock, a few seconds behind. So lag is not absence, and what is read again or late, as
// after an outage, rings for the time at which it was. Only that there are too many records need
// not wait for the clock: more can come of a window, but not fewer.
//
// Nothing counts twice. What is counted, and up to which position of each source, is one note in
// the ledger (pipeline.Observer), written with the progress of the sources by the same write. So
// after a crash, counts and positions are of the same moment, and a source is read again from no
// later than that.
//
// Nothing rings twice. A conclusion is made for one bucket of one group, and is in the journal, on
// disk, before it counts as made. After a crash the journal says up to which bucket a group has
// been concluded about, and what the note does not know of that is not concluded again.
//
// The workers take a lock for each batch, under which nothing is written or waited for: conditions
// are decided before, and the journal is written after.
package alerts
