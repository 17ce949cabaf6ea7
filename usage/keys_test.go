package usage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Of two secrets of one client the one that is used is told from the other, where the log names keys: by what the
// credential says, or by what our own check of it showed. A key that nobody knows is a use of those that do not say theirs.
func TestKeys(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		oldKey, newKey string // as the credentials say
		check          bool   // one of each was seen in the feed before
		events         map[string]int
		old, fresh     int64 // uses
		other          int64
	}{
		"both say":              {"k-old", "k-new", false, map[string]int{"k-old": 3, "k-new": 5}, 3, 5, 0},
		"both say, one is used": {"k-old", "k-new", false, map[string]int{"k-old": 3}, 3, 0, 0},
		"one says":              {"", "k-new", true, map[string]int{"k-old": 3, "k-new": 5}, 3, 5, 0},
		"neither says":          {"", "", false, map[string]int{"k-old": 3, "k-new": 5}, 8, 8, 0},
		"our own checks say":    {"", "", true, map[string]int{"k-old": 3, "k-new": 5}, 3, 5, 0},
		"a key of nobody":       {"k-old", "k-new", true, map[string]int{"k-third": 4}, 0, 0, 4},
		"a key that came later": {"", "", true, map[string]int{"k-third": 4}, 4, 4, 0},
		"the record names none": {"k-old", "k-new", false, map[string]int{"": 2}, 2, 2, 0},
		// After a rotation that left key_id as it was no feed shows that key any more, or none did yet.
		"what it says was never seen":        {"k-gone", "k-new", false, map[string]int{"k-third": 2}, 2, 2, 0},
		"our own check says another than it": {"k-gone", "k-new", true, map[string]int{"k-old": 3}, 3, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := client(1, "app"), client(2, "app")
			before.KeyID, after.KeyID = x.oldKey, x.newKey
			d := newDesk(t, before, after)
			f := d.feed(feed.OfImports("p", d.format("plain")))
			text := ""
			if x.check {
				for id, key := range map[int64]string{1: "k-old", 2: "k-new"} {
					at := d.now.Add(-time.Duration(id) * time.Hour)
					nonce := d.checked(id, at)
					text += fmt.Sprintf(
						`{"client_id":"app","key_id":%q,"at":%q,"kind":"exchange","user_agent":"keyrounds/1 check/%s"}`+"\n",
						key,
						at.Format(time.RFC3339),
						nonce,
					)
				}
			}
			i := 0
			for key, n := range x.events {
				for range n {
					i++
					text += fmt.Sprintf(`{"client_id":"app","key_id":%q,"at":%q,"kind":"exchange","user_agent":"job"}`+"\n",
						key, d.now.Add(-time.Duration(i)*time.Minute).Format(time.RFC3339))
				}
			}
			n, err := d.ingest(f, d.importOf(text))
			if err != nil {
				t.Fatal(err)
			}
			var old, fresh int64
			if err := d.pool.QueryRow(t.Context(), `
				SELECT coalesce(sum(uses) FILTER (WHERE credential_id = 1), 0)::bigint,
					coalesce(sum(uses) FILTER (WHERE credential_id = 2), 0)::bigint
				FROM usage_days`).Scan(&old, &fresh); err != nil {
				t.Fatal(err)
			}
			if old != x.old || fresh != x.fresh || n.Counts[usage.ResultOtherKey] != x.other {
				t.Errorf(
					"%d, %d and %d of others, want %d, %d and %d: %v",
					old,
					fresh,
					n.Counts[usage.ResultOtherKey],
					x.old,
					x.fresh,
					x.other,
					n.Counts,
				)
			}
		})
	}
}
