package notify_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/sim"
)

// pager is a receiver that cannot update.
type pager struct {
	name string
	mu   sync.Mutex
	got  []string
	err  error
}

func (p *pager) Name() string        { return p.name }
func (*pager) Traits() notify.Traits { return notify.Traits{} }

func (p *pager) Send(_ context.Context, m notify.Message) (notify.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return notify.Receipt{}, p.err
	}
	title, body := m.Plain()
	p.got = append(p.got, title+"\n"+body)
	return notify.Receipt{Channel: "pager"}, nil
}

func (p *pager) titles() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, g := range p.got {
		list = append(list, strings.Split(g, "\n")[0])
	}
	return list
}

func (p *pager) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Routes choose who is told, and where: the first that fits, and those after it where it says so.
func TestRoutes(t *testing.T) {
	t.Parallel()
	p := notify.Policy{
		Fallback: "spare",
		Owners:   map[string]notify.Owner{"web": {Place: notify.Place{Channel: "#web", Mention: "<!subteam^SWEB>"}}},
		Routes: []notify.Route{
			{
				Kinds:     []finding.Kind{finding.Leaked, finding.CanaryTripped},
				Place:     notify.Place{Channel: "#security"},
				Receivers: []string{"slack", "pager"},
			},
			{Severities: []finding.Severity{finding.Critical}, Receivers: []string{"pager"}, Continue: true},
			{Labels: map[string]string{"env": "dev"}, Receivers: []string{"slack"}, Place: notify.Place{Channel: "#dev"}},
			{Owners: []string{"web"}, ToOwner: true, Receivers: []string{"slack"}},
			{Providers: []string{"idp"}, ToOwner: true},
		},
	}
	names := []string{"slack", "pager", "spare"}
	of := func(k finding.Kind, provider, owner, env string) finding.Finding {
		return finding.Finding{
			Kind:     k,
			Severity: k.Severity(),
			Subject:  finding.Subject{Credential: "a", Provider: provider},
			About:    finding.About{Owner: owner, Labels: map[string]string{"env": env}},
		}
	}
	for name, k := range map[string]struct {
		f    finding.Finding
		want string
	}{
		"by kind":                   {of(finding.Leaked, "idp", "web", "dev"), "[{slack {#security }} {pager {#security }}]"},
		"one more, then by label":   {of(finding.Revoked, "idp", "web", "dev"), "[{pager { }} {slack {#dev }}]"},
		"by owner, to the owner":    {of(finding.ScopeLost, "x", "web", "prod"), "[{slack {#web <!subteam^SWEB>}}]"},
		"an owner without a place":  {of(finding.ScopeLost, "idp", "hr", "prod"), "[{slack { }} {pager { }}]"},
		"none fits: all but spare":  {of(finding.ScopeLost, "x", "hr", "prod"), "[{slack { }} {pager { }}]"},
		"no place is told twice":    {of(finding.Revoked, "idp", "hr", "prod"), "[{pager { }} {slack { }}]"},
		"only the one that carries": {of(finding.Revoked, "x", "hr", "prod"), "[{pager { }}]"},
	} {
		if got := fmt.Sprint(p.Targets(k.f, names)); got != k.want {
			t.Errorf("%s: %s, want %s", name, got, k.want)
		}
	}
	alone := notify.Policy{Fallback: "spare"}.Targets(of(finding.Revoked, "x", "", ""), []string{"spare"})
	if got := fmt.Sprint(alone); got != "[{spare { }}]" {
		t.Errorf("the only receiver is told of everything: %s", got)
	}
}

