package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

const token = "xoxb-c4n4ry-t0ken"

// desk is a notifier with real findings and a Slack at the HTTP level. Its clock stands until it is moved.
type desk struct {
	*notify.Notifier
	t             *testing.T
	audit         *audit.Store
	slack         *sim.Slack
	url, slackURL string
	setup         notify.Setup
	mu            sync.Mutex
	now           time.Time
	unreadable    int64                  // a finding that cannot be read; 0: none
	change        func(*finding.Finding) // what tests add to each finding; nil: nothing
}

func newDesk(t *testing.T, policy notify.Policy, more ...notify.Receiver) *desk {
	t.Helper()
	d := &desk{t: t, slack: &sim.Slack{Token: token}, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} // a Monday
	server := httptest.NewServer(d.slack)
	t.Cleanup(server.Close)
	d.setup = notify.Setup{Policy: policy, Receivers: append([]notify.Receiver{slack.New(slack.Options{
		Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
		Channel: "#alerts", APIURL: server.URL + "/", Client: &http.Client{Timeout: time.Second}, Pace: time.Millisecond, Buttons: true,
	})}, more...)}
	d.slackURL, d.url = server.URL+"/", pgtest.URL(t)
	pool, err := postgres.Open(t.Context(), d.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	waker, err := notify.NewWaker(pool)
	if err != nil {
		t.Fatal(err)
	}
	d.audit = audit.New(audit.Options{Pool: pool, Wake: waker.Wake, Now: d.clock})
	d.Notifier, err = notify.New(notify.Options{
		Pool: pool, Setup: d.setup, Log: slog.New(slog.DiscardHandler), Now: d.clock, Findings: owned{d.audit, d}, Waker: waker,
		Record: func(context.Context, pgx.Tx, string, finding.Subject, any) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Announce(letters{})
	return d
}

// letters writes one for every key.
type letters struct{}

func (letters) Letter(_ context.Context, key string) (notify.Letter, error) {
	return notify.Letter{Title: "letter " + key, Lines: []string{"a line"}, File: &notify.File{Name: "a.txt", Content: []byte("c")}}, nil
}

// owned is the store of findings, each of which has an owner.
type owned struct {
	*audit.Store
	d *desk
}

func (o owned) Finding(ctx context.Context, id int64) (finding.Finding, error) {
	f, err := o.Store.Finding(ctx, id)
	f.About.Owner = "team-" + f.Subject.Credential
	o.d.mu.Lock()
	defer o.d.mu.Unlock()
	if id == o.d.unreadable {
		return f, errors.New("it cannot be read")
	}
	if o.d.change != nil {
		o.d.change(&f)
	}
	return f, err
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) later(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// tx changes findings.
func (d *desk) tx(do func(context.Context, pgx.Tx) ([]finding.Change, error)) []finding.Change {
	d.t.Helper()
	var cs []finding.Change
	err := pgx.BeginFunc(d.t.Context(), d.Pool, func(tx pgx.Tx) (err error) {
		cs, err = do(d.t.Context(), tx)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return cs
}

func (d *desk) apply(op finding.Op, k finding.Kind, names ...string) []finding.Change {
	d.t.Helper()
	return d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		var evs []finding.Event
		for _, name := range names {
			evs = append(
				evs,
				finding.Event{
					Op:       op,
					Kind:     k,
					Subject:  finding.Subject{Credential: name, Provider: "idp"},
					At:       d.clock(),
					Evidence: finding.Evidence{Answer: finding.Answer{HTTPStatus: 401, ErrorCode: "invalid_client", Reason: "unspecified"}},
					Why:      "it works again",
				},
			)
		}
		return d.audit.Publish(ctx, tx, evs)
	})
}

func (d *desk) open(names ...string) []finding.Change {
	return d.apply(finding.OpOpen, finding.Revoked, names...)
}

func (d *desk) resolve(names ...string) { d.apply(finding.OpResolve, finding.Revoked, names...) }

func (d *desk) ack(id int64) {
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		c, err := d.audit.Acknowledge(ctx, tx, "user ann", id, d.clock())
		return []finding.Change{c}, err
	})
}

// settle does what the jobs do, once: look, then work off every lane.
func (d *desk) settle() {
	d.t.Helper()
	if _, err := d.Attend(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	lanes, err := d.Lanes(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, l := range lanes {
		d.later(2 * time.Millisecond) // the pace
		if err := d.Tell(d.t.Context(), notify.LaneArgs{Receiver: l.Receiver, Channel: l.Channel}); err != nil {
			d.t.Fatal(err)
		}
	}
}

// settled settles until nothing is due, moving the clock over what has to wait.
func (d *desk) settled() {
	d.t.Helper()
	for range 30 {
		d.settle()
		lanes, err := d.Lanes(d.t.Context())
		if err != nil {
			d.t.Fatal(err)
		}
		if !slices.ContainsFunc(lanes, func(l notify.LaneState) bool { return l.Waiting > 0 }) {
			return
		}
		d.later(5 * time.Second)
	}
	d.t.Fatal("something stays due")
}

func (d *desk) only() sim.SlackMessage {
	d.t.Helper()
	ms := d.slack.Messages()
	if len(ms) != 1 {
		d.t.Fatalf("%d messages, want one: %+v", len(ms), ms)
	}
	return ms[0]
}

func said(m sim.SlackMessage) string { return m.Text + "\n" + strings.Join(m.Lines(), "\n") }

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in:\n%s", p, text)
		}
	}
}

// One finding is one message: posted once, whoever comes at once, then updated in place, and only when it
// says more.
func TestOneMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	id := d.open("ats-sync")[0].Finding.ID
	if _, err := d.Attend(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() {
			if err := d.Tell(t.Context(), notify.LaneArgs{Receiver: "slack"}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	wantIn(t, said(d.only()), "■ CRITICAL: ats-sync (idp) is refused", "team-ats-sync")
	d.ack(id)
	d.settle()
	wantIn(t, said(d.only()), "Acknowledged by user ann")
	d.later(time.Minute)
	d.resolve("ats-sync")
	d.settle()
	d.settle()
	if m := d.only(); m.Updates != 2 || !strings.Contains(m.Text, "RESOLVED") {
		t.Errorf("%d updates: %s", m.Updates, m.Text)
	}
}

// What is over before anybody was told is not told.
func TestResolvedBeforeItWasTold(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{GroupWait: time.Minute})
	d.open("a", "b")
	d.settle()
	d.resolve("a", "b")
	d.later(2 * time.Minute)
	d.settle()
	if calls := d.slack.Calls(); len(calls) != 0 {
		t.Errorf("calls %v", calls)
	}
}

// A burst of one provider and kind is one message with the list, updated as its findings end; another kind is
// another message.
func TestABurst(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{GroupWait: 10 * time.Second})
	d.open("c1", "c2")
	d.settle()
	d.later(5 * time.Second)
	d.open("c3")
	d.apply(finding.OpOpen, finding.ScopeLost, "c4")
	d.settle()
	if n := len(d.slack.Messages()); n != 0 {
		t.Fatalf("%d messages before the burst is over", n)
	}
	d.later(11 * time.Second)
	d.settled()
	ms := d.slack.Messages()
	if len(ms) != 2 {
		t.Fatalf("%d messages", len(ms))
	}
	if ms[0].Text[:3] != "■" {
		ms[0], ms[1] = ms[1], ms[0]
	}
	wantIn(t, said(ms[0]), "CRITICAL: 3 credentials of idp are refused", "• c1", "• c2", "• c3")
	wantIn(t, said(ms[1]), "WARNING: c4 (idp) may do less")
	d.resolve("c1", "c3")
	d.settle()
	ms = d.slack.Messages()
	i := slices.IndexFunc(ms, func(m sim.SlackMessage) bool { return strings.Contains(m.Text, "3 credentials") })
	wantIn(t, said(ms[i]), "2 of 3 resolved", "• c1 (owner team-c1) — resolved")
	if r := ms[i].Replies; len(r) != 1 || !strings.HasPrefix(r[0].Text, "c1, c3 (idp): revoked, resolved, it works again") {
		t.Errorf("the thread says %+v", r)
	}
	d.resolve("c2")
	d.settle()
	wantIn(t, said(d.slack.Messages()[i]), "RESOLVED", "All resolved")
}

// Found, resolved, and found again a short while later is one thread, whose first message says how it stands; what
// comes a day later is news (docs/promises.md#what-is-found-again-soon-goes-on-in-its-old-message).
func TestFoundAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	for range 3 {
		d.open("ats-sync")
		d.settle()
		d.later(time.Minute)
		d.resolve("ats-sync")
		d.settle()
		d.later(time.Minute)
	}
	d.open("ats-sync")
	d.settle()
	m := d.only()
	if strings.Contains(said(m), "RESOLVED") || !strings.Contains(m.Text, "ats-sync (idp) is refused") {
		t.Errorf("it says %s", said(m))
	}
	var turns []string
	for _, r := range m.Replies {
		turns = append(turns, r.Text)
	}
	if len(turns) != 6 || turns[0] != "ats-sync (idp) was refused for 1 min; it works again" ||
		turns[1] != "ats-sync (idp) is refused; open again, 1 min after it was over" {
		t.Errorf("the thread: %q", turns)
	}
	d.resolve("ats-sync")
	d.settle()
	d.later(24 * time.Hour)
	d.open("ats-sync")
	d.settle()
	if n := len(d.slack.Messages()); n != 2 {
		t.Errorf("%d messages after a day", n)
	}
}

