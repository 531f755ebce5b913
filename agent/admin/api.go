package admin

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"

	"github.com/longshore/longshore/pipeline"
)

// A Console is what the page and its API show of the agent, and have it do. What its methods return
// is encoded as JSON; they are called concurrently.
type Console interface {
	Config() any
	// Try says what would become of lines in a pipeline.
	Try(ctx context.Context, lines, pipeline string) (any, error)
	DeadLetters() any
	// Replay begins to send an output's dead letters again.
	Replay(output string) (any, error)
	StopReplay(output string) (any, error)
}

// maxTry bounds the lines that are tried at a time.
const maxTry = 1 << 20

// A refusal is an error with the status to answer it with.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

// Busy is the error of what can be asked for later.
func Busy(text string) error { return refusal{http.StatusConflict, text} }

// Missing is the error of what was asked for and is not there.
func Missing(text string) error { return refusal{http.StatusNotFound, text} }

// Invalid is the error of what cannot be asked for so.
func Invalid(text string) error { return refusal{http.StatusBadRequest, text} }

// serveConsole adds the console's part of the API.
func serveConsole(api *http.ServeMux, c Console, token pipeline.Secret) {
	api.HandleFunc("GET /api/v1/config", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, c.Config())
	})
	api.HandleFunc("GET /api/v1/dead-letters", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, c.DeadLetters())
	})
	api.HandleFunc("POST /api/v1/try", func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ Lines, Pipeline string }
		if err := readJSON(w, r, &ask); err != nil {
			answerTo(w, nil, err)
			return
		}
		tried, err := c.Try(r.Context(), ask.Lines, ask.Pipeline)
		answerTo(w, tried, err)
	})
	const replay = "/api/v1/dead-letters/{output}/replay"
	api.Handle("POST "+replay, changing(token, func(w http.ResponseWriter, r *http.Request) {
		started, err := c.Replay(r.PathValue("output"))
		answerTo(w, started, err)
	}))
	api.Handle("DELETE "+replay, changing(token, func(w http.ResponseWriter, r *http.Request) {
		ended, err := c.StopReplay(r.PathValue("output"))
		answerTo(w, ended, err)
	}))
}

// changing is for what changes something: it needs the token on this machine, too. guard has
// checked one that is set.
func changing(token pipeline.Secret, next http.HandlerFunc) http.Handler {
	if token != "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this changes something, and needs a token on this machine, too: set http.token",
			http.StatusForbidden)
	})
}

// readJSON reads what was sent. Only a page of ours can send this type without asking first, which
// nobody answers.
func readJSON(w http.ResponseWriter, r *http.Request, to any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refusal{http.StatusUnsupportedMediaType, "send Content-Type: application/json"}
	}
	// A byte of a line may take six in JSON.
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 6*maxTry)).Decode(to)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refusal{http.StatusRequestEntityTooLarge, "this is too much at a time"}
	case err != nil:
		return Invalid("this is not the JSON that is expected: " + err.Error())
	}
	return nil
}

func answerTo(w http.ResponseWriter, a any, err error) {
	var r refusal
	switch {
	case err == nil:
		write(w, http.StatusOK, a)
	case errors.As(err, &r):
		http.Error(w, r.text, r.status)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
