package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/registry"
)

// Rules of problems:
//
//  1. Whatever went wrong, the answer is one (RFC 9457), in sentences for whoever asked.
//  2. What a library says reaches the log only. A sentence about a parameter or a member is made of what the document says
//     of it, not of what found it wrong.
//  3. A value is repeated where it stood in the address; none of a body is: it could be a secret.

// Problem is why something was not done (RFC 9457).
type Problem struct {
	Type   string  `json:"type" doc:"Always about:blank: the status says which sort it is."`
	Title  string  `json:"title" doc:"The status in words."`
	Status int     `json:"status" doc:"The HTTP status."`
	Detail string  `json:"detail" doc:"What is wrong, in sentences."`
	Hint   string  `json:"hint,omitempty" doc:"What to do about it, where that is known."`
	Errors []Wrong `json:"errors,omitempty" nullable:"false" doc:"Each thing that is wrong with the request."`

	after int // seconds, for Retry-After; 0: none
}

// Wrong is one thing that is wrong with a request.
type Wrong struct {
	Where  string `json:"where" doc:"The parameter or member: query.limit, path.id, body.why."`
	Detail string `json:"detail" doc:"What is wrong with it, and what it may be."`
}

// Error is what is wrong, and Public says that it is for whoever asked.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders is for huma.
func (p *Problem) GetHeaders() http.Header {
	if p.after == 0 {
		return nil
	}
	return http.Header{"Retry-After": {itoa(p.after)}}
}

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

func problem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// wrongly is a problem of what was asked for.
func wrongly(all ...Wrong) *Problem {
	var details []string
	for _, w := range all[:min(len(all), mostWrong)] {
		details = append(details, w.Detail)
	}
	if n := len(all) - mostWrong; n > 0 {
		details = append(details, fmt.Sprintf("%d more members are wrong.", n))
	}
	p := problem(http.StatusUnprocessableEntity, strings.Join(details, " "))
	p.Errors = all
	return p
}

const mostWrong = 5 // that the detail repeats

// write answers with a problem outside of huma.
func write(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// meanings describe the problems in the document.
var meanings = map[int]string{
	http.StatusBadRequest:            "The body cannot be read.",
	http.StatusUnauthorized:          "Nobody is signed in.",
	http.StatusForbidden:             "The role of whoever asks does not allow it.",
	http.StatusNotFound:              "There is no such thing, or not for whoever asks.",
	http.StatusConflict:              "It cannot be done as things are.",
	http.StatusPreconditionFailed:    "It was changed since (If-Match).",
	http.StatusRequestEntityTooLarge: "The body is too large.",
	http.StatusUnsupportedMediaType:  "The body is not JSON.",
	http.StatusUnprocessableEntity:   "A parameter or member is not what it may be.",
	http.StatusTooManyRequests:       "Too many requests: Retry-After says when the next is answered.",
	http.StatusInternalServerError:   "A mistake of keyrounds: its log has it.",
	http.StatusServiceUnavailable:    "The database does not answer now.",
}

// problemOf tells an error of an operation. Those of ours that have a method Public say themselves what they are.
func (s *server) problemOf(ctx context.Context, operation string, err error) *Problem {
	var (
		p      *Problem
		public interface{ Public() string }
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, registry.ErrNotFound), errors.Is(err, finding.ErrNotFound):
		return problem(http.StatusNotFound, "There is no such thing here, or not for you.")
	case errors.Is(err, audit.ErrResolved):
		return problem(http.StatusConflict, "The finding is resolved already.")
	case errors.As(err, &public):
		p := problem(http.StatusConflict, public.Public())
		p.Hint = hintOf(err)
		return p
	case s.stopping():
		p := problem(http.StatusServiceUnavailable, "The daemon stops. What was under way is stored.")
		p.Hint = "ask again when it runs"
		return p
	case ctx.Err() != nil: // whoever asked is gone
		return problem(http.StatusServiceUnavailable, "The request was ended before it was answered.")
	}
	if s.Tell != nil {
		p := problem(http.StatusServiceUnavailable, s.Tell(err))
		p.Hint = hintOf(err)
		return p
	}
	s.Log.Error("a request failed", "operation", operation, "error", err)
	return problem(http.StatusServiceUnavailable, "The database does not answer now, or not as it should. Ask again later.")
}

// stopping says whether the daemon stops, which breaks off what it does for people.
func (s *server) stopping() bool {
	select {
	case <-s.Ended:
		return true
	default:
		return false
	}
}

// hintOf is what an error says to do about it.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// toProblem makes a problem of ours of what huma says.
func (s *server) toProblem(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	op := ctx.Operation()
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		return problem(e.Status, fmt.Sprintf("The body is larger than %d bytes, which is the most that this takes.", op.MaxBodyBytes)), nil
	case http.StatusUnsupportedMediaType:
		return problem(e.Status, "The body is not JSON: send it with Content-Type: application/json."), nil
	case http.StatusRequestTimeout:
		return problem(e.Status, "The body did not come in time."), nil
	case http.StatusBadRequest:
		if len(e.Errors) == 0 {
			return problem(e.Status, "A body is wanted, and none came."), nil
		}
		return problem(e.Status, "The body cannot be read as JSON, in UTF-8 and without NUL characters."), nil
	case http.StatusUnprocessableEntity:
		p := wrongly(s.wrongs(op, e.Errors)...)
		return p, nil
	}
	s.Log.Error("a request failed", "operation", op.OperationID, "status", e.Status, "detail", e.Detail)
	return problem(http.StatusInternalServerError, "This is a mistake of keyrounds, and its log has it."), nil
}

func itoa(n int) string { return strconv.Itoa(n) }