// Whatever Slack answers, no error shows a token, what waits and why can be seen, and a later try tells.
func TestSlackInTrouble(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]struct{ state, why string }{
		"429":                {"waiting", ""},
		"500":                {"failing", "slack answered HTTP 500"},
		"hang":               {"failing", "slack did not answer in time"},
		"channel_not_found":  {"failing", "slack: channel_not_found"},
		"token_revoked":      {"failing", "slack: token_revoked"},
		"is_archived":        {"failing", "slack: is_archived"},
		"missing_scope":      {"failing", "slack: missing_scope"},
		"fatal_error":        {"failing", "slack: fatal_error"},
		"metadata_too_large": {"failing", "slack: metadata_too_large"},
		"ratelimited":        {"waiting", ""},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, notify.Policy{})
			d.slack.FailNext(fault)
			d.open("ats-sync")
			d.settle()
			d.settle() // it waits
			if n := len(d.slack.Calls()); n != 1 {
				t.Errorf("%d calls at once", n)
			}
			list, err := d.Deliveries(t.Context(), 10)
			if err != nil || len(list) != 1 || list[0].State != want.state || !strings.HasPrefix(list[0].Error, want.why) {
				t.Errorf("%+v, error %v", list, err)
			}
			d.later(time.Minute)
			d.settle()
			d.only()
			if list, err := d.Deliveries(t.Context(), 10); err != nil || len(list) != 1 || list[0].State != "sent" || list[0].Ref == "" {
				t.Errorf("at the end %+v, error %v", list, err)
			}
		})
	}
}

