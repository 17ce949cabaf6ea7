package notify_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// A credential that ends by itself is told of at each of its times: on Slack below the one message, by a receiver that
// cannot edit with another message; and not between them, nor twice.
func TestExpiringIsToldAtEachTime(t *testing.T) {
	t.Parallel()
	p := &pager{name: "pager"}
	d := newDesk(t, notify.Policy{}, p)
	const day = 24 * time.Hour
	end := d.clock().Add(30 * day)
	open := func(ahead time.Duration) (id int64) {
		changes := d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			return d.audit.Publish(ctx, tx, []finding.Event{{
				Op: finding.OpOpen, Kind: finding.Expiring, At: d.clock(),
				Subject:  finding.Subject{Credential: "ats-sync", Provider: "idp"},
				Evidence: finding.Evidence{Lifetime: finding.Lifetime{ExpiresAt: end, ExpiresBy: "certificate", Ahead: ahead}},
			}})
		})
		if len(changes) == 0 {
			return 0
		}
		return changes[0].Finding.ID
	}
	id := open(30 * day)
	d.settled()
	wantIn(
		t,
		said(d.only()),
		"▲ WARNING: ats-sync (idp) ends on 1 Apr 2026",
		"1 Apr 2026 09:00:00 UTC>, as its certificate says",
		"team-ats-sync",
	)
	for i, ahead := range []time.Duration{14 * day, 7 * day, 7 * day, day} {
		d.later(day)
		open(ahead)
		d.settled()
		d.settled()
		replies := d.only().Replies
		for _, r := range replies {
			wantIn(t, r.Text, " left")
		}
		if want := []int{1, 2, 2, 3}[i]; len(replies) != want || len(p.titles()) != want+1 || !replies[want-1].Broadcast {
			t.Errorf("with %s left: %+v, %q", ahead, replies, p.titles())
		}
	}
	d.ack(id)
	d.settled()
	d.later(day)
	open(0) // it is looked after, and should have ended: that is said all the same
	d.settled()
	if replies := d.only().Replies; len(p.titles()) != 5 || !strings.Contains(replies[len(replies)-1].Text, "should have ended") {
		t.Errorf("after it should have ended: %+v, %q", replies, p.titles())
	}
	d.later(day)
	d.apply(finding.OpResolve, finding.Expiring, "ats-sync")
	d.settled()
	if got := p.titles(); len(got) != 6 || got[5] != "RESOLVED: ats-sync (idp) does not end soon any more" {
		t.Errorf("at the end: %q", got)
	}
}

// A burst says when the first ends, and each when it does; what only one of them needs is no step of all.
func TestBurstOfEnds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	of := func(name string, e finding.Evidence, k finding.Kind) finding.Finding {
		return finding.Finding{
			Kind: k, Severity: k.Severity(), State: finding.Open, Evidence: e, OpenedAt: at.AddDate(0, -1, 0),
			Subject: finding.Subject{Credential: name, Provider: "idp"},
		}
	}
	soon := of("soon", finding.Evidence{Lifetime: finding.Lifetime{ExpiresAt: at}}, finding.Expiring)
	soon.About.Owner = "web"
	w := notify.DescribeAll([]finding.Finding{
		of("late", finding.Evidence{Lifetime: finding.Lifetime{ExpiresAt: at.AddDate(0, 0, 7)}}, finding.Expiring),
		soon,
	})
	if w.Title != "WARNING: 2 credentials of idp end soon: late, soon" ||
		w.Items[1] != "soon (owner web), ends on 1 Apr 2026" {
		t.Errorf("%+v", w)
	}
	why := finding.Answer{Reason: "unspecified"}
	w = notify.DescribeAll([]finding.Finding{
		of("new", finding.Evidence{Refusal: finding.Refusal{NeverHealthy: true}, Answer: why}, finding.Revoked),
		of("old", finding.Evidence{Answer: why}, finding.Revoked),
	})
	if strings.Contains(strings.Join(w.Steps, " "), "never worked") {
		t.Errorf("%+v", w.Steps)
	}
}
