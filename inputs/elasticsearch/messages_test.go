package elasticsearch

import (
	"context"
	"encoding/json"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// messages is the input, of which only the messages of the documents are sent.
type messages struct{ pipeline.Input }

// Run implements pipeline.Input.
func (m messages) Run(ctx context.Context, feed pipeline.Feed) error {
	return m.Input.Run(ctx, messageFeed{feed})
}

// Commit implements pipeline.Committer.
func (m messages) Commit(id event.SourceID, at pipeline.Cursor) {
	m.Input.(pipeline.Committer).Commit(id, at)
}

type messageFeed struct{ pipeline.Feed }

// Send implements pipeline.Feed.
func (m messageFeed) Send(ctx context.Context, b *event.Batch) error {
	for i := range b.Records {
		var document struct{ Message string }
		if err := json.Unmarshal(b.Line(i), &document); err != nil {
			return err
		}
		b.Records[i].Line = b.PutString(document.Message)
	}
	return m.Feed.Send(ctx, b)
}
