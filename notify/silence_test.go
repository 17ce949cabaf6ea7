package notify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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

// A receiver that is new hears in one message what is open already, each as it stands, and nobody hears it twice.
func TestANewPlaceHearsWhatIsOpen(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{Digest: true})
	d.open("a", "b", "over")
	d.apply(finding.OpOpen, finding.ScopeLost, "c")
	d.apply(finding.OpOpen, finding.Unused, "d")
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		return d.audit.Publish(ctx, tx, []finding.Event{{
			Op: finding.OpOpen, Kind: finding.Revoked, Subject: finding.Subject{Credential: "e", Provider: "other"}, At: d.clock(),
			Evidence: finding.Evidence{LastSuccess: d.clock(), Refusal: finding.Refusal{Suspected: true}},
		}})
	})
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
	want := "Open already (2 critical, 2 warning): a (idp) is refused, b (idp) is refused, c (idp) may do less than it needs and 1 more"
	early := "e (other) is refused; that is not confirmed yet"
	if len(got) != 1 || got[0] != want || !strings.Contains(mail.got[0], early) || len(d.slack.Messages()) != before {
		t.Errorf("it got %q; on Slack there are %d messages, before %d", got, len(d.slack.Messages()), before)
	}
	d.resolve("a")
	d.settled()
}

// What is silenced is in no message with what is not: not in a burst, in what a new place hears, in a reminder or an
// escalation. When one silence of a burst ends, what another still holds is not told.
func TestSilencedAmongOthers(t *testing.T) {
	t.Parallel()
	oncall, mail := &pager{name: "pager"}, &pager{name: "mail"}
	d := newDesk(t, notify.Policy{
		RemindEvery: 10 * time.Minute,
		Escalation:  []notify.Step{{After: 5 * time.Minute, To: notify.Route{Receivers: []string{"pager"}}}},
		Routes:      []notify.Route{{Receivers: []string{"slack", "mail"}}},
	}, oncall)
	d.change = func(f *finding.Finding) {
		if f.Subject.Credential != "open" {
			f.About.Labels = map[string]string{"env": "test"}
		}
	}
	start := d.clock()
	d.silence(notify.Silence{Credential: "sil-01", Until: start.Add(2 * time.Hour)})
	d.silence(notify.Silence{Labels: map[string]string{"env": "test"}, Until: start.Add(time.Hour)})
	d.open("sil-01", "sil-02", "open")
	d.settled()
	d.setup.Receivers = append(d.setup.Receivers, mail)
	d.Reload(d.setup)
	nothing := func(when string, names ...string) {
		t.Helper()
		var all []string
		for _, m := range d.slack.Messages() {
			all = append(all, said(m))
			for _, r := range m.Replies {
				all = append(all, r.Text)
			}
		}
		all = append(append(all, mail.got...), oncall.got...)
		for _, text := range all {
			for _, name := range names {
				if strings.Contains(text, name) {
					t.Errorf("%s %s is silenced, and people read:\n%s", when, name, text)
				}
			}
		}
	}
	for range 5 {
		d.later(10 * time.Minute)
		d.settled()
	}
	nothing("in the first hour", "sil-01", "sil-02")
	if got := mail.titles(); len(got) < 2 || len(oncall.titles()) == 0 {
		t.Errorf("what is not silenced was told by mail %q, by pager %q", got, oncall.titles())
	}
	for range 5 {
		d.later(10 * time.Minute)
		d.settled()
	}
	nothing("when the other silence was over", "sil-01")
	if !slices.ContainsFunc(mail.got, func(text string) bool { return strings.Contains(text, "sil-02") }) {
		t.Errorf("its silence is over, and by mail there is only %q", mail.titles())
	}
	for range 3 {
		d.later(10 * time.Minute)
		d.settled()
	}
	if !slices.ContainsFunc(mail.got, func(text string) bool { return strings.Contains(text, "sil-01") }) {
		t.Errorf("all silences are over, and by mail there is only %q", mail.titles())
	}
}

// What becomes worse while it is silenced, in a message that was there before, is said when the silence is over.
func TestSilencedAndWorse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	tell := func(suspected bool, names ...string) {
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			var evs []finding.Event
			for _, name := range names {
				evs = append(evs, finding.Event{
					Op: finding.OpOpen, Kind: finding.Revoked, Subject: finding.Subject{Credential: name, Provider: "idp"}, At: d.clock(),
					Evidence: finding.Evidence{LastSuccess: d.clock().Add(-time.Hour), Refusal: finding.Refusal{Suspected: suspected}},
				})
			}
			return d.audit.Publish(ctx, tx, evs)
		})
		d.settled()
	}
	tell(true, "a", "b")
	d.silence(notify.Silence{Credential: "a", Until: d.clock().Add(time.Hour)})
	tell(false, "a", "b")
	r := d.only().Replies
	if len(r) != 1 || !strings.Contains(r[0].Text, "b (idp)") || strings.Contains(r[0].Text, "a,") {
		t.Errorf("a is silenced: %+v", r)
	}
	d.later(61 * time.Minute)
	d.settled()
	if r = d.only().Replies; len(r) != 2 || !r[1].Broadcast || !strings.HasPrefix(r[1].Text, "a (idp)") {
		t.Errorf("its silence is over: %+v", r)
	}
}
