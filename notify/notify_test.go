package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const token = "xoxb-c4n4ry-t0ken"

// desk is a notifier with one finding and a Slack at the HTTP level.
type desk struct {
	*notify.Notifier
	mu    sync.Mutex
	f     finding.Finding
	slack *sim.Slack
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{slack: &sim.Slack{Token: token}, f: finding.Finding{
		ID: 1, Kind: finding.Revoked, Severity: finding.Critical, State: finding.Open, OpenedAt: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		Subject: finding.Subject{Credential: "ats-sync", Provider: "idp"}, Evidence: finding.Evidence{HTTPStatus: 401, ErrorCode: "invalid_client"},
	}}
	server := httptest.NewServer(d.slack)
	t.Cleanup(server.Close)
	receiver := slack.New(slack.Options{
		Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
		Channel: "#alerts", APIURL: server.URL + "/",
	})
	pool := pgtest.New(t)
	if _, err := pool.Exec(t.Context(), `INSERT INTO findings (kind, severity, subject, credential, provider, state, evidence, opened_at, updated_at)
		VALUES ('revoked', 'critical', 'credential/ats-sync', 'ats-sync', 'idp', 'open', '{}', now(), now())`); err != nil {
		t.Fatal(err)
	}
	var err error
	d.Notifier, err = notify.New(notify.Options{
		Pool: pool, Receivers: []notify.Receiver{receiver}, Log: slog.New(slog.DiscardHandler),
		Finding: func(context.Context, int64) (finding.Finding, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.f, nil
		},
		Record: func(context.Context, pgx.Tx, string, finding.Subject, any) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) change(f func(*finding.Finding)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.f)
}

func (d *desk) deliver(t *testing.T) error {
	t.Helper()
	return d.Deliver(t.Context(), notify.Args{FindingID: 1, Receiver: "slack"})
}

// One finding is one message: posted once, then updated in place, and only when it says more.
func TestOneMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var wait sync.WaitGroup
	for range 5 { // whoever comes at once
		wait.Go(func() {
			if err := d.deliver(t); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	d.change(func(f *finding.Finding) { f.State, f.AcknowledgedBy = finding.Acknowledged, "user ann" })
	if err := d.deliver(t); err != nil {
		t.Fatal(err)
	}
	d.change(func(f *finding.Finding) { f.State, f.ResolvedWhy = finding.Resolved, "the provider accepts it again" })
	if err := errors.Join(d.deliver(t), d.deliver(t)); err != nil {
		t.Fatal(err)
	}
	ms := d.slack.Messages()
	if len(ms) != 1 || ms[0].Updates != 2 || !strings.Contains(strings.Join(ms[0].Lines(), "\n"), "RESOLVED") {
		t.Errorf("%+v", ms)
	}
}

// What is over before anybody was told is not told.
func TestResolvedBeforeItWasTold(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.change(func(f *finding.Finding) { f.State = finding.Resolved })
	if err := d.deliver(t); err != nil || len(d.slack.Calls()) != 0 {
		t.Errorf("%v, calls %v", err, d.slack.Calls())
	}
}

// Whatever Slack answers, the error asks for another try, shows no token, and the next try tells.
func TestSlackInTrouble(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"429", "500", "channel_not_found", "token_revoked", "hang"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.slack.FailNext(fault)
			err := d.deliver(t)
			if err == nil || strings.Contains(fmt.Sprintf("%+v", err), "c4n4ry") || strings.Contains(err.Error(), "127.0.0.1") {
				t.Fatalf("%v", err)
			}
			var snooze *river.JobSnoozeError
			if errors.As(err, &snooze) != (fault == "429") {
				t.Errorf("%T %v", err, err)
			}
			if err := d.deliver(t); err != nil || len(d.slack.Messages()) != 1 {
				t.Errorf("the next try: %v, %d messages", err, len(d.slack.Messages()))
			}
		})
	}
}

// FAULTS A11: names and provider text are shown as they are, mention nobody and make no link; long
// ones are cut to Slack's limits.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.change(func(f *finding.Finding) {
		f.Evidence.ErrorDescription = "<!channel> <@U1> <https://evil.example|click> & *bold* " + strings.Repeat("x", 5000)
		f.Evidence.Description = strings.Repeat("<!here>", 1000)
		f.Evidence.Scopes = []string{strings.Repeat("s", 4000)}
	})
	if err := d.deliver(t); err != nil {
		t.Fatal(err)
	}
	m := d.slack.Messages()[0]
	text := m.Text + strings.Join(m.Lines(), "\n")
	for _, bad := range []string{"<!", "<@", "<http", "*bold*"} {
		if strings.Contains(text, bad) {
			t.Errorf("the message holds %q", bad)
		}
	}
	if !strings.Contains(text, "&lt;!channel&gt;") {
		t.Errorf("the text is not shown: %s", text)
	}
	for _, line := range m.Lines() {
		if n := len([]rune(line)); n > 3000 {
			t.Errorf("a line of %d characters", n)
		}
	}
}
