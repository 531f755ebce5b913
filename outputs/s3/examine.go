package s3

import (
	"context"
	"fmt"
	"net/http"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// Location implements pipeline.Prober.
func (o *Output) Location() string {
	region := o.bucket.region
	if region == "" {
		region = "us-east-1"
	}
	return httpclient.Location(o.bucket.at(region))
}

// Probe implements pipeline.Prober: it asks for the bucket.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	base, err := o.base(ctx)
	if err != nil {
		return "", err
	}
	a, err := o.ask(ctx, http.MethodHead, base)
	switch {
	case err != nil:
		return "", err
	case a.StatusCode == http.StatusForbidden: // who may write need not be one who may ask
		return "", nil
	case a.StatusCode != http.StatusOK:
		return "", o.bucketFailure(a)
	}
	return httpclient.Clean(a.Header.Get("Server")), nil
}

// bucketFailure says what an answer without words is likely to mean.
func (o *Output) bucketFailure(a *answer) error {
	failure := o.failure(a)
	switch {
	case a.StatusCode == http.StatusNotFound:
		failure.Reason = fmt.Sprintf("%s: there is no bucket %s; make it, or check bucket, region and endpoint",
			httpclient.Location(a.Request.URL), o.bucket.name)
	case a.StatusCode == http.StatusMovedPermanently || a.StatusCode == http.StatusBadRequest:
		if region := regionOf(a, &errorBody{}); region != "" {
			failure.Reason = fmt.Sprintf("%s: the bucket is in %s; set region to that",
				httpclient.Location(a.Request.URL), region)
		}
	}
	return failure
}

// Examine implements pipeline.Examiner: the way there, the credentials, and the bucket. Nothing is
// written, so whether that is allowed is not told.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	base, err := o.base(ctx)
	if err != nil {
		tell(pipeline.Finding{What: "region", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, base.String(), nil)
	if err != nil {
		tell(pipeline.Finding{What: "HTTP", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	if !o.client.Reach(req, tell) {
		return
	}
	a, err := o.ask(ctx, http.MethodHead, base)
	f := pipeline.Finding{What: "bucket", Says: o.bucket.name + " is there"}
	switch {
	case err != nil:
		f.State, f.Says = pipeline.FoundBroken, err.Error()
	case a.StatusCode == http.StatusOK:
	case a.StatusCode == http.StatusForbidden:
		f.State = pipeline.FoundUnknown
		f.Says = "it may not be asked for with these credentials: they are not valid, or lack s3:ListBucket, which " +
			"writing does not need"
	default:
		f.State, f.Says = pipeline.FoundBroken, o.bucketFailure(a).Error()
	}
	tell(f)
}