// Blocks that Slack does not take are left out; the text says it all.
func TestRefusedBlocks(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.slack.FailNext("invalid_blocks")
	d.open("ats-sync")
	d.settle()
	wantIn(t, d.only().Text, "ats-sync (idp) is refused", "invalid_client", "keyrounds credentials rotate ats-sync")
}

// While Slack limits messages they wait in order; a long queue becomes one message
// (docs/promises.md#messages-wait-in-order-while-a-receiver-limits-them).
func TestAQueue(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	post := func(n int, kind finding.Kind) {
		for i := range n {
			d.apply(finding.OpOpen, kind, fmt.Sprintf("c%02d", i))
			if _, err := d.Attend(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.later(time.Millisecond)
		}
	}
	post(5, finding.Revoked)
	for range 10 {
		d.slack.FailNext("429", "") // every other call is limited
	}
	d.settled()
	var order []string
	for _, m := range d.slack.Messages() {
		order = append(order, strings.Fields(m.Text)[2])
	}
	if got := fmt.Sprint(order); got != "[c00 c01 c02 c03 c04]" {
		t.Errorf("the order %s", got)
	}
	d.slack.FailNext("429")
	post(60, finding.ScopeLost)
	d.settled()
	ms := d.slack.Messages()
	if len(ms) != 6 {
		t.Fatalf("%d messages", len(ms))
	}
	wantIn(t, said(ms[5]), "60 credentials of idp may do less than they need", "and 20 more")
}

// Names and provider text are shown as they are, mention nobody and make no link; long ones are cut to Slack's
// limits (docs/promises.md#names-and-provider-text-mention-nobody-and-make-no-link).
func TestHostileWords(t *testing.T) {
	lasting.Test(t, "it has each kind of message in many words")
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.change = func(f *finding.Finding) {
		f.Evidence.ErrorDescription = "<!channel> <@U1> <https://evil.example|click> & *bold* " + strings.Repeat("x", 5000)
		f.About.Description = strings.Repeat("<!here>", 1000)
		f.About.Scopes = []string{strings.Repeat("s", 4000)}
		f.About.Owner = "<!channel>" + strings.Repeat("o", 4000)
	}
	d.open("a")
	d.settle()
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("c%03d", i))
	}
	d.open(many...)
	d.settle()
	for _, m := range d.slack.Messages() {
		for _, bad := range []string{"<!channel", "<!here", "<@", "<https://evil", "*bold*"} {
			if strings.Contains(said(m), bad) {
				t.Errorf("the message holds %q", bad)
			}
		}
		wantIn(t, said(m), "&lt;!channel&gt;")
		if err := m.Valid(); err != nil {
			t.Error(err)
		}
	}
}

