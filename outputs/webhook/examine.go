package webhook

import (
	"context"
	"net/http"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Output)(nil)

// Examine implements pipeline.Examiner. It goes as far as a connection: a request would ring.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.target.String(), nil)
	if err != nil {
		tell(pipeline.Finding{What: "url", State: pipeline.FoundBroken, Says: "cannot be used"})
		return
	}
	if o.client.Reach(req, tell) {
		tell(pipeline.Finding{What: "login", State: pipeline.FoundUnknown,
			Says: "only a post tells whether the URL and its keys are taken: doctor --write sends one"})
	}
}
