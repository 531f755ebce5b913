package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Output)(nil)

// renewTime is how long before a certificate expires is warned of it.
const renewTime = 14 * 24 * time.Hour

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
		tell(certificate(state))
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

// certificate tells of one that is trusted.
func certificate(state tls.ConnectionState) pipeline.Finding {
	f := pipeline.Finding{What: "TLS", Says: tls.VersionName(state.Version)}
	for i, c := range state.PeerCertificates {
		if i == 0 {
			f.Says += ", " + httpclient.Clean(c.Subject.String()) + ", until " + c.NotAfter.UTC().Format(time.DateOnly)
		}
		if time.Until(c.NotAfter) < renewTime {
			f.State = pipeline.FoundDoubtful
			f.Advice = fmt.Sprintf("renew the certificate of %s before %s", httpclient.Clean(c.Subject.String()),
				c.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	return f
}
