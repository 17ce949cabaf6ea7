package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Slack took a message and its answer was lost, two hundred times. With the scope to read the channel's history no
// message is posted twice; without it at most one too many for each lost answer
// (docs/promises.md#a-lost-answer-of-a-receiver-makes-no-second-message).
func TestLostAnswers(t *testing.T) {
	lasting.Test(t, "it waits for answers that never come")
	t.Parallel()
	for name, k := range map[string]struct {
		noHistory bool
		most      int
	}{"with history": {false, 200}, "without": {true, 400}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, notify.Policy{})
			d.slack.NoHistory = k.noHistory
			for i := range 200 {
				d.slack.FailNext("lost")
				d.open(fmt.Sprintf("c%03d", i))
				for range 3 {
					d.settle()
					d.later(5 * time.Second)
				}
			}
			ms := d.slack.Messages()
			if len(ms) < 200 || len(ms) > k.most {
				t.Errorf("%d messages of 200 findings", len(ms))
			}
			seen := map[string]bool{}
			for _, m := range ms {
				seen[m.Text] = true
			}
			if len(seen) != 200 {
				t.Errorf("%d findings are told", len(seen))
			}
		})
	}
}

// What happens to a finding is kept in its thread, in order and each turn once, whatever answers are lost; the
// message itself is as the finding is (docs/promises.md#the-thread-tells-what-happened-each-turn-once).
func TestHistoryInTheThread(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	id := d.open("ats-sync")[0].Finding.ID
	d.settle()
	act := func(do func(ctx context.Context, tx pgx.Tx) (finding.Change, error), fail ...string) {
		t.Helper()
		d.later(time.Minute)
		d.slack.FailNext(fail...)
		d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
			c, err := do(ctx, tx)
			return []finding.Change{c}, err
		})
		d.settled()
	}
	act(func(ctx context.Context, tx pgx.Tx) (finding.Change, error) {
		return d.audit.Acknowledge(ctx, tx, "user ann", id, d.clock())
	}, "lost")
	act(func(ctx context.Context, tx pgx.Tx) (finding.Change, error) {
		return d.audit.Snooze(ctx, tx, "user ann", id, d.clock(), d.clock().Add(time.Minute))
	}, "", "lost")
	d.later(2 * time.Minute)
	d.slack.FailNext("500")
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		return d.audit.Awaken(ctx, tx, d.clock(), 0)
	})
	d.settled()
	d.slack.FailNext("", "lost", "lost")
	d.later(time.Minute)
	d.resolve("ats-sync")
	d.settled()
	var turns []string
	for _, r := range d.only().Replies {
		turns = append(turns, r.Text)
	}
	for i, want := range []string{"acknowledged by", "snoozed until", "is open again", "was refused for"} {
		if len(turns) != 4 || !strings.HasPrefix(turns[i], "ats-sync (idp) ") || !strings.Contains(turns[i], want) {
			t.Errorf("the thread says %q, want %q", turns, want)
		}
	}
	wantIn(t, d.only().Text, "RESOLVED")
}

// An update whose answer was lost may have been done; where the finding is as before by then the message is
// brought back to that.
func TestAnUpdateThatMayHaveBeenDone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	id := d.open("a")[0].Finding.ID
	d.settle()
	d.slack.FailNext("lost")
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		c, err := d.audit.Snooze(ctx, tx, "user ann", id, d.clock(), d.clock().Add(time.Second))
		return []finding.Change{c}, err
	})
	d.settle()
	wantIn(t, said(d.only()), "Snoozed until")
	d.later(10 * time.Second)
	d.tx(func(ctx context.Context, tx pgx.Tx) ([]finding.Change, error) {
		return d.audit.Awaken(ctx, tx, d.clock(), 0)
	})
	d.settled()
	if text := said(d.only()); strings.Contains(text, "Snoozed") {
		t.Errorf("it still says %s", text)
	}
}

// A finding that cannot be read holds up nobody else.
func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	bad := d.open("bad")[0].Finding.ID
	good := d.open("good")[0].Finding.ID
	d.settle()
	d.mu.Lock()
	d.unreadable = bad
	d.mu.Unlock()
	d.ack(bad)
	d.ack(good)
	other := d.open("other")[0].Finding.ID
	d.settle()
	d.settle()
	if n := len(d.slack.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
	list, err := d.Deliveries(t.Context(), 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, error %v", list, err)
	}
	d.mu.Lock()
	d.unreadable = 0
	d.mu.Unlock()
	d.later(10 * time.Minute)
	d.settled()
	if list, err = d.Deliveries(t.Context(), 10); err != nil || len(list) != 2 || list[0].State != "sent" || list[1].State != "sent" {
		t.Errorf("%d: %+v, error %v", other, list, err)
	}
}

// A message that a person deleted is told anew.
func TestADeletedMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	id := d.open("ats-sync")[0].Finding.ID
	d.settle()
	d.slack.FailNext("message_not_found")
	d.ack(id)
	d.settle()
	if n := len(d.slack.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// A channel that was renamed is found by its id.
func TestARenamedChannel(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.open("a")
	d.settle()
	d.slack.FailNext("channel_not_found")
	d.open("b")
	d.settle()
	ms := d.slack.Messages()
	if len(ms) != 2 || ms[0].Channel != ms[1].Channel {
		t.Errorf("%+v", ms)
	}
}

// A message that Slack refuses while it takes others holds nobody up, and is given up after a day.
func TestARefusedMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.slack.FailNext("metadata_too_large", "")
	d.open("a")
	d.settle()
	d.open("b")
	d.settle()
	if text := d.only().Text; !strings.Contains(text, " b ") {
		t.Errorf("told %s", text)
	}
	for range 40 {
		d.slack.FailNext("metadata_too_large")
		d.later(time.Hour)
		d.settle()
	}
	list, err := d.Deliveries(t.Context(), 10)
	if err != nil || len(list) != 2 || list[0].State != "given_up" || list[0].Error != "slack: metadata_too_large" {
		t.Errorf("%+v, error %v", list, err)
	}
}

// A sample of every kind reaches the receivers, is plainly a test, and is not kept.
func TestSamples(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	d.setup.Link = func(f finding.Finding) string { return fmt.Sprintf("https://keyrounds.example/findings/%d", f.ID) }
	d.Reload(d.setup)
	for i, k := range finding.Kinds() {
		sent, _, err := d.Test(t.Context(), k, "")
		ms := d.slack.Messages()
		if err != nil || len(sent) != 1 || len(ms) != i+1 {
			t.Fatalf("%s: sent to %v, %d messages, error %v", k, sent, len(ms), err)
		}
		wantIn(t, said(ms[i]), "TEST: ", "a test")
		if text := string(ms[i].Blocks); strings.Contains(text, "findings/0") || strings.Contains(text, "show 0") {
			t.Errorf("%s: it leads to a finding that there is not: %s", k, text)
		}
		if sent[0] != (notify.Reached{Receiver: "slack", Where: "Slack, #alerts"}) {
			t.Errorf("%s: it went to %v", k, sent[0])
		}
	}
	if _, _, err := d.Test(t.Context(), finding.Revoked, "pager"); !errors.Is(err, notify.ErrNoReceiver) {
		t.Errorf("a receiver that is not there: %v", err)
	}
	d.slack.FailNext("channel_not_found")
	if _, _, err := d.Test(t.Context(), finding.Revoked, "slack"); err == nil || err.Error() != "slack: channel_not_found" {
		t.Errorf("error %v", err)
	}
	if list, err := d.Deliveries(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, error %v", list, err)
	}
}
