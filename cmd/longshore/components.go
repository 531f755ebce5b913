package main

import "github.com/longshore/longshore/pipeline"

// components is the table of all there is.
func components() []pipeline.Spec { return nil }
