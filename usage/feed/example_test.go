package feed_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// A line of an access log of nginx becomes an event.
func ExampleFormat_Read() {
	format, err := feed.NewFormat("nginx-json", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	line := `{"time_iso8601":"2026-11-02T08:00:01+00:00","remote_addr":"203.0.113.7","client_id":"ats-sync",` +
		`"status":200,"http_user_agent":"job/1","request_id":"5f2b"}`
	err = format.Read(context.Background(), strings.NewReader(line), func(r feed.Reading) error {
		for _, e := range r.Events {
			fmt.Println(e.Kind, "by", e.ClientID, "from", e.Address, "with", e.UserAgent, "at", e.At, "accepted:", e.OK)
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// request by ats-sync from 203.0.113.7 with job/1 at 2026-11-02 08:00:01 +0000 UTC accepted: true
}
