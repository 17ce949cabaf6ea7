package notify_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/alertmanager"
)

// From the first day each configured receiver can be seen to work: before the first message, and once it has a lane by that.
func TestLanesBeforeTheFirstMessage(t *testing.T) {
	t.Parallel()
	idle := alertmanager.New(alertmanager.Options{Name: "am", URL: "http://127.0.0.1:1", Client: &http.Client{}, Now: time.Now})
	d := newDesk(t, notify.Policy{Routes: []notify.Route{{Receivers: []string{"slack"}, Place: notify.Place{Channel: "#team"}}}}, idle)
	want := func(when string, want ...notify.LaneState) {
		t.Helper()
		got, err := d.Lanes(t.Context())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, lanes (-want +got) %s", when, err, diff)
		}
	}
	want("nothing was told yet", notify.LaneState{Receiver: "am"}, notify.LaneState{Receiver: "slack"})
	d.open("ats-sync")
	if _, err := d.Attend(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.later(time.Minute)
	d.settled()
	want("a message was told", notify.LaneState{Receiver: "am"}, notify.LaneState{Receiver: "slack", Channel: "#team"})
}

// Of each message it is said what it is about, when it was posted and when it was last sent; of one that waits, for what.
func TestDeliveriesSayWhenAndWhy(t *testing.T) {
	t.Parallel()
	d := newDesk(t, notify.Policy{})
	until := d.clock().Add(time.Hour)
	d.silence(notify.Silence{Credential: "quiet", Until: until})
	d.open("ats-sync", "quiet")
	d.settled()
	posted := d.clock()
	d.later(10 * time.Minute)
	d.resolve("ats-sync")
	d.settled()
	list, err := d.Deliveries(t.Context(), 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, error %v", list, err)
	}
	waits, sent := list[0], list[1]
	if waits.State != "waiting" || waits.About != "revoked quiet (idp)" ||
		waits.Waits != "a silence of ann, until 2 Mar 2026 10:00:00 UTC" || !waits.Posted.IsZero() {
		t.Errorf("what waits: %+v", waits)
	}
	if sent.About != "revoked ats-sync (idp)" || posted.Sub(sent.Posted) > time.Second || sent.Updated.Sub(sent.Posted) < 10*time.Minute {
		t.Errorf("what was sent: %+v", sent)
	}
}
