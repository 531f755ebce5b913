package deliver

import "github.com/longshore/longshore/pipeline"

// coverage gives the stretch of the source that item i of run k stands for:
// from itself (the first of a run: from the run's start) to the next item.
func coverage(b *pipeline.Body, k, i int) (from, to uint64) {
	run := &b.Runs[k]
	from, to = run.From, run.To
	if i > run.First {
		from = b.Items[i].Pos
	}
	if i+1 < runEnd(b, k) {
		to = b.Items[i+1].Pos
	}
	return from, to
}

func runEnd(b *pipeline.Body, k int) int {
	if k+1 < len(b.Runs) {
		return b.Runs[k+1].First
	}
	return len(b.Items)
}

// finish notes everything in the body as done.
func finish(b *pipeline.Body) {
	for i := range b.Runs {
		b.Runs[i].Track.Done(b.Runs[i].From, b.Runs[i].To)
	}
}

// pick copies the items that keep chooses to an empty body. With done, the
// stretches of all others are noted as done, and so are runs without items.
func pick(dst, src *pipeline.Body, keep func(i int) bool, done bool) {
	dst.Uncertain = src.Uncertain
	for k := range src.Runs {
		run := src.Runs[k]
		end := runEnd(src, k)
		if done && run.First == end {
			run.Track.Done(run.From, run.To)
		}
		open := false
		for i := run.First; i < end; i++ {
			from, to := coverage(src, k, i)
			if !keep(i) {
				open = false
				if done {
					run.Track.Done(from, to)
				}
				continue
			}
			if !open {
				dst.Runs = append(dst.Runs, pipeline.Run{
					Source: run.Source, Track: run.Track, First: len(dst.Items), From: from,
				})
				open = true
			}
			dst.Runs[len(dst.Runs)-1].To = to
			appendItem(dst, src, i)
		}
	}
}

func appendItem(dst, src *pipeline.Body, i int) {
	item := src.Items[i]
	dst.Bytes = append(dst.Bytes, src.Item(i)...)
	item.End = uint32(len(dst.Bytes))
	if len(src.Groups) > 0 {
		item.Group = dst.Group([]byte(src.Groups[item.Group]))
	}
	dst.Items = append(dst.Items, item)
}

// finishEmpty notes the runs that have no items as done.
func finishEmpty(b *pipeline.Body) {
	for k, run := range b.Runs {
		if run.First == runEnd(b, k) {
			run.Track.Done(run.From, run.To)
		}
	}
}
