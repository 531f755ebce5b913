package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxErrors is how many problems are reported; nobody reads more.
const maxErrors = 200

// A problemList collects problems while a config is read. They become text only at
// the end, when it is known what is secret.
type problemList struct {
	source *source
	found  []problem
	warned []problem
	hidden []string // texts that messages must not hold
}

type problem struct {
	at            span
	path, message string
	// renames and to are a deprecated name and the one that it has now.
	renames, to string
}

func (r *problemList) add(at span, path, format string, args ...any) {
	r.found = append(r.found, problem{at: at, path: path, message: fmt.Sprintf(format, args...)})
}

// warn is add for what works, but should be changed.
func (r *problemList) warn(at span, path, format string, args ...any) {
	r.warned = append(r.warned, problem{at: at, path: path, message: fmt.Sprintf(format, args...)})
}

// deprecated warns of a name that has become another.
func (r *problemList) deprecated(at span, path, name, now string) {
	message := fmt.Sprintf("is deprecated; use %q", now)
	r.warned = append(r.warned, problem{at: at, path: path, message: message, renames: name, to: now})
}

func (r *problemList) errors() Errors   { return r.sorted(r.found) }
func (r *problemList) warnings() Errors { return r.sorted(r.warned) }

// sorted returns problems in the order of the file, each once: what an alias
// repeats is one problem.
func (r *problemList) sorted(found []problem) Errors {
	slices.SortStableFunc(found, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col))
	})
	var errs Errors
	seen := map[problem]bool{}
	for _, m := range found {
		once := problem{at: m.at, message: m.message}
		if seen[once] || len(errs) >= maxErrors {
			continue
		}
		seen[once] = true
		errs = append(errs, r.error(m))
	}
	return errs
}

func (r *problemList) error(m problem) Error {
	e := Error{File: r.source.file, Line: m.at.line, Column: m.at.col, Path: m.path, Renames: m.renames, To: m.to}
	e.Message = r.redact(m.message)
	e.Excerpt, e.Caret, e.Width = r.source.excerpt(m.at)
	return e
}

// redact takes secrets out of a message, such as one that quotes a URL.
func (r *problemList) redact(message string) string {
	for _, secret := range r.hidden {
		if len(secret) >= 4 {
			message = strings.ReplaceAll(message, secret, "***")
		}
	}
	return userinfo.ReplaceAllString(message, "://***@")
}
