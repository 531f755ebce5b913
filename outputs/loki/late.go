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
	if failure, whole := resultOf(again, late, len(body.Items)); whole {
		return failure
	}
	o.metrics.late.Add(float64(len(late) - failedOf(again)))
	return mergeAgain(failure, again, late)
}

// resultOf prepares the failure of a body of some items to be merged into that of all; whole is set
// if it is the outcome of all.
func resultOf(again *pipeline.SendError, items []int, all int) (_ *pipeline.SendError, whole bool) {
	if again != nil && again.Items == nil && len(items) < all {
		// What is to be split or bisected comes back alone.
		again.Outcome = retryOrHold(again.Outcome)
		again.Items = itemErrors(again, indicesUpTo(len(items)))
	}
	return again, again != nil && again.Items == nil
}

// failedOf returns how many items of a body failed.
func failedOf(failure *pipeline.SendError) int {
	if failure == nil {
		return 0
	}
	return len(failure.Items)
}

// mergeAgain replaces the outcomes of items by those that they had when they were sent again.
func mergeAgain(failure, again *pipeline.SendError, sent []int) *pipeline.SendError {
	items := slices.DeleteFunc(slices.Clone(failure.Items), func(item pipeline.ItemError) bool {
		_, found := slices.BinarySearch(sent, item.Index)
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
		again.Items[i].Index = sent[again.Items[i].Index]
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
