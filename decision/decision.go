// Package decision holds what people decided of credentials: keep, revoke, rotate or drop scopes, by whom, why and until when.
//
// It holds what was decided last; what was decided before is in the record. It carries nothing out, and asks nobody who may
// decide.
package decision

import (
	"fmt"
	"slices"
	"time"
)

// Choice is what becomes of a credential.
type Choice string

// The choices.
const (
	Keep       Choice = "keep"        // as it is
	Revoke     Choice = "revoke"      // at its provider, and retire it here
	Rotate     Choice = "rotate"      // give it a new secret
	DropScopes Choice = "drop_scopes" // take from it the scopes that nobody uses
)

// Choices are all, in the order in which they are listed.
func Choices() []Choice { return []Choice{Keep, Revoke, Rotate, DropScopes} }

// Known reports whether there is such a choice.
func (c Choice) Known() bool { return slices.Contains(Choices(), c) }

// Days is how long a decision holds where nobody says until when: what is kept for 90 days, what is to be done for 30.
func (c Choice) Days() int {
	if c == Keep {
		return 90
	}
	return 30
}

// Longest is the last day until which something may be decided at a time: a year later.
func Longest(now time.Time) time.Time { return Day(now).AddDate(1, 0, 0) }

// Day is the beginning of a day in UTC.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Decision is what a person decided of a credential, also as JSON.
type Decision struct {
	Credential string    `json:"credential"`
	Choice     Choice    `json:"choice" enum:"keep,revoke,rotate,drop_scopes" doc:"What becomes of it."`
	Until      time.Time `json:"until" doc:"It holds until this day begins (UTC); then it is to be decided again."`
	Why        string    `json:"why" doc:"In the words of who decided."`
	By         string    `json:"decided_by" doc:"Who decided."`
	At         time.Time `json:"decided_at"`
	Over       bool      `json:"over" doc:"Its day has come: the credential is undecided again."`
}

// Words say a decision to a person.
func (d Decision) Words() string {
	day := d.Until.UTC().Format("2 Jan 2006")
	text := map[Choice]string{
		Keep:       "kept until %s by %s",
		Revoke:     "to be revoked before %s, as %s decided",
		Rotate:     "to be rotated before %s, as %s decided",
		DropScopes: "unused scopes to be dropped before %s, as %s decided",
	}[d.Choice]
	text = fmt.Sprintf(text, day, d.By)
	if d.Over {
		text += ", now over"
	}
	return text
}
