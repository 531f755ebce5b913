// Package s3 is the output to Amazon S3, and to what is compatible with it: a body is an object of
// JSON lines, or several where the prefix takes labels or fields.
//
// An object is there whole or not at all, so all that has to be known after a crash or an answer
// that did not come is which objects were tried, with which records. That is noted on disk, by
// source and position, before a request is made (attempts.go); the name of an object is one that
// nobody else makes. Bodies may then be cut anew, as the deliverer does: what is uncertain is
// looked up record by record, and each object in question is asked for by name (resolve.go).
//
// A request may still be under way when it is asked for: one of a killed process, or one that a
// proxy holds. So an object that is not there is made, empty, by a request that fails where it is
// (If-None-Match: *), as the first one does: after that either of the two is there for good. What
// is read from the bucket has each record once, with no list to be looked at beside it.
//
// The client is by hand: four requests, and a signature that is there for secrets already. The
// SDK of AWS for S3 makes a small program 4.2 MiB larger, and minio-go 1.8 MiB.
package s3
