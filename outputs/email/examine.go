package email

import (
	"context"
	"errors"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Output)(nil)

// Examine implements pipeline.Examiner: it logs in and names sender and recipients, as for a mail,
// and takes that back.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	broken := func(what string, err error) {
		says := err.Error()
		var failure *pipeline.SendError
		if errors.As(err, &failure) {
			says = failure.Reason
		}
		tell(pipeline.Finding{What: what, State: pipeline.FoundBroken, Says: says})
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	s, err := o.open(ctx)
	if err != nil {
		broken("server", err)
		return
	}
	defer s.close()
	tell(pipeline.Finding{What: "server", Says: o.Location() + o.greeted()})
	if state, encrypted := s.TLSConnectionState(); encrypted {
		tell(httpclient.Certificates(state))
	}
	if err := s.Mail(o.from.Address); err != nil {
		broken("sender", o.failed("naming the sender", err, false))
		return
	}
	for _, to := range o.to {
		if err := s.Rcpt(to.Address); err != nil {
			broken("recipient", o.failed("naming the recipient "+to.Address, err, false))
			return
		}
	}
	_ = s.Reset()
	tell(pipeline.Finding{What: "sender", Says: "it takes mails of " + o.from.Address + " to " +
		pipeline.Count(len(o.to), "recipient")})
}

func (o *Output) greeted() string {
	if o.username == "" {
		return " takes connections; no login is set"
	}
	return " takes connections and the login"
}
