package notify_test

import (
	"context"
	"reflect"
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
				Evidence: finding.Evidence{ExpiresAt: end, ExpiresBy: "certificate", Ahead: ahead},
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
		"▲ WARNING: credential ats-sync of idp ends on 1 Apr 2026",
		"1 Apr 2026 09:00:00 UTC, as its certificate says",
		"team-ats-sync",
	)
	for i, ahead := range []time.Duration{14 * day, 7 * day, 7 * day, day} {
		d.later(day)
		open(ahead)
		d.settled()
		d.settled()
		replies := d.only().Replies
		for _, r := range replies {
			wantIn(t, r.Text, "are left")
		}
		if want := []int{1, 2, 2, 3}[i]; len(replies) != want || len(p.titles()) != want+1 || !replies[want-1].Broadcast {
			t.Errorf("with %s left: %+v, %q", ahead, replies, p.titles())
		}
	}
	d.ack(id)
	d.settled()
	d.later(day)
	d.apply(finding.OpResolve, finding.Expiring, "ats-sync")
	d.settled()
	if got, want := len(p.titles()), 5; got != want {
		t.Errorf("the receiver that cannot edit got %d messages, not %d: %q", got, want, p.titles())
	}
	if got := p.titles(); !reflect.DeepEqual(got[4], "RESOLVED WARNING: credential ats-sync of idp ends on 1 Apr 2026") {
		t.Errorf("at the end: %q", got)
	}
}
