// Package sample keeps a part of the records, whole traces at a time.
package sample

import (
	"encoding/binary"
	"math"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindTransform,
		Type: "sample",
		Summary: "Keeps a fraction of the records and drops the rest: all records of a trace or none. Depends on " +
			"nothing but the record, so every host and every replay decides alike.",
		New: func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Rate float64 `yaml:"rate" required:"true" min:"0" max:"1" doc:"The fraction to keep, from 0 to 1. Records without a trace are chosen one by one, by their position." example:"0.1"`
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return perrecord.Record(env, func(b *event.Batch, i int) {
		if !keeps(c.Rate, identity(b, i)) {
			b.Records[i].Flags |= event.Dropped
		}
	}), nil
}

// identity returns what decides about a record: its trace, or its position in its source.
func identity(b *event.Batch, i int) uint64 {
	r := &b.Records[i]
	if r.Flags&event.HasTrace == 0 {
		id, pos := b.IdentityOf(i)
		return mix(mix(uint64(id)) ^ pos)
	}
	return mix(mix(binary.BigEndian.Uint64(r.TraceID[:8])) ^ binary.BigEndian.Uint64(r.TraceID[8:]))
}

// mix is the finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators").
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// keeps reports whether x is within the kept part of all numbers.
func keeps(rate float64, x uint64) bool {
	if rate >= 1 {
		return true
	}
	return float64(x>>11) < rate*math.Exp2(53)
}
