package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/secrets"
)

// An answer is one of the service's.
type answer struct {
	*http.Response
	body []byte
	code string // of the error, as S3 names it
}

// setKey adds a key to a bucket's URL. It is escaped as signatures want it, which is more than
// net/url does.
func setKey(u *url.URL, key string) {
	u.Path = strings.TrimRight(u.Path, "/") + "/" + key
	u.RawPath = escape(u.Path)
}

func escape(path string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/-_.~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
	}
	return out.String()
}

// write makes an object, where there is none if the service can do that.
func (o *Output) write(
	ctx context.Context, at *url.URL, content []byte, body *httpclient.Payload, header map[string]string,
) (*answer, *pipeline.SendError) {
	all := maps.Clone(header)
	if all == nil {
		all = map[string]string{}
	}
	if o.conditional.Load() != conditionalNo {
		all["If-None-Match"] = "*"
	}
	all["Content-Type"] = o.packer.contentType()
	sum := md5.Sum(content) // buckets with object lock want it
	all["Content-Md5"] = base64.StdEncoding.EncodeToString(sum[:])
	return o.do(ctx, http.MethodPut, at, content, body, all)
}

func (p *packer) contentType() string {
	switch p.compression {
	case "gzip":
		return "application/gzip"
	case "zstd":
		return "application/zstd"
	}
	return "application/x-ndjson"
}

// do sends a signed request. The error is of one without an answer.
func (o *Output) do(
	ctx context.Context, method string, at *url.URL, content []byte, body *httpclient.Payload, header map[string]string,
) (*answer, *pipeline.SendError) {
	region, err := o.region(ctx)
	if err != nil {
		return nil, asFailure(err)
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return nil, httpclient.RequestError(err)
	}
	req.URL = at
	if body != nil {
		body.Attach(req, content)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	hash := sha256.Sum256(content)
	sum := hex.EncodeToString(hash[:])
	req.Header.Set("X-Amz-Content-Sha256", sum)
	if err := o.signer.Sign(ctx, req, sum, region, time.Now().Add(time.Duration(o.skew.Load()))); err != nil {
		return nil, loginFailure(err)
	}
	resp, err := o.client.RoundTrip(req)
	if err != nil {
		return nil, httpclient.RequestError(err)
	}
	a := &answer{Response: resp}
	if a.body, err = httpclient.ReadBody(resp); err != nil {
		return nil, httpclient.RequestError(err)
	}
	a.code = codeOf(a.body)
	return a, nil
}

// loginFailure is the error of a request that was not sent, for want of credentials.
func loginFailure(err error) *pipeline.SendError {
	failure := &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	if secrets.IsUnavailable(err) {
		failure.Outcome = pipeline.Retry
	}
	return failure
}

// An errorBody is what S3 says of an error.
type errorBody struct {
	XMLName                       xml.Name `xml:"Error"`
	Code, Message, Region, Header string
}

func parseError(body []byte) (e errorBody, ok bool) {
	return e, xml.Unmarshal(body, &e) == nil && e.Code != ""
}

func codeOf(body []byte) string {
	e, _ := parseError(body)
	return e.Code
}

// stored returns nil for the answer to an object that is there now.
func (o *Output) stored(a *answer) *pipeline.SendError {
	if a.StatusCode == http.StatusOK && a.Header.Get("Etag") != "" {
		return nil
	}
	return o.failure(a)
}

// failure returns what an answer that is not success means for the records. Nothing that is in them
// can be wrong for an object store, so none is ever rejected: what is wrong is a setting, a right,
// or the service.
func (o *Output) failure(a *answer) *pipeline.SendError {
	e, known := parseError(a.body)
	failure := httpclient.ResponseError(a.Response, a.body)
	where := httpclient.Location(a.Request.URL) + ": "
	if known {
		words, _, _ := strings.Cut(e.Message, "The Canonical String") // which repeats a session's token
		failure.Reason = where + httpclient.Clean(fmt.Sprintf("%s: %s (%d)", e.Code, words, a.StatusCode))
	}
	switch failure.Outcome {
	case pipeline.Bisect, pipeline.Reject:
		failure.Outcome = pipeline.Hold
	}
	if a.StatusCode/100 == 2 {
		failure.Outcome, failure.Uncertain = pipeline.Hold, true
		failure.Reason = where + "the answer is not that of an object store; check endpoint and proxy"
	}
	o.byCode(a, &e, failure)
	return failure
}

// byCode has the error's code decide, where there is more to be said than by its status.
func (o *Output) byCode(a *answer, e *errorBody, failure *pipeline.SendError) {
	retry := func(uncertain bool) { failure.Outcome, failure.Uncertain = pipeline.Retry, uncertain }
	switch e.Code {
	case "SlowDown", "ServiceUnavailable", "TooManyRequests", "ThrottlingException", "RequestLimitExceeded":
		retry(false)
	case "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody": // broken on the way
		retry(false)
	case "RequestTimeout", "InternalError", "OperationAborted", "ConditionalRequestConflict":
		retry(true)
	case "RequestTimeTooSkewed":
		o.adjustClock(a)
		retry(false)
	case "AccessDenied":
		failure.Reason += "; it takes s3:PutObject, with prefix as the resource, and kms:GenerateDataKey with a key " +
			"of one's own"
	case "NoSuchBucket":
		failure.Reason += "; make the bucket, or check bucket, region and endpoint"
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		if region := regionOf(a, e); region != "" {
			failure.Reason += "; the bucket is in " + region + ": set region to that"
		}
	case "NotImplemented":
		if o.conditional.CompareAndSwap(conditionalUnknown, conditionalNo) {
			o.log.Warn("the service cannot make objects only where there are none; what is under way during a crash " +
				"may be a duplicate (set conditional_writes: false to be spared of this)")
			retry(false)
		}
	}
	if secrets.InvalidAWSLogin(e.Code) {
		o.signer.Forget()
	}
	// It may have been made by this very request, which something on the way has sent twice.
	if a.StatusCode == http.StatusPreconditionFailed || a.StatusCode == http.StatusConflict {
		retry(true)
	}
}

// regionOf returns the region that an error says is the bucket's.
func regionOf(a *answer, e *errorBody) string {
	region := e.Region
	if region == "" {
		region = a.Header.Get("X-Amz-Bucket-Region")
	}
	if secrets.CheckAWSRegion(region) != nil {
		return ""
	}
	return region
}

// adjustClock takes the service's clock for signatures: ours is off.
func (o *Output) adjustClock(a *answer) {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return
	}
	skew := time.Until(date).Round(time.Second)
	o.skew.Store(int64(skew))
	o.log.Warn("the service finds this machine's clock wrong; its own is taken for signatures (set the clocks by NTP)",
		"service_ahead", skew.String())
}
