package docker

import "github.com/longshore/longshore/pipeline"

var _ pipeline.Rereader = (*Input)(nil)

// Rereads implements pipeline.Rereader: a log is found by the container's id, and
// one of which nothing is done is read from its beginning.
func (in *Input) Rereads() {}
