package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/audit"
)

// What comes after a number that is missing waits for it, but not for one that was rolled back.
func TestNoEventIsPassedOver(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	entries := func(at time.Time, ids ...int64) (es []audit.Entry) {
		for _, id := range ids {
			es = append(es, audit.Entry{ID: id, At: at})
		}
		return es
	}
	tl := tail{last: 4}
	for _, c := range []struct {
		after time.Duration
		fresh []int64
		want  string
	}{
		{0, []int64{5, 7}, "[5]"},
		{time.Second, []int64{7, 8}, "[]"},
		{2 * time.Second, []int64{6, 7, 8}, "[6 7 8]"},
		{3 * time.Second, []int64{10}, "[]"},
		{14 * time.Second, []int64{10, 11}, "[10 11]"},
	} {
		var got []int64
		for _, e := range tl.next(entries(now, c.fresh...), now.Add(c.after)) {
			got = append(got, e.ID)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("after %s of %v: %v, want %s", c.after, c.fresh, got, c.want)
		}
	}
}