// A channel is told although only receivers are named that have none: by a route, for an owner, in an escalation.
func TestAChannelBesideAPager(t *testing.T) {
	t.Parallel()
	f := finding.Finding{Kind: finding.Revoked, Severity: finding.Critical, About: finding.About{Owner: "web"}}
	place := notify.Place{Channel: "#on-call", Mention: "<!here>"}
	pager := notify.Route{Receivers: []string{"pager"}, Place: place}
	owned := notify.Route{Receivers: []string{"pager"}, ToOwner: true}
	for name, p := range map[string]notify.Policy{
		"a route":            {Routes: []notify.Route{pager}},
		"an owner's channel": {Routes: []notify.Route{owned}, Owners: map[string]notify.Owner{"web": {Place: place}}},
		"an owner's pager and channel": {
			Routes: []notify.Route{owned}, Owners: map[string]notify.Owner{"web": {[]string{"pager"}, place}},
		},
		"a step of an escalation, also": {Routes: []notify.Route{pager}, Escalation: []notify.Step{{To: pager}}},
	} {
		p.Channels = []string{"slack"}
		names := []string{"slack", "pager", "mail"}
		got := p.Targets(f, names)
		if len(p.Escalation) > 0 {
			got = p.Escalated(f, 0, names)
		}
		if want := "[{slack {#on-call <!here>}} {pager {#on-call <!here>}}]"; fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

// Quiet hours hold what is not critical until they end, also over midnight, weekends and daylight saving;
// maintenance holds what it can cause, whatever the severity, and nothing else.
func TestHold(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	p := notify.Policy{
		Zone: berlin,
		Quiet: []notify.Quiet{
			{From: 22 * time.Hour, To: 7 * time.Hour},
			{Days: []time.Weekday{time.Saturday, time.Sunday}, To: 24 * time.Hour},
		},
		Maintenance: []notify.Maintenance{
			{Provider: "idp", From: at("2026-03-03 12:00"), To: at("2026-03-03 14:00")},
			{Provider: "weekly", For: 2 * time.Hour, Begins: func(after time.Time) time.Time { // at noon, every day
				y, m, d := after.In(berlin).Date()
				for noon := time.Date(y, m, d, 12, 0, 0, 0, berlin); ; noon = noon.AddDate(0, 0, 1) {
					if noon.After(after) {
						return noon
					}
				}
			}},
		},
	}
	for _, k := range []struct {
		kind     finding.Kind
		provider string
		now      string
		want     string // "": told now
	}{
		{finding.ScopeLost, "x", "2026-03-03 21:59", ""},
		{finding.ScopeLost, "x", "2026-03-03 22:00", "2026-03-04 07:00"},
		{finding.ScopeLost, "x", "2026-03-04 06:59", "2026-03-04 07:00"},
		{finding.ScopeLost, "x", "2026-03-04 07:00", ""},
		{finding.ScopeLost, "x", "2026-03-07 10:00", "2026-03-08 00:00"}, // a Saturday; then comes Sunday
		{finding.ScopeLost, "x", "2026-03-08 23:00", "2026-03-09 07:00"},
		{finding.ScopeLost, "x", "2026-03-28 23:30", "2026-03-29 07:00"}, // the clock goes forward that night
		{finding.Revoked, "x", "2026-03-03 23:00", ""},
		{finding.Revoked, "idp", "2026-03-03 12:30", "2026-03-03 14:00"},
		{finding.Revoked, "idp", "2026-03-03 14:00", ""},
		{finding.Leaked, "idp", "2026-03-03 12:30", ""},
		{finding.CanaryTripped, "idp", "2026-03-03 12:30", ""},
		{finding.ProviderIncident, "weekly", "2026-03-05 13:59", "2026-03-05 14:00"},
		{finding.ProviderIncident, "weekly", "2026-03-05 11:59", ""},
		{finding.ProviderIncident, "other", "2026-03-05 13:59", ""},
	} {
		until, why := p.Hold(
			finding.Finding{Kind: k.kind, Severity: k.kind.Severity(), Subject: finding.Subject{Provider: k.provider}},
			at(k.now),
		)
		want := time.Time{}
		if k.want != "" {
			want = at(k.want)
		}
		if !until.Equal(want) || (why == "") != want.IsZero() {
			t.Errorf("%s of %s at %s: %s (%s), want %s", k.kind, k.provider, k.now, until, why, k.want)
		}
	}
}

// What is held is told when the reason ends, if it is still so; what ended meanwhile is not
// (docs/promises.md#what-is-held-is-told-if-it-is-still-so).
func TestHeldUntilItEnds(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d := newDesk(t, notify.Policy{Maintenance: []notify.Maintenance{{Provider: "idp", From: start, To: start.Add(30 * time.Minute)}}})
	d.open("stays", "goes")
	d.settle()
	if list, err := d.Deliveries(t.Context(), 10); err != nil || len(list) != 1 || list[0].State != "waiting" {
		t.Errorf("%+v, error %v", list, err)
	}
	d.later(20 * time.Minute)
	d.resolve("goes")
	d.settle()
	if n := len(d.slack.Messages()); n != 0 {
		t.Fatalf("%d messages in the maintenance", n)
	}
	d.later(10 * time.Minute)
	d.settle()
	wantIn(t, said(d.only()), "CRITICAL: stays (idp) is refused")

	d.ack(1)
	d.settle()
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		c, err := d.audit.Snooze(ctx, tx, "user ann", 1, d.clock(), d.clock().Add(time.Hour))
		return []finding.Change{c}, err
	})
	d.settle()
	d.later(time.Hour)
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		return d.audit.Awaken(ctx, tx, d.clock(), 0)
	})
	d.settle()
	replies := d.only().Replies
	if last := replies[len(replies)-1]; !last.Broadcast || !strings.Contains(last.Text, "open again") {
		t.Errorf("after the snooze: %+v", last)
	}
}

