package api

import (
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// ScopeJSON is what is known of one scope of a credential, here and in the commands.
type ScopeJSON struct {
	Scope     string `json:"scope"`
	Approved  bool   `json:"approved"`  // declared in the registry
	Requested bool   `json:"requested"` // sent with the exchange
	Granted   string `json:"granted"`   // yes, no, not said
	Effective string `json:"effective"` // yes, no: why, not known: why, not probed, not verifiable safely
	Used      string `json:"used"`      // last and when, no, not known: why
}

// ScopesJSON is the table of a credential's scopes, here and in the commands.
type ScopesJSON struct {
	At       time.Time     `json:"at,omitzero"` // of the token that this is about
	Scopes   []ScopeJSON   `json:"scopes"`
	Drift    []audit.Drift `json:"drift"`    // changes of what is granted, the newest first
	Proposal []string      `json:"proposal"` // the scopes of a smaller credential; null: it is as small as is known
}

// NewScopesJSON makes the table of a credential's scopes. used says of each how it is used.
func NewScopesJSON(
	c credential.Credential,
	p checker.Provider,
	last audit.LastScopes,
	drift []audit.Drift,
	used func(scope string) string,
) ScopesJSON {
	all := slices.Concat(c.Scopes, last.Granted)
	slices.Sort(all)
	t := ScopesJSON{At: last.At, Scopes: []ScopeJSON{}, Drift: orEmpty(drift)}
	var keep []string
	for _, scope := range slices.Compact(all) {
		s := ScopeJSON{
			Scope:     scope,
			Approved:  slices.Contains(c.Scopes, scope),
			Granted:   "not said",
			Effective: "not probed",
			Used:      used(scope),
		}
		s.Requested = s.Approved && p.RequestScopes
		if last.Granted != nil {
			s.Granted = "no"
			if slices.Contains(last.Granted, scope) {
				s.Granted = "yes"
			}
		}
		probe := slices.IndexFunc(last.Probes, func(pr checker.ProbeResult) bool { return pr.Scope == scope })
		switch {
		case probe >= 0:
			s.Effective = effect(last.Probes[probe])
		case changes(scope):
			s.Effective = "not verifiable safely"
		}
		if s.Approved && s.Granted != "no" && !strings.HasPrefix(s.Effective, "no:") {
			keep = append(keep, scope)
		}
		t.Scopes = append(t.Scopes, s)
	}
	if !last.At.IsZero() && len(keep) > 0 && len(keep) < len(t.Scopes) {
		t.Proposal = keep
	}
	return t
}

func effect(pr checker.ProbeResult) string {
	switch pr.Verdict {
	case checker.ProbeOK:
		return "yes"
	case checker.ProbeDenied:
		return "no: " + words(string(pr.Reason))
	}
	return "not known: " + words(string(pr.Reason))
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

// changes reports whether a scope's name says that using it changes something: no probe shows it.
func changes(scope string) bool {
	return slices.ContainsFunc([]string{"write", "manage", "create", "delete", "update", "admin"}, func(w string) bool {
		return strings.Contains(strings.ToLower(scope), w)
	})
}
