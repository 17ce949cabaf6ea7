package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/leak/intake"
)

// TakeReport verifies a report and stores what it says. exposure.ErrNoReporter says that there is no NAME like that,
// *intake.RefusedError and *intake.SETError that its sender is not the one who may report there, *intake.FormatError
// that it cannot be read. After any other error it may be sent again. It must be safe for concurrent use.
type TakeReport func(context.Context, exposure.LeakReport) (exposure.Reported, error)

// leakReport serves POST /api/v1/leaks/NAME. A report is authenticated by its signature only.
func (s *site) leakReport(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.RemoteAddr)
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "a report has at most 1 MiB, and comes in time")
		return
	}
	got, err := s.TakeReport(ctx, exposure.LeakReport{
		Reporter: r.PathValue("name"), Address: host, Header: r.Header, Body: body, Quiet: s.reportFailures.tooMany(host, s.Now()),
	})
	var (
		refused *intake.RefusedError
		token   *intake.SETError
		format  *intake.FormatError
	)
	wrong := errors.Is(err, exposure.ErrNoReporter) || errors.As(err, &refused) || errors.As(err, &token)
	switch {
	case wrong && s.reportFailures.add(host, s.Now()) > mostFailures:
		tooMany(w)
	case err == nil && got.Token:
		w.WriteHeader(http.StatusAccepted)
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		if got.Waiting {
			w.WriteHeader(http.StatusAccepted)
		}
		_ = json.NewEncoder(w).Encode(got)
	case errors.Is(err, exposure.ErrNoReporter):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.As(err, &refused):
		refuse(w, http.StatusUnauthorized, refused.Why)
	case errors.As(err, &token):
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Language", "en")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"err": token.Code, "description": token.Description})
	case errors.As(err, &format):
		refuse(w, http.StatusBadRequest, format.Error())
	default:
		s.Log.Error("a report could not be taken in", "reporter", r.PathValue("name"), "error", err)
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusServiceUnavailable, "it could not be taken in: send it again")
	}
}