// Open critical findings are told again until somebody acknowledges them, and told to others when nobody does;
// neither for what is acknowledged, snoozed, resolved or less than critical.
func TestRemindersAndEscalation(t *testing.T) {
	t.Parallel()
	oncall := &pager{name: "oncall"}
	d := newDesk(t, notify.Policy{
		RemindEvery: time.Hour,
		Escalation: []notify.Step{{After: 30 * time.Minute, To: notify.Route{
			Receivers: []string{"oncall", "slack"},
			Place:     notify.Place{Channel: "#on-call", Mention: "<!subteam^S1>"},
		}}},
		Routes: []notify.Route{{Receivers: []string{"slack"}, Place: notify.Place{Mention: "<@U1>"}}},
	}, oncall)
	first := d.open("a")[0].Finding.ID
	d.apply(finding.OpOpen, finding.ScopeLost, "b")
	d.settled()
	for range 13 { // two hours and a little
		d.later(10 * time.Minute)
		d.settled()
	}
	ms := d.slack.Messages()
	if len(ms) != 3 || ms[2].Channel != "Con-call" || !strings.HasPrefix(ms[2].Text, "<!subteam^S1> ■ CRITICAL: a (idp)") {
		t.Fatalf("%d messages, the last %s", len(ms), ms[len(ms)-1].Text)
	}
	lanes, err := d.Lanes(t.Context())
	if err != nil || slices.ContainsFunc(lanes, func(l notify.LaneState) bool { return l.Receiver == "oncall" && l.Channel != "" }) {
		t.Errorf("a pager has no channels: %+v, error %v", lanes, err)
	}
	if got := oncall.titles(); len(got) < 1 || !strings.Contains(got[0], "a (idp)") {
		t.Errorf("the pager got %q", got)
	}
	i := slices.IndexFunc(ms, func(m sim.SlackMessage) bool { return strings.HasPrefix(m.Text, "<@U1> ■") })
	var told []string
	for _, r := range ms[i].Replies {
		if !r.Broadcast || !strings.HasPrefix(r.Text, "<@U1> a (idp) is refused; open for") {
			t.Errorf("a reply: %+v", r)
		}
		told = append(told, strings.TrimPrefix(r.Text, "<@U1> "))
	}
	if len(told) != 3 || !strings.HasSuffix(told[0], "open for 30 min, and nobody has acknowledged it. Others are told now.") ||
		!strings.HasPrefix(told[1], "a (idp) is refused; open for 1 h, and nobody") {
		t.Errorf("the thread: %q", told)
	}
	d.ack(first)
	d.settled()
	before := len(d.slack.Calls())
	for range 12 {
		d.later(time.Hour)
		d.settled()
	}
	if n := len(d.slack.Calls()) - before; n != 0 {
		t.Errorf("%d calls after it was acknowledged", n)
	}
	before = len(oncall.titles())
	d.resolve("a")
	d.settled()
	if got := oncall.titles(); len(got) != before+1 || !strings.HasPrefix(got[len(got)-1], "RESOLVED") {
		t.Errorf("the pager got %q", got)
	}
}

