package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// The hashes of former imports are stored: an event that was brought before has the same one for ever.
func TestEventHashesLast(t *testing.T) {
	t.Parallel()
	ids := &eventIDs{}
	at := time.Date(2026, 11, 2, 8, 0, 1, 5, time.UTC)
	for _, e := range []feed.Event{
		{Kind: feed.Request, ClientID: "ats", ID: "r-1", OK: true, At: at},
		{Kind: feed.Exchange, ClientID: "a", ID: "b", At: at.Add(-time.Hour)},
		{Kind: feed.LastUsed, ClientID: "ü", ID: "x\x00y", At: time.Unix(-1, 0)},
	} {
		former := xxhash.Sum64String(fmt.Sprint(e.Kind, "\x00", e.ClientID, "\x00", e.ID, "\x00", e.OK, e.At.UnixNano()))
		if got := ids.hash(e); got != former {
			t.Errorf("%s of %s: %x, it was %x", e.ID, e.ClientID, got, former)
		}
	}
}
