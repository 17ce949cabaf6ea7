package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// The variables that make this test binary a sender.
const (
	senderDatabase = "KEYROUNDS_TEST_SENDER_DATABASE"
	senderSlack    = "KEYROUNDS_TEST_SENDER_SLACK"
)

func TestMain(m *testing.M) {
	if os.Getenv(senderDatabase) != "" {
		fmt.Fprintln(os.Stderr, send(context.Background(), os.Getenv(senderDatabase), os.Getenv(senderSlack)))
		os.Exit(1)
	}
	pgtest.Main(m)
}

// send does what the workers of a replica do, until it is killed.
func send(ctx context.Context, database, slackURL string) error {
	pool, err := postgres.Open(ctx, database)
	if err != nil {
		return err
	}
	store := audit.New(audit.Options{Pool: pool})
	n, err := notify.New(notify.Options{
		Pool: pool, Backoff: 5 * time.Millisecond, Log: slog.New(slog.DiscardHandler), Findings: store,
		Record: func(context.Context, pgx.Tx, string, finding.Subject, any) error { return nil },
		Setup: notify.Setup{Policy: notify.Policy{GroupWait: 50 * time.Millisecond}, Receivers: []notify.Receiver{slack.New(slack.Options{
			Token:   func(context.Context) (secret.Value, error) { return secret.New([]byte(token)), nil },
			Channel: "#alerts", APIURL: slackURL, Client: &http.Client{}, Pace: time.Millisecond,
		})}},
	})
	if err != nil {
		return err
	}
	for {
		if _, err := n.Attend(ctx); err != nil {
			return err
		}
		if err := n.Tell(ctx, notify.LaneArgs{Receiver: "slack"}); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// kills is how often a sender is killed: more in make long.
func kills() int {
	if os.Getenv("KEYROUNDS_LONG") != "" {
		return 400
	}
	return 80
}

// Four replicas send while findings open, change and end, Slack limits, loses answers and breaks, and one of them
// is killed again and again at random. In the end each finding that was told is in exactly one message, of which
// there is exactly one, and it says how the finding stands
// (docs/promises.md#each-finding-is-told-in-one-message-whatever-is-killed).
func TestKilledWhileSending(t *testing.T) {
	lasting.Test(t, "it kills many processes")
	t.Parallel()
	w := &world{desk: newDesk(t, notify.Policy{}), open: map[string]int64{}}
	s := w.slack
	// Without the race detector, which the other tests have on: two hundred of them begin.
	sender := filepath.Join(t.TempDir(), "sender")
	if out, err := exec.Command("go", "test", "-c", "-o", sender, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	start := func() *exec.Cmd {
		cmd := exec.Command(sender)
		cmd.Env = append(os.Environ(), senderDatabase+"="+w.url, senderSlack+"="+w.slackURL)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd
	}
	replicas := []*exec.Cmd{start(), start(), start(), start()} // a new one has time to begin while others send
	kills := kills()
	for i := range kills {
		w.stir()
		switch rand.IntN(10) {
		case 0:
			s.FailNext("429 at once", "429 at once", "429 at once")
		case 1:
			s.FailNext("lost")
		case 2:
			s.FailNext("500")
		case 3:
			s.FailNext("", "lost")
		}
		before, calls := s.Called(), 1+rand.IntN(6) // it is killed at the last of so many calls, or soon after
		for end := time.Now().Add(time.Second); s.Called() < before+calls && time.Now().Before(end); {
			time.Sleep(2 * time.Millisecond)
		}
		if s.Called() > before {
			w.sending++
		}
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
		r := &replicas[i%len(replicas)]
		_ = (*r).Process.Kill()
		_ = (*r).Wait()
		*r = start()
	}
	s.Mend()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var left int
		err := w.Pool.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM finding_outbox) + (SELECT count(*) FROM notify_messages WHERE due_at IS NOT NULL)`).
			Scan(&left)
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d are still due", left)
		}
	}
	w.check(s.Messages())
	if w.sending < kills/10 {
		t.Errorf("only %d of %d kills came while something was sent: this shows too little", w.sending, kills)
	}
}

// world is what happens to credentials.
type world struct {
	*desk
	names   int
	sending int
	open    map[string]int64
}

// stir opens some findings and changes or ends others.
func (w *world) stir() {
	w.t.Helper()
	w.later(time.Since(w.clock()))
	var names []string
	for range 1 + rand.IntN(2) {
		w.names++
		names = append(names, fmt.Sprintf("c%04d", w.names))
	}
	for _, c := range w.apply(finding.OpOpen, finding.Revoked, names...) {
		w.open[c.Finding.Subject.Credential] = c.Finding.ID
	}
	for name, id := range w.open {
		switch rand.IntN(3 * len(w.open)) { // one or so of each

		case 0:
			w.resolve(name)
			delete(w.open, name)
		case 1:
			w.ack(id)
		case 2: // and found again
			w.resolve(name)
			w.open[name] = w.apply(finding.OpOpen, finding.Revoked, name)[0].Finding.ID
		}
	}
}

// check holds what Slack shows against what is so.
func (w *world) check(messages []sim.SlackMessage) {
	w.t.Helper()
	shown := map[string]sim.SlackMessage{} // by key
	for _, m := range messages {
		var meta struct {
			Payload struct{ Key string } `json:"event_payload"`
		}
		if err := json.Unmarshal(m.Metadata, &meta); err != nil {
			w.t.Fatal(err)
		}
		if _, twice := shown[meta.Payload.Key]; twice {
			w.t.Errorf("the message %s is there twice", meta.Payload.Key)
		}
		shown[meta.Payload.Key] = m
	}
	rows, err := w.Pool.Query(w.t.Context(), `
		SELECT f.id, f.credential, f.state,
			coalesce(array_agg(m.id || '-' || (extract(epoch FROM m.made_at) * 1000000)::bigint)
				FILTER (WHERE m.told_digest <> ''), '{}'),
			coalesce(bool_or(EXISTS (
				SELECT FROM notify_members o JOIN findings l ON l.id = o.finding_id
				WHERE o.message_id = m.id AND l.subject = f.subject AND l.id > f.id)), false),
			coalesce(bool_or(told_state <> ''), false)
		FROM findings f LEFT JOIN notify_members ON finding_id = f.id LEFT JOIN notify_messages m ON m.id = message_id
		WHERE f.kind = 'revoked' GROUP BY 1 ORDER BY 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	var (
		id       int64
		name     string
		state    finding.State
		keys     []string
		told     int
		used     = map[string]bool{}
		findings int
		again    bool // it was found again, and that is what its message says
		known    bool // somebody was told of it, by whatever message
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &state, &keys, &again, &known}, func() error {
		findings++
		if !known && state == finding.Resolved {
			for _, k := range keys {
				used[k] = true
			}
			return nil // it was over before anybody was told
		}
		told++
		if len(keys) != 1 {
			w.t.Errorf("finding %d is in the messages %v", id, keys)
			for _, k := range keys {
				used[k] = true
			}
			return nil
		}
		m, ok := shown[keys[0]]
		text := said(m)
		switch used[keys[0]] = true; {
		case ok && again:
		case !ok || !strings.Contains(text, name) && !strings.Contains(text, "more: keyrounds findings list"):
			w.t.Errorf("finding %d of %s is not shown: %s", id, name, text)
		case state != finding.Resolved && strings.Contains(m.Text, "RESOLVED"):
			w.t.Errorf("finding %d is %s, and its message says %s", id, state, m.Text)
		case state == finding.Acknowledged && !strings.Contains(text, "cknowledged by user ann"):
			w.t.Errorf("finding %d is acknowledged, and its message says %s", id, text)
		case state == finding.Resolved && !strings.Contains(text, "esolved"):
			w.t.Errorf("finding %d is resolved, and its message says %s", id, text)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(used) != len(shown) {
		w.t.Errorf("%d messages are shown, and %d are known", len(shown), len(used))
	}
	w.t.Logf(
		"%d kills, %d of them while sending, %d findings, %d of them told, in %d messages, by %d calls of Slack",
		kills(),
		w.sending,
		findings,
		told,
		len(shown),
		w.slack.Called(),
	)
}