// A receiver that fails is itself a finding, told on the fallback, which gets the urgent messages as well; nothing
// is lost for the receiver when it works again (docs/promises.md#a-receiver-that-fails-is-a-finding-of-its-own).
func TestTheFallback(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"token_revoked", "500"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			spare := &pager{name: "spare"}
			d := newDesk(t, notify.Policy{Fallback: "spare", RemindEvery: time.Hour}, spare)
			for range 20 {
				d.slack.FailNext(fault)
			}
			d.open("a")
			d.apply(finding.OpOpen, finding.ScopeLost, "b")
			for range 6 {
				d.settle()
				d.later(time.Minute)
			}
			got := spare.titles()
			slices.Sort(got)
			if len(got) != 2 || !strings.HasPrefix(got[0], "CRITICAL: a (idp) is refused") ||
				!strings.HasPrefix(got[1], "CRITICAL: keyrounds cannot tell people: slack takes no messages") {
				t.Fatalf("the fallback got %q", got)
			}
			d.slack.Mend()
			for range 10 {
				d.later(time.Minute)
				d.settle()
			}
			if n := len(d.slack.Messages()); n != 2 {
				t.Errorf("%d messages on Slack at the end", n)
			}
			if got := spare.titles(); len(got) != 3 || !strings.HasPrefix(got[2], "RESOLVED: keyrounds could not tell people") {
				t.Errorf("the fallback got %q", got)
			}
			for range 13 { // the receiver has it by now, and reminds of it
				d.later(10 * time.Minute)
				d.settle()
			}
			if got := spare.titles(); len(got) != 3 {
				t.Errorf("the fallback goes on: %q", got)
			}
			d.resolve("a")
			d.settle()
			if got := spare.titles(); len(got) != 4 || !strings.HasPrefix(got[3], "RESOLVED: a (idp)") {
				t.Errorf("the fallback got %q", got)
			}
		})
	}
}

// A receiver that cannot update posts when it begins and when it is over, and nothing between.
func TestPostOnly(t *testing.T) {
	t.Parallel()
	p := &pager{name: "pager"}
	d := newDesk(t, notify.Policy{Routes: []notify.Route{{Receivers: []string{"pager"}}}}, p)
	id := d.open("a")[0].Finding.ID
	d.settle()
	d.ack(id)
	d.settle()
	p.fail(errors.New("away"))
	d.resolve("a")
	d.settle()
	p.fail(nil)
	d.later(time.Minute)
	d.settle()
	if got := p.titles(); !reflect.DeepEqual(
		got,
		[]string{"CRITICAL: a (idp) is refused", "RESOLVED: a (idp) was refused for 0 s"},
	) {
		t.Errorf("%q", got)
	}
	d.later(time.Minute)
	d.open("a")
	d.settle()
	if got := p.titles(); len(got) != 3 {
		t.Errorf("found again: %q", got)
	}
}

