package config

import (
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/credential"
)

// Client tells the clients of credentials apart: two credentials with the same one are two secrets of one client, or one
// of them is too many.
func Client(c credential.Credential) string { return c.Provider + " " + c.Subject + " " + c.KeyID }

// Doubts are what is allowed in a valid credential and is rarely meant; nil: nothing is. same is the name of another
// credential of the same client, "" for none.
func Doubts(c credential.Credential, same string, now time.Time) (ps []credential.Problem) {
	add := func(field, hint, format string, args ...any) {
		ps = append(ps, credential.Problem{Field: field, Hint: hint, Message: fmt.Sprintf(format, args...)})
	}
	if same != "" && c.Subject != "" {
		add("client_id", "one of the two is enough, unless they are two secrets of one client", "the same client as %q", same)
	}
	if c.Created.After(now) {
		add("created", "when the provider made it", "%s is in the future", c.Created.Format(time.DateOnly))
	}
	if end := c.End(credential.End{}); !end.IsZero() && !end.Over().After(now) {
		add("expires", "when its present secret ends", "%s is over", c.Expires.Format(time.DateOnly))
	}
	s, err := credential.ParseSchedule(c.Schedule, time.UTC)
	if err != nil {
		return ps
	}
	every := s.Interval()
	if every < 5*time.Minute {
		add(
			"schedule",
			"every 15 minutes is usual",
			"checks every %s: each one is a token request at the provider",
			credential.FormatDuration(every),
		)
	}
	return ps
}
