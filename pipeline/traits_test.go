package pipeline

import "testing"

func TestTraitsAreOfTheirKind(t *testing.T) {
	for _, test := range []struct {
		traits Traits
		kind   Kind
		ok     bool
	}{
		{Traits{}, KindOutput, true},
		{Traits{Rereadable: true}, KindInput, true},
		{Traits{ReserveAhead: 1}, KindTransform, false},
		{Traits{Stateful: true}, KindTransform, true},
		{Traits{NeedsCondition: true}, KindInput, false},
		{Traits{Ephemeral: true}, KindOutput, false},
		{Traits{Observes: true}, KindInput, true},
		{Traits{Observes: true}, KindTransform, false},
		{Traits{Acknowledges: true, WholeRecords: true}, KindInput, true},
		{Traits{Acknowledges: true}, KindOutput, false},
		{Traits{ForPeople: true}, KindOutput, true},
		{Traits{ForPeople: true}, KindInput, false},
	} {
		if err := test.traits.CheckKind(test.kind); (err == nil) != test.ok {
			t.Errorf("%+v of an %s: %v", test.traits, test.kind, err)
		}
	}
	all := Traits{1, true, true, true, true, true, true, true, true, true}
	if n := len(all.Describe()); n != 10 {
		t.Errorf("%d of 10 traits are described", n)
	}
}
