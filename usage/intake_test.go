package usage_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

func (d *desk) bring(f feed.Feed, text string) usage.Ingested {
	d.Helper()
	news, err := d.ingest(f, usage.Push{ID: uuid.NewString(), Body: []byte(text)})
	if err != nil {
		d.Fatal(err)
	}
	return news
}

// However many networks and user agents use a credential on one day, it is at most 200 rows and one for
// the rest, over any number of batches, and no use is lost.
func TestACrowdedDay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	f := d.feed(feed.Feed{Name: "push", Type: feed.TypePush})
	for batch := range 3 {
		var b strings.Builder
		for i := range 300 {
			fmt.Fprintf(&b, `{"client_id":"a","at":%q,"source_ip":"10.%d.%d.1","user_agent":"job/%d"}`+"\n",
				d.now.Truncate(24*time.Hour).Format(time.RFC3339), batch, i%250, i)
		}
		d.bring(f, b.String())
	}
	if rows, uses := d.count(`SELECT count(*) FROM usage_days`), d.uses(); rows > 201 || uses != 900 {
		t.Errorf("%d rows, %d uses of 900", rows, uses)
	}
	if n := d.count(`SELECT count(*) FROM usage_days WHERE user_agent = '(others)' AND network = '0.0.0.0/0'`); n != 1 {
		t.Errorf("%d rows for the rest", n)
	}
}

// A flood of client ids that nobody registered fills its list and no more; what is on it is kept up to date.
func TestUnregistered(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	f := d.feed(feed.Feed{Name: "push", Type: feed.TypePush})
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, `{"client_id":"x%d","at":%q}`+"\n", i, d.now.Format(time.RFC3339))
	}
	d.bring(f, b.String())
	d.bring(f, `{"client_id":"x7\u0000\u202e","at":"`+d.now.Format(time.RFC3339)+`","source_ip":"203.0.113.7"}`+"\n"+
		`{"client_id":"x7","at":"`+d.now.Format(time.RFC3339)+`"}`)
	d.bring(f, `{"kind":"created","client_id":"x8","at":"`+d.now.Format(time.RFC3339)+`","actor":"alice"}`+"\n"+
		`{"kind":"created","at":"`+d.now.Format(time.RFC3339)+`","actor":"bob"}`)
	registered := func(_ context.Context, among []string) (map[string]map[string]bool, error) {
		known := map[string]map[string]bool{"p": {}}
		for _, id := range among {
			known["p"][id] = id == "x9"
		}
		return known, nil
	}
	var list []usage.Unregistered
	err := d.store.Unregistered(t.Context(), registered, func(u usage.Unregistered) bool { list = append(list, u); return true })
	if err != nil || len(list) != 1000 { // 1000 on the list, less x9, and the one that bob made
		t.Errorf("%d are listed, error %v", len(list), err)
	}
	some := 0
	err = d.store.Unregistered(t.Context(), registered, func(usage.Unregistered) bool { some++; return some < 600 })
	if err != nil || some != 600 {
		t.Errorf("%d of 600 that are asked for, error %v", some, err)
	}
	by := map[string]usage.Unregistered{}
	for _, u := range list {
		by[u.ClientID] = u
	}
	if by["x7"].Events != 3 || by["x8"].CreatedBy != "alice" || by["x8"].Events != 1 || by[""].CreatedBy != "bob" || by["x9"].Events != 0 {
		t.Errorf("%+v %+v %+v", by["x7"], by["x8"], by[""])
	}
}
