package notify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

func (d *desk) silence(s notify.Silence) notify.Silence {
	d.t.Helper()
	s.Why, s.MadeBy = "a test", "ann"
	err := pgx.BeginFunc(d.t.Context(), d.Pool, func(tx pgx.Tx) (err error) {
		s, err = d.Silence(d.t.Context(), tx, s)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// Nobody is told of what is silenced, or reminded of it, until the silence ends or is ended; then of what still holds.
func TestSilences(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{RemindEvery: 10 * time.Minute, Escalation: []notify.Step{{After: 5 * time.Minute}}})
	d.change = func(f *finding.Finding) {
		if f.Subject.Credential == "labelled" {
			f.About.Labels = map[string]string{"env": "test"}
		}
	}
	d.open("told") // before
	d.settled()
	until := d.clock().Add(time.Hour)
	of := d.silence(notify.Silence{Credential: "told", Until: until})
	d.silence(notify.Silence{Labels: map[string]string{"env": "test"}, Until: until})
	d.silence(notify.Silence{Provider: "another", Until: until})
	d.open("labelled", "over")
	d.resolve("over")
	for range 4 {
		d.settle()
		d.later(10 * time.Minute)
	}
	if m := d.only(); len(m.Replies) != 0 {
		t.Errorf("silenced, and it is said: %+v", m.Replies)
	}
	err := pgx.BeginFunc(t.Context(), d.Pool, func(tx pgx.Tx) error {
		_, err := d.EndSilence(t.Context(), tx, of.ID, "bob")
		_, again := d.EndSilence(t.Context(), tx, of.ID, "bob")
		if !errors.Is(again, notify.ErrNoSilence) {
			t.Errorf("ended twice: %v", again)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.later(time.Minute)
	d.settled()
	if m := d.only(); len(m.Replies) == 0 {
		t.Error("the silence was ended, and nobody is reminded")
	}
	d.later(21 * time.Minute)
	d.settled()
	ms := d.slack.Messages()
	if len(ms) != 2 {
		t.Fatalf("%d messages", len(ms))
	}
	wantIn(t, said(ms[1]), "labelled (idp) is refused")
	if list, err := d.Silences(t.Context(), false); err != nil || len(list) != 0 {
		t.Errorf("%+v, error %v", list, err)
	}
	if list, err := d.Silences(t.Context(), true); err != nil || len(list) != 3 || list[2].EndedBy != "bob" {
		t.Errorf("%+v, error %v", list, err)
	}
}

// A burst that was held tells only what still holds.
func TestHeldTellsWhatStillHolds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.silence(notify.Silence{Provider: "idp", Until: d.clock().Add(time.Hour)})
	d.open("a", "b")
	d.settle()
	d.resolve("a")
	d.later(61 * time.Minute)
	d.settled()
	wantIn(t, d.only().Text, "CRITICAL: b (idp) is refused")
}

// A receiver that is new hears in one message what is open already, and nobody hears it twice.
func TestANewPlaceHearsWhatIsOpen(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{Digest: true})
	d.open("a", "b", "over")
	d.apply(finding.OpOpen, finding.ScopeLost, "c")
	d.apply(finding.OpOpen, finding.Unused, "d")
	d.settled()
	d.resolve("over")
	d.settled()
	before := len(d.slack.Messages())
	mail := &pager{name: "mail"}
	d.setup.Receivers = append(d.setup.Receivers, mail)
	for range 2 { // the second time nothing is new
		d.Reload(d.setup)
		d.settled()
		d.later(time.Minute)
	}
	got := mail.titles()
	if len(got) != 1 || got[0] != "CRITICAL: 3 findings of idp: a, b, c" || len(d.slack.Messages()) != before {
		t.Errorf("it got %q; on Slack there are %d messages, before %d", got, len(d.slack.Messages()), before)
	}
	d.resolve("a")
	d.settled()
}
