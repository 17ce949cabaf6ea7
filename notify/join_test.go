package notify_test

import (
	"strings"
	"testing"
	"time"

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