// What changes while a message is on its way is told after it.
func TestChangedWhileItIsSent(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	id := d.open("a")[0].Finding.ID
	once := sync.Once{}
	d.slack.Told = func(sim.SlackMessage) {
		once.Do(func() {
			d.ack(id)
			if _, err := d.Attend(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	d.settle()
	wantIn(t, said(d.only()), "Acknowledged by user ann")
}

// Warnings are reminded of in their own time; each step of an escalation is told in its turn, until somebody looks after it.
func TestStepsAndWarnings(t *testing.T) {
	t.Parallel()
	first, second := &pager{name: "first"}, &pager{name: "second"}
	d := newDesk(t, notify.Policy{
		RemindLow: 24 * time.Hour,
		Routes:    []notify.Route{{Receivers: []string{"slack"}}},
		Escalation: []notify.Step{
			{After: 30 * time.Minute, To: notify.Route{Receivers: []string{"first"}}},
			{After: 2 * time.Hour, To: notify.Route{Receivers: []string{"second"}}},
		},
	}, first, second)
	d.open("a")
	d.apply(finding.OpOpen, finding.ScopeLost, "b")
	told := func() [2]int { return [2]int{len(first.titles()), len(second.titles())} }
	for _, c := range []struct {
		later time.Duration
		want  [2]int
	}{{0, [2]int{}}, {31 * time.Minute, [2]int{1, 0}}, {time.Hour, [2]int{1, 0}}, {30 * time.Minute, [2]int{1, 1}}} {
		d.later(c.later)
		d.settled()
		if got := told(); got != c.want {
			t.Errorf("%s later the steps told %v, want %v", c.later, got, c.want)
		}
	}
	d.later(24 * time.Hour)
	d.settled()
	i := slices.IndexFunc(d.slack.Messages(), func(m sim.SlackMessage) bool { return strings.Contains(m.Text, "b (idp)") })
	r := d.slack.Messages()[i].Replies
	if len(r) != 1 || !strings.Contains(r[0].Text, "b (idp) may do less than it needs; open for") {
		t.Errorf("the warning's thread: %+v", r)
	}
}

// What was acknowledged and forgotten comes back; a false alarm does not.
func TestAcknowledgedAndForgotten(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	ids := d.open("forgotten", "false")
	d.settled()
	d.ack(ids[0].Finding.ID)
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		c, err := d.audit.FalseAlarm(ctx, tx, "ann", ids[1].Finding.ID, "none", d.clock())
		return []finding.Change{c}, err
	})
	d.settled()
	awaken := func(after time.Duration) int {
		d.later(after)
		return len(d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			return d.audit.Awaken(ctx, tx, d.clock(), 24*time.Hour)
		}))
	}
	if n := awaken(23 * time.Hour); n != 0 {
		t.Errorf("%d came back before their time", n)
	}
	if n := awaken(time.Hour); n != 1 {
		t.Errorf("%d came back", n)
	}
	d.settled()
	r := d.only().Replies
	if len(r) == 0 || !r[len(r)-1].Broadcast || !strings.Contains(r[len(r)-1].Text, "forgotten (idp): revoked, open again") {
		t.Errorf("the thread: %+v", r)
	}
}

// A refusal that is told early becomes critical in its message, loudly, when it is confirmed.
func TestEarly(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	tell := func(suspected bool) {
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			return d.audit.Publish(ctx, tx, []finding.Event{{
				Op: finding.OpOpen, Kind: finding.Revoked, Subject: finding.Subject{Credential: "a", Provider: "idp"}, At: d.clock(),
				Evidence: finding.Evidence{LastSuccess: d.clock().Add(-time.Hour), Refusal: finding.Refusal{Suspected: suspected}},
			}})
		})
		d.settled()
	}
	tell(true)
	wantIn(t, said(d.only()), "▲ WARNING: a (idp) is refused; that is not confirmed yet")
	d.later(time.Minute)
	tell(false)
	m := d.only()
	wantIn(t, said(m), "■ CRITICAL: a (idp) is refused")
	if len(m.Replies) != 1 || !m.Replies[0].Broadcast || m.Replies[0].Text != "a (idp) is refused, and that is confirmed now" {
		t.Errorf("the thread: %+v", m.Replies)
	}
}