// A letter is posted once to each receiver, with its file, also where the answer was lost.
func TestALetter(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	for i, want := range []bool{true, false} {
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			fresh, err := d.EnqueueLetter(ctx, tx, "report/2026-02")
			if fresh != want {
				t.Errorf("%d: %t", i, fresh)
			}
			return nil, err
		})
	}
	d.slack.FailNext("lost")
	d.settled()
	if m := d.only(); len(m.Files) != 1 || !strings.Contains(m.Text, "letter report/2026-02") {
		t.Errorf("%+v", m)
	}
	if at, err := d.LastLetter(t.Context(), "report/"); err != nil || at.IsZero() {
		t.Errorf("%v, error %v", at, err)
	}
}

// An owner's part of a letter goes to the owner's place: their receivers, or the channel where receivers have channels.
func TestALetterForAnOwner(t *testing.T) {
	t.Parallel()
	mail, pager := &pager{name: "mail"}, &pager{name: "pager"}
	d := newDesk(t, notify.Policy{Owners: map[string]notify.Owner{
		"web":  {Place: notify.Place{Channel: "#web"}},
		"hr":   {Receivers: []string{"mail"}},
		"none": {},
	}}, mail, pager)
	for owner, want := range map[string]bool{"web": true, "hr": true, "stranger": false} {
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			is, err := d.EnqueueForOwner(ctx, tx, "report/2026-02#owner/"+owner, owner)
			if is != want {
				t.Errorf("%s: %t", owner, is)
			}
			return nil, err
		})
	}
	d.settled()
	if m := d.only(); m.Channel != "Cweb" || !strings.Contains(m.Text, "#owner/web") {
		t.Errorf("on Slack: %+v", m)
	}
	if got := mail.titles(); len(got) != 1 || !strings.Contains(got[0], "#owner/hr") || len(pager.titles()) != 0 {
		t.Errorf("by mail %q, the pager %q", got, pager.titles())
	}
	if got := d.Owners(); !slices.Equal(got, []string{"hr", "none", "web"}) {
		t.Errorf("owners %q", got)
	}
}
