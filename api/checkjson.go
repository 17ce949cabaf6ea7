package api

import (
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/rounds"
)

// CheckJSON is what one check saw, here and in the commands. Its names are a promise: scripts of users depend on them.
type CheckJSON struct {
	Credential string                `json:"credential"`
	Provider   string                `json:"provider"`
	Outcome    string                `json:"outcome"`
	Reason     *string               `json:"reason"`
	Status     string                `json:"status"`
	HTTPStatus *int                  `json:"http_status"`
	ErrorCode  *string               `json:"error_code"`
	LatencyMS  float64               `json:"latency_ms"`
	PhasesMS   PhasesJSON            `json:"phases_ms"`
	Granted    []string              `json:"granted_scopes"` // null: the answer did not say
	Missing    []string              `json:"missing_scopes"`
	Extra      []string              `json:"extra_scopes"`
	Unproven   []string              `json:"unproven_scopes"` // declared, and nothing of this check shows them
	Probes     []checker.ProbeResult `json:"probes"`
	CheckedAt  time.Time             `json:"checked_at"`
	Message    string                `json:"message"`
	Trace      []string              `json:"trace,omitempty"` // how the answer was read, where that was asked for
}

// PhasesJSON says how long each phase of an exchange took, in milliseconds; 0: it did not happen.
type PhasesJSON struct {
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"first_byte"`
	Total     float64 `json:"total"`
}

// NewCheckJSON makes the JSON of a check.
func NewCheckJSON(j rounds.Judged) CheckJSON {
	r := j.Result
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return CheckJSON{
		r.Credential,
		r.Provider,
		string(r.Outcome),
		orNull(string(r.Reason)),
		string(j.State.Status),
		orNull(r.HTTPStatus),
		orNull(r.ErrorCode),
		ms(r.Phases.Total),
		PhasesJSON{ms(r.Phases.DNS), ms(r.Phases.Connect), ms(r.Phases.TLS), ms(r.Phases.FirstByte), ms(r.Phases.Total)},
		r.Granted,
		orEmpty(r.Missing),
		orEmpty(r.Extra),
		orEmpty(r.Unproven),
		orEmpty(r.Probes),
		r.At.UTC(),
		r.Message,
		nil,
	}
}
