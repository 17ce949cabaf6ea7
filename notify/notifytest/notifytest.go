// Package notifytest has what the tests of receivers share: a message of each kind and state, and what an error asks for.
package notifytest

import (
	"errors"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// Message is one about a sample of kind k in a state, told before as told says, with a page.
func Message(k finding.Kind, state finding.State, told notify.Receipt) notify.Message {
	f := notify.Sample(k, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	f.ID, f.State = 7, state
	if state == finding.Resolved {
		f.ResolvedAt, f.ResolvedWhy = f.OpenedAt.Add(time.Hour), "it is accepted again"
	}
	m := notify.Message{
		Key: "7-1", TurnKey: "7-1-" + string(state), Findings: []finding.Finding{f}, Words: notify.DescribeAll([]finding.Finding{f}),
		Made: f.OpenedAt, Told: told,
	}
	m.Words.Link = "https://keyrounds.example/findings/7"
	return m
}

// Open is one of a credential that is refused, as it is told first.
func Open() notify.Message { return Message(finding.Revoked, finding.Open, notify.Receipt{}) }

// RetryAfter is what servers of these tests ask for, in seconds, when they limit.
const RetryAfter = "9"

// What an error of a send asks for.
const (
	Taken    = "taken"
	Limited  = "limited"   // it is sent again after RetryAfter
	OnlyThis = "only this" // it is about this message
	Person   = "a person"  // who is told what to do
	Later    = "later"     // it was surely not sent
	Again    = "again"     // it may have been sent
)

// Asks is what err asks for.
func Asks(err error) string {
	var refused *notify.RefusedError
	var retry *notify.RetryError
	switch {
	case err == nil:
		return Taken
	case errors.As(err, &retry) && retry.After == 9*time.Second:
		return Limited
	case errors.As(err, &refused) && refused.OnlyThis:
		return OnlyThis
	case errors.As(err, &refused) && refused.NeedsPerson && refused.Fix != "":
		return Person
	case errors.As(err, &refused) && !refused.NeedsPerson:
		return Later
	}
	return Again
}