// What is told early takes none of the time that people have once it is critical: reminders and each step of an escalation
// count from then.
func TestEarlyTakesNoTime(t *testing.T) {
	t.Parallel()
	first, second := &pager{name: "first"}, &pager{name: "second"}
	d := newDesk(t, notify.Policy{
		RemindEvery: 4 * time.Hour, RemindLow: 24 * time.Hour,
		Routes: []notify.Route{{Receivers: []string{"slack"}}},
		Escalation: []notify.Step{
			{After: 2 * time.Minute, To: notify.Route{Receivers: []string{"first"}}},
			{After: 5 * time.Minute, To: notify.Route{Receivers: []string{"second"}}},
		},
	}, first, second)
	tell := func(suspected bool) {
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			return d.audit.Publish(ctx, tx, []finding.Event{{
				Op: finding.OpOpen, Kind: finding.Revoked, Subject: finding.Subject{Credential: "a", Provider: "idp"}, At: d.clock(),
				Evidence: finding.Evidence{LastSuccess: d.clock().Add(-time.Hour), Refusal: finding.Refusal{Suspected: suspected}},
			}})
		})
		d.settled()
	}
	tell(true)
	d.later(10 * time.Minute)
	tell(false)
	told := func() [2]int { return [2]int{len(first.titles()), len(second.titles())} }
	for _, c := range []struct {
		later time.Duration
		want  [2]int
	}{
		{0, [2]int{}},
		{time.Minute, [2]int{}},
		{61 * time.Second, [2]int{1, 0}},
		{2 * time.Minute, [2]int{1, 0}},
		{61 * time.Second, [2]int{1, 1}},
	} {
		d.later(c.later)
		d.settled()
		if got := told(); got != c.want {
			t.Errorf("%s later the steps told %v, want %v", c.later, got, c.want)
		}
	}
	before := len(d.only().Replies)
	d.later(3*time.Hour + 50*time.Minute)
	d.settled()
	if n := len(d.only().Replies); n != before {
		t.Errorf("%d replies before the reminder is due, then %d", before, n)
	}
	d.later(10 * time.Minute)
	d.settled()
	if r := d.only().Replies; len(r) != before+1 || !strings.Contains(r[len(r)-1].Text, "4 h") {
		t.Errorf("after remind_every: %+v", r)
	}
}

// Where a message cannot be updated, its title says why it comes again: a mailbox tells a reminder from the first message. What was
// acknowledged and forgotten is heard as well where it was escalated to, and whose acknowledgement ran out is said.
func TestTitlesSayWhyItComesAgain(t *testing.T) {
	t.Parallel()
	mail, oncall := &pager{name: "mail"}, &pager{name: "oncall"}
	d := newDesk(t, notify.Policy{
		RemindEvery: time.Hour,
		Routes:      []notify.Route{{Receivers: []string{"mail", "slack"}}},
		Escalation:  []notify.Step{{After: 30 * time.Minute, To: notify.Route{Receivers: []string{"oncall"}}}},
	}, mail, oncall)
	tell := func(suspected bool) int64 {
		c := d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			return d.audit.Publish(ctx, tx, []finding.Event{{
				Op: finding.OpOpen, Kind: finding.Revoked, Subject: finding.Subject{Credential: "a", Provider: "idp"}, At: d.clock(),
				Evidence: finding.Evidence{LastSuccess: d.clock().Add(-time.Hour), Refusal: finding.Refusal{Suspected: suspected}},
			}})
		})
		d.settled()
		return c[0].Finding.ID
	}
	id := tell(true)
	d.later(time.Minute)
	tell(false)
	d.later(31 * time.Minute)
	d.settled()
	d.ack(id)
	d.settled()
	d.later(3 * time.Minute)
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		return d.audit.Awaken(ctx, tx, d.clock(), 3*time.Minute)
	})
	d.settled()
	d.later(61 * time.Minute)
	d.settled()
	d.resolve("a")
	d.settled()
	if got, want := mail.titles(), []string{
		"WARNING: a (idp) is refused; that is not confirmed yet",
		"CONFIRMED: CRITICAL: a (idp) is refused",
		"ESCALATED: CRITICAL: a (idp) is refused",
		"OPEN AGAIN: CRITICAL: a (idp) is refused",
		"REMINDER: CRITICAL: a (idp) is refused",
		"RESOLVED: a (idp) was refused for 1 h 36 min",
	}; !slices.Equal(got, want) {
		t.Errorf("by mail %q", got)
	}
	if got, want := oncall.titles(), []string{
		"ESCALATED: CRITICAL: a (idp) is refused",
		"OPEN AGAIN: CRITICAL: a (idp) is refused",
		"REMINDER: CRITICAL: a (idp) is refused",
		"RESOLVED: a (idp) was refused for 1 h 36 min",
	}; !slices.Equal(got, want) {
		t.Errorf("who was escalated to heard %q", got)
	}
	ranOut := "the acknowledgement of user ann ran out after 3 min"
	wantIn(t, oncall.got[1], "a (idp) is refused, and is open again: "+ranOut)
	wantIn(t, oncall.got[2], "; "+ranOut+", and nobody has acknowledged it since")
}
