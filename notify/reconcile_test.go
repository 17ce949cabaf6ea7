package notify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// FAULTS A3, R2: Slack took a message and its answer was lost, two hundred times. With the scope to read
// the channel's history no message is posted twice; without it at most one too many for each lost answer.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		noHistory bool
		most      int
	}{"with history": {false, 200}, "without": {true, 400}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.slack.NoHistory = k.noHistory
			for i := range int64(200) {
				d.change(func(f *finding.Finding) { f.ID, f.OpenedAt = i+1, f.OpenedAt.Add(time.Minute) })
				a := notify.Args{FindingID: i + 1, Receiver: "slack"}
				d.slack.FailNext("lost")
				if err := d.Deliver(t.Context(), a); err == nil {
					t.Fatal("a lost answer is no error")
				}
				for range 2 {
					if err := d.Deliver(t.Context(), a); err != nil {
						t.Fatal(err)
					}
				}
			}
			ms := d.slack.Messages()
			if len(ms) < 200 || len(ms) > k.most {
				t.Errorf("%d messages of 200 findings", len(ms))
			}
			seen := map[string]bool{}
			for _, m := range ms {
				lines := m.Lines()
				seen[lines[len(lines)-1]] = true
			}
			if len(seen) != 200 {
				t.Errorf("%d findings are told", len(seen))
			}
		})
	}
}

// FAULTS A5: what happens to a finding is kept in its thread, in order and each turn once, whatever answers
// are lost; the message itself is as the finding is.
func TestHistoryInTheThread(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	turn := func(fail []string, change func(*finding.Finding)) {
		t.Helper()
		d.change(func(f *finding.Finding) { change(f); f.UpdatedAt = f.UpdatedAt.Add(time.Second) })
		d.slack.FailNext(fail...)
		for range len(fail) + 1 {
			_ = d.deliver(t)
		}
	}
	turn(nil, func(*finding.Finding) {})
	turn([]string{"lost"}, func(f *finding.Finding) { f.State, f.AcknowledgedBy = finding.Acknowledged, "user ann" })
	turn([]string{"", "lost"}, func(f *finding.Finding) { f.State, f.SnoozedUntil = finding.Snoozed, f.OpenedAt.Add(time.Hour) })
	turn([]string{"500", "hang"}[:1], func(f *finding.Finding) { f.State = finding.Open })
	turn(nil, func(f *finding.Finding) { f.Evidence.MissingScopes = []string{"a"} }) // an update, and no turn
	turn([]string{"", "lost", "lost"}, func(f *finding.Finding) { f.State, f.ResolvedWhy = finding.Resolved, "the provider accepts it again" })
	if err := d.deliver(t); err != nil {
		t.Fatal(err)
	}
	ms := d.slack.Messages()
	if len(ms) != 1 || !strings.Contains(ms[0].Text, "RESOLVED") {
		t.Fatalf("%d messages: %+v", len(ms), ms)
	}
	var turns []string
	for _, r := range ms[0].Replies {
		turns = append(turns, strings.Fields(r.Text)[0])
	}
	if got := fmt.Sprint(turns); got != "[Acknowledged Snoozed Open Resolved]" {
		t.Errorf("the thread says %s", got)
	}
}

// A message that a person deleted is told anew.
func TestADeletedMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.deliver(t); err != nil {
		t.Fatal(err)
	}
	d.slack.FailNext("message_not_found")
	d.change(func(f *finding.Finding) { f.State, f.AcknowledgedBy = finding.Acknowledged, "user ann" })
	if err := d.deliver(t); err != nil || len(d.slack.Messages()) != 2 {
		t.Errorf("%d messages, error %v", len(d.slack.Messages()), err)
	}
}

// What waits, what failed and why, and where what was sent is.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.deliver(t); err != nil {
		t.Fatal(err)
	}
	err := pgx.BeginFunc(t.Context(), d.Pool, func(tx pgx.Tx) error {
		if err := d.Enqueue(t.Context(), tx, []finding.Change{{Finding: finding.Finding{ID: 7}}}); err != nil {
			return err
		}
		first, err1 := d.EnqueueLetter(t.Context(), tx, "report/2026-10")
		again, err2 := d.EnqueueLetter(t.Context(), tx, "report/2026-10")
		if !first || again {
			t.Errorf("the letter is put in: %t, and again: %t", first, again)
		}
		_, err3 := tx.Exec(t.Context(), `UPDATE river_job SET state = 'discarded', finalized_at = now(), attempt = 25, errors = ARRAY['{"error": "slack: channel_not_found"}'::jsonb] WHERE kind = 'notify'`)
		return errors.Join(err1, err2, err3)
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.Deliveries(t.Context(), 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, error %v", list, err)
	}
	if l := list[0]; l.FindingID != 7 || l.State != "discarded" || l.Tries != 25 || l.Error != "slack: channel_not_found" {
		t.Errorf("%+v", l)
	}
	if l := list[1]; l.Letter != "report/2026-10" || l.State != "available" {
		t.Errorf("%+v", l)
	}
	if l := list[2]; l.FindingID != 1 || l.State != "sent" || l.Channel == "" || l.Ref == "" {
		t.Errorf("%+v", l)
	}
}

// A sample of every kind reaches the receivers, is plainly a test, and is not kept.
func TestSamples(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i, k := range finding.Kinds() {
		sent, err := d.Test(t.Context(), k, "")
		ms := d.slack.Messages()
		if err != nil || len(sent) != 1 || len(ms) != i+1 {
			t.Fatalf("%s: sent to %v, %d messages, error %v", k, sent, len(ms), err)
		}
		if text := strings.Join(ms[i].Lines(), "\n"); !strings.Contains(text, "a test") || !strings.Contains(text, "sample-") {
			t.Errorf("%s: %s", k, text)
		}
	}
	if _, err := d.Test(t.Context(), finding.Revoked, "pager"); !errors.Is(err, notify.ErrNoReceiver) {
		t.Errorf("a receiver that is not there: %v", err)
	}
	d.slack.FailNext("channel_not_found")
	if _, err := d.Test(t.Context(), finding.Revoked, "slack"); err == nil || err.Error() != "slack: channel_not_found" {
		t.Errorf("error %v", err)
	}
	if list, err := d.Deliveries(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, error %v", list, err)
	}
}
