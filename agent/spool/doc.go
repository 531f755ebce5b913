// Package spool is a queue of records on disk: first in, first out, each on disk before Append
// returns, and there until it is done, whatever happens to the process or the machine.
//
// A spool belongs to an output's name and type: it holds what is encoded for it, such as index
// names or the labels of streams. After a change of such a setting the records go where they
// belonged when they were read; another type of output could not read them.
package spool
