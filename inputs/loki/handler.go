package loki

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/longshore/longshore/inputs/receive"
)

const (
	pushPath   = "/loki/api/v1/push"
	legacyPath = "/api/prom/push"
	readyPath  = "/ready"
	buildPath  = "/loki/api/v1/status/buildinfo"

	tenantHeader = "X-Scope-OrgID"
)

// buildInfo is what senders look at to know what they may send: structured metadata is from 3.0 on.
const buildInfo = `{"version":"3.0.0","revision":"longshore","branch":"","buildUser":"","buildDate":"","goVersion":""}`

type handler struct {
	hub         *receive.Hub
	maxBody     int64
	tenantLabel string // "" for none
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	look := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch r.URL.Path {
	case pushPath, legacyPath:
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "send entries by POST", http.StatusMethodNotAllowed)
			return
		}
		if err := h.push(w, r); err != nil {
			receive.Fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	case readyPath:
		if look {
			io.WriteString(w, "ready\n")
			return
		}
	case buildPath:
		if look {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, buildInfo)
			return
		}
	}
	http.Error(w, "this is Longshore, which takes entries for Loki at "+pushPath+", and answers no queries",
		http.StatusNotFound)
}

// push takes a request's entries, and returns nil when they are done.
func (h *handler) push(w http.ResponseWriter, r *http.Request) error {
	isJSON, err := isJSON(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	tenant := r.Header.Get(tenantHeader)
	if len(tenant) > maxTenant {
		return receive.Refuse(http.StatusBadRequest, "the tenant in %s has %d bytes; up to %d are taken", tenantHeader,
			len(tenant), maxTenant)
	}
	packed := !isJSON && !slices.Contains([]string{"", "identity", "snappy"}, r.Header.Get("Content-Encoding"))
	if !isJSON && !packed {
		r.Header.Set("Content-Encoding", "snappy") // protobuf is that in any case
	}
	body, release, err := h.hub.ReadBody(w, r, h.maxBody)
	if err != nil {
		return err
	}
	defer release()
	t := &taker{hub: h.hub, to: h.hub.NewRequest(), tenantLabel: h.tenantLabel, tenant: tenant}
	t.to.ReleaseOnceHandedOn(release)
	switch {
	case isJSON:
		err = t.json(body)
	case packed:
		err = h.unpackTwice(t, body)
	default:
		err = t.protobuf(body)
	}
	if err != nil {
		return err
	}
	return t.to.Deliver(r.Context())
}

// maxTenant is what Loki takes.
const maxTenant = 150

// unpackTwice takes protobuf in Snappy, that was packed once more.
func (h *handler) unpackTwice(t *taker, packed []byte) error {
	body, release, err := h.hub.ReadPacked(bytes.NewReader(packed), "snappy", int64(len(packed)), h.maxBody)
	if err != nil {
		return err
	}
	defer release()
	return t.protobuf(body)
}

// isJSON reports whether a type of body is JSON. All others are protobuf, as with Loki.
func isJSON(contentType string) (bool, error) {
	if contentType == "" {
		return false, nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return false, receive.Refuse(http.StatusBadRequest, "the Content-Type %.80q cannot be read: %v",
			contentType, err)
	case kind == "application/json":
		return true, nil
	case kind == "application/x-protobuf", kind == "application/octet-stream":
		return false, nil
	}
	return false, receive.Refuse(http.StatusUnsupportedMediaType, "the Content-Type %.80q is not taken; send "+
		"application/x-protobuf or application/json", kind)
}

func badRequest(format string, args ...any) error {
	return receive.Refuse(http.StatusBadRequest, "%s; nothing was taken", fmt.Sprintf(format, args...))
}
