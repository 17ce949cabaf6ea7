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
