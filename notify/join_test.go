package notify_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// What follows within minutes joins the message: in place and without noise where it is edited, together and once where it
// is not. What comes when all of it is over, or later, is news.
func TestWhatFollowsJoins(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{GroupInterval: 5 * time.Minute})
	mail := &pager{name: "mail"}
	d.setup.Receivers = append(d.setup.Receivers, mail)
	d.Reload(d.setup)
	d.open("c1")
	d.settle()
	for _, name := range []string{"c2", "c3"} {
		d.later(90 * time.Second)
		d.open(name)
		d.settle()
	}
	m := d.only()
	wantIn(t, said(m), "3 credentials of idp are refused", "• c1", "• c2", "• c3")
	for _, r := range m.Replies {
		if r.Broadcast {
			t.Errorf("everybody in the channel gets %q", r.Text)
		}
	}
	if got := mail.titles(); len(got) != 1 {
		t.Errorf("by mail: %q", got)
	}
	d.later(3 * time.Minute)
	d.settle()
	if got := mail.titles(); len(got) != 2 || !strings.Contains(got[1], "3 credentials") {
		t.Errorf("by mail: %q", got)
	}
	d.open("c4") // later
	d.settle()
	if n := len(d.slack.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// What is withdrawn says so in its message, and why.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.open("c1")
	d.settle()
	d.later(time.Minute)
	d.apply(finding.OpWithdraw, finding.Revoked, "c1")
	d.settle()
	wantIn(t, said(d.only()), "WITHDRAWN", "Withdrawn", "it works again")
}

// Who was told of one credential alone hears of the incident before that is taken back, also where messages are not edited.
func TestTheIncidentIsToldBeforeItsWithdrawals(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{GroupWait: 10 * time.Second})
	mail := &pager{name: "mail"}
	d.setup.Receivers = append(d.setup.Receivers, mail)
	d.Reload(d.setup)
	d.open("c1")
	d.later(10 * time.Second)
	d.settle()
	d.later(time.Minute)
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		return d.audit.Publish(ctx, tx, []finding.Event{
			{
				Op: finding.OpWithdraw, Kind: finding.Revoked, Subject: finding.Subject{Credential: "c1", Provider: "idp"}, At: d.clock(),
				Why: finding.BelongsTo("idp"),
			},
			{
				Op: finding.OpOpen, Kind: finding.ProviderIncident, Subject: finding.Subject{Provider: "idp"}, At: d.clock(),
				Evidence: finding.Evidence{Outage: finding.Outage{Affected: []string{"c1", "c2", "c3"}}},
			},
		})
	})
	for range 15 {
		d.settle()
		d.later(time.Second)
	}
	got := mail.titles()
	if len(got) != 3 || !strings.HasPrefix(got[1], "CRITICAL: idp refuses 3 credentials at once") ||
		got[2] != "WITHDRAWN: c1 (idp) belongs to the incident of idp, and nobody blames it alone any more" {
		t.Errorf("by mail: %q", got)
	}
}

// What is critical is not found in the message of a warning, and what becomes critical is said aloud and told to those who are
// told of that.
func TestWhatIsMoreSevereIsHeard(t *testing.T) {
	t.Parallel()
	pager := &pager{name: "pager"}
	d := newDesk(t, notify.Policy{
		GroupInterval: 5 * time.Minute,
		Routes: []notify.Route{
			{Severities: []finding.Severity{finding.Critical}, Receivers: []string{"pager"}, Continue: true},
			{Receivers: []string{"slack"}},
		},
	}, pager)
	open := func(k finding.Kind, name string, e finding.Evidence) {
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			return d.audit.Publish(ctx, tx, []finding.Event{{
				Op: finding.OpOpen, Kind: k, Subject: finding.Subject{Credential: name, Provider: "idp"}, At: d.clock(), Evidence: e,
			}})
		})
		d.settled()
		d.later(time.Minute)
	}
	open(finding.Revoked, "new", finding.Evidence{Refusal: finding.Refusal{NeverHealthy: true}})
	open(finding.Revoked, "prod", finding.Evidence{})
	if n := len(d.slack.Messages()); n != 2 {
		t.Errorf("%d messages of a warning and what is critical", n)
	}
	less := finding.Evidence{LastSuccess: d.clock(), Scopes: finding.Scopes{MissingScopes: []string{"w"}}}
	open(finding.ScopeLost, "narrow", less)
	less.NoToken = true
	open(finding.ScopeLost, "narrow", less)
	ms := d.slack.Messages()
	if r := ms[len(ms)-1].Replies; len(r) != 1 || !r[0].Broadcast || r[0].Text != "narrow (idp) has become critical" {
		t.Errorf("the thread: %+v", r)
	}
	want := []string{"CRITICAL: prod (idp) is refused", "CRITICAL: narrow (idp) gets no token: w is refused"}
	if got := pager.titles(); !slices.Equal(got, want) {
		t.Errorf("the pager got %q", got)
	}
}
