package usage_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// A use from a new network is unexpected, and a use after the end from an old one a forgotten job, whether history and
// news come in one file or in two.
func TestHistoryAndNewsInOneFile(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]int{"one file": 1, "two files": 2} {
		for _, revoked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", revoked: ", revoked), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, client(1, "app"))
				f := d.feed(feed.OfImports("p", d.format("plain")))
				line := func(at time.Time, ip string) string {
					return fmt.Sprintf(`{"client_id":"app","at":%q,"source_ip":%q}`+"\n", at.Format(time.RFC3339), ip)
				}
				var history strings.Builder
				for n := 60; n > 0; n-- {
					history.WriteString(line(d.now.AddDate(0, 0, -n), "198.51.100.7"))
				}
				news := line(d.now.Add(-time.Hour), "198.51.100.8") + line(d.now.Add(-time.Hour), "203.0.113.9")
				texts := []string{history.String() + news}
				if files == 2 {
					texts = []string{history.String(), news}
				}
				var events []finding.Event
				for _, text := range texts {
					held := map[int64]usage.Held{1: {Revoked: revoked, Since: d.now.Add(-2 * time.Hour)}}
					d.tx(func(tx pgx.Tx) error {
						n, err := d.store.Ingest(context.Background(), tx, f, d.importOf(text), d.now)
						if err != nil {
							return err
						}
						es, err := d.store.Alarms(context.Background(), tx, n, held, d.now)
						events = append(events, es...)
						return err
					})
				}
				want := finding.UnexpectedUse
				if revoked {
					want = finding.UsedAfterRevocation
				}
				var opened []finding.Event
				for _, e := range events {
					if e.Op == finding.OpOpen {
						opened = append(opened, e)
					}
				}
				if len(opened) != 1 || opened[0].Kind != want || len(opened[0].Evidence.Uses) != 1 ||
					opened[0].Evidence.Uses[0].Address != "203.0.113.9" {
					t.Errorf("%+v", opened)
				}
			})
		}
	}
}
