package api

import (
	"cmp"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
)

// CredentialJSON is a registered credential with what is held of it, in JSON, here and in the commands. The client id and
// the reference of the secret are in it, the secret is not. Its names are a promise: scripts of users depend on them.
type CredentialJSON struct {
	Name             string            `json:"name"`
	Provider         string            `json:"provider"`
	ClientID         string            `json:"client_id"`
	KeyID            string            `json:"key_id,omitempty"`
	Secret           string            `json:"secret"`
	Description      string            `json:"description"`
	Scopes           []string          `json:"scopes"`
	Owner            string            `json:"owner"`
	Labels           map[string]string `json:"labels"`
	Schedule         string            `json:"schedule"`
	UnusedAfter      string            `json:"unused_after"`
	MaxAge           string            `json:"max_age"`
	Created          string            `json:"created,omitempty"`
	Expires          string            `json:"expires,omitempty"`    // when, as was declared
	ExpiresAt        time.Time         `json:"expires_at,omitzero"`  // when it ends by itself
	ExpiresBy        string            `json:"expires_by,omitempty"` // who says so: declared, certificate, key or provider
	Canary           bool              `json:"canary"`
	ExpectedNetworks []string          `json:"expected_networks"`
	Source           string            `json:"source"`
	Status           string            `json:"status"`
	StatusSince      time.Time         `json:"status_since,omitzero"`
	Outcome          string            `json:"outcome"` // of the last check, as are reason, latency and message
	Reason           string            `json:"reason"`
	LatencyMS        float64           `json:"latency_ms"`
	Message          string            `json:"message"`
	Unproven         []string          `json:"unproven_scopes,omitempty"` // declared, and its last token did not show them
	LastCheck        time.Time         `json:"last_check_at,omitzero"`
	LastSuccess      time.Time         `json:"last_success_at,omitzero"`
	NextCheck        time.Time         `json:"next_check_at,omitzero"`
	NextCheckWhy     string            `json:"next_check_why,omitempty"`
	Registered       time.Time         `json:"registered_at"`
	Retired          time.Time         `json:"retired_at,omitzero"`
}

// NewCredentialJSON makes the JSON of a credential from what is registered and what is held of it; the zero Standing:
// nothing is. A retired one has no next check.
func NewCredentialJSON(c credential.Credential, st audit.Standing) CredentialJSON {
	j := CredentialJSON{
		Name: c.Name, Provider: c.Provider, ClientID: c.Subject, KeyID: c.KeyID, Secret: c.Secret.String(), Description: c.Description,
		Scopes: append([]string{}, c.Scopes...), Owner: c.Owner, Labels: c.Labels, Schedule: c.Schedule,
		UnusedAfter: credential.FormatDuration(c.UnusedAfter), MaxAge: credential.FormatDuration(c.MaxAge),
		Canary: c.Canary, ExpectedNetworks: []string{}, Source: string(c.Source), Status: string(st.Status), StatusSince: st.Since.UTC(),
		Outcome: string(st.Outcome), Reason: string(st.Reason), LatencyMS: float64(st.Latency.Microseconds()) / 1000, Message: st.Message,
		LastCheck: st.LastCheck, LastSuccess: st.LastSuccess, NextCheck: c.NextCheck, NextCheckWhy: cmp.Or(c.NextWhy, "as scheduled"),
		Registered: c.Registered, Retired: c.Retired,
	}
	end := c.End(st.Ends)
	j.ExpiresAt, j.ExpiresBy, j.Unproven = end.At, string(end.By), st.Unproven
	if !c.Created.IsZero() {
		j.Created = c.Created.Format(time.DateOnly)
	}
	if !c.Expires.IsZero() {
		j.Expires = c.Expires.UTC().Format(time.RFC3339)
	}
	for _, n := range c.ExpectedNetworks {
		j.ExpectedNetworks = append(j.ExpectedNetworks, n.String())
	}
	if !c.Retired.IsZero() {
		j.NextCheck, j.NextCheckWhy = time.Time{}, ""
	}
	return j
}
