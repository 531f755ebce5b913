package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"golang.org/x/oauth2"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// An Error is a request that got no usable answer.
type Error struct {
	// URL is the destination, without secrets.
	URL string
	// Sent is set if a connection was made, so that some of the request may have arrived.
	Sent bool
	Err  error
}

// Error says what failed, where, and what to do about it.
func (e *Error) Error() string { return e.URL + ": " + describe(e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A redirectError is an answer that redirects.
type redirectError struct {
	to     string
	status int
}

func (r *redirectError) Error() string {
	return fmt.Sprintf("it answered %d and points to %q; redirects are not followed, set the url to where the logs "+
		"belong", r.status, r.to)
}

// RequestError returns what an output's Send returns for the error of a request, or of reading its
// answer.
func RequestError(err error) *pipeline.SendError {
	failure := &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: describe(err), Err: err}
	var e *Error
	if errors.As(err, &e) {
		failure.Reason = e.Error()
		failure.Uncertain = e.Sent
	}
	if needsUser(err) {
		failure.Outcome = pipeline.Hold
	}
	return failure
}

// needsUser reports whether an error will not pass by itself: trust, tokens, redirects.
func needsUser(err error) bool {
	var certificate *tls.CertificateVerificationError
	var token *oauth2.RetrieveError
	var redirected *redirectError
	var file *fs.PathError
	switch {
	case errors.As(err, &certificate), errors.As(err, &redirected), errors.As(err, &file), errors.Is(err, errTLSPort):
		return true
	case errors.As(err, &token):
		return token.Response != nil && token.Response.StatusCode/100 == 4 &&
			token.Response.StatusCode != http.StatusTooManyRequests
	}
	return false
}

// describe explains common errors, with the setting that fixes them.
func describe(err error) string {
	if text := describeTLS(err); text != "" {
		return text
	}
	var dns *net.DNSError
	var token *oauth2.RetrieveError
	switch {
	case errors.As(err, &token):
		return describeToken(token)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("no such host %q; check the name in the url", dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %q cannot be looked up now (%s)", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; is it running, and is the port right?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to that host"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was broken"
	case errors.Is(err, context.Canceled):
		return "the request was canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return "no answer in time; it may be overloaded, else raise timeout"
	}
	return Clean(withoutURL(err))
}

func describeTLS(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	alert, alerted := alertOf(err)
	switch {
	case errors.Is(err, tlsfiles.ErrFingerprint):
		return tlsfiles.ErrFingerprint.Error() + "; compare it with the server's"
	case errors.Is(err, tlsfiles.ErrNoServerName):
		return tlsfiles.ErrNoServerName.Error()
	case errors.Is(err, errTLSPort):
		return errTLSPort.Error()
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that is not trusted; set tls.ca_file (or tls.ca_fingerprint)"
	case errors.As(err, &name):
		return "its certificate is for another name; set tls.server_name if that is right (" + Clean(name.Error()) + ")"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet; renew it, and check the clocks (" +
			Clean(invalid.Error()) + ")"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS there; should the url begin with http:// ?"
	case alerted:
		return "it refused the TLS connection: " + Clean(alert.Error()) +
			"; it may want a client certificate: tls.cert_file and tls.key_file"
	}
	return ""
}

func describeToken(e *oauth2.RetrieveError) string {
	status := 0
	if e.Response != nil {
		status = e.Response.StatusCode
	}
	said := strings.TrimSpace(e.ErrorCode + " " + e.ErrorDescription)
	if said == "" {
		said = http.StatusText(status)
	}
	return fmt.Sprintf("the OAuth2 server gave no token (HTTP %d: %s); check auth.oauth2", status, Clean(said))
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// withoutURL returns an error's text without the URL that net/http put before it.
func withoutURL(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}
