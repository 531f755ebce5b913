package loki

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// Loki's ingesters reject entries more than an hour behind the newest of their stream, though the
// tenant may send entries of that age. They go to the late stream, which has this label in
// addition.
const (
	lateLabel = "late"
	lateValue = "1"
)

// sendLate sends the entries that came too late to their late streams, and returns what remains of
// the failure.
func (o *Output) sendLate(ctx context.Context, body *pipeline.Body, failure *pipeline.SendError) *pipeline.SendError {
	late, groups := lateItems(body, failure)
	if len(late) == 0 {
		return failure
	}
	stream := subset(body, late)
	stream.Groups = groups
	again := o.sendIsolated(ctx, stream, groupsOf(stream)) // or Loki might hide what it rejects
	if again != nil && again.Items == nil && len(late) < len(body.Items) {
		// What is to be split or bisected comes back alone.
		again.Outcome = retryOrHold(again.Outcome)
		again.Items = itemErrors(again, indicesUpTo(len(late)))
	}
	if again != nil && again.Items == nil {
		return again // the outcome of the whole body
	}
	stored := len(late)
	if again != nil {
		stored -= len(again.Items)
	}
	o.metrics.late.Add(float64(stored))
	return mergeLate(failure, again, late)
}

// mergeLate replaces the outcomes of the late items by those in their late streams.
func mergeLate(failure, again *pipeline.SendError, late []int) *pipeline.SendError {
	items := slices.DeleteFunc(slices.Clone(failure.Items), func(item pipeline.ItemError) bool {
		_, found := slices.BinarySearch(late, item.Index)
		return found
	})
	if again == nil {
		if len(items) == 0 {
			return nil
		}
		rest := *failure
		rest.Items = items
		return &rest
	}
	for i := range again.Items {
		again.Items[i].Index = late[again.Items[i].Index]
	}
	rest := *failure
	rest.Items = items
	return mergeFailures(&rest, again)
}

// lateItems returns the items that can go to late streams, and the names of the body's groups
// there.
func lateItems(body *pipeline.Body, failure *pipeline.SendError) (late []int, groups []string) {
	groups = make([]string, len(body.Groups))
	for _, item := range failure.Items {
		if item.Outcome != pipeline.Reject || item.Status != http.StatusBadRequest ||
			!strings.Contains(item.Reason, msgTooFarBehind) {
			continue
		}
		g := body.Items[item.Index].Group
		if groups[g] == "" {
			groups[g] = withLateLabel(body.Groups[g])
		}
		if groups[g] != body.Groups[g] {
			late = append(late, item.Index)
		}
	}
	return late, groups
}

// withLateLabel returns a label set with the late label; without it where Loki accepts no further
// label, or the label is in use.
func withLateLabel(set string) string {
	pairs := splitLabelSet(set)
	name := func(pair string) string { name, _, _ := strings.Cut(pair, "="); return name }
	at := 0
	for _, pair := range pairs {
		if name(pair) == lateLabel {
			return set
		}
		if name(pair) < lateLabel {
			at++
		}
	}
	if len(pairs) == 0 || len(pairs) >= maxLabels {
		return set
	}
	pairs = slices.Insert(pairs, at, lateLabel+"="+strconv.Quote(lateValue))
	return "{" + strings.Join(pairs, ", ") + "}"
}

func indicesUpTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
