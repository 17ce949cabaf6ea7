package usage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// linesOf is a log of clients, a record each three hours for days before now; skew makes it another's.
func linesOf(now time.Time, from, to int, clients ...string) string {
	var b strings.Builder
	for h := from * 24; h > to*24; h -= 3 {
		at := now.Add(-time.Duration(h) * time.Hour)
		c := clients[h/3%len(clients)]
		fmt.Fprintf(&b, `{"event_id":"%d","client_id":%q,"other":"b","at":%q,"source_ip":"203.0.113.%d","ok":%v}`+"\n",
			h, c, at.Format(time.RFC3339), h%200, h%5 != 0)
	}
	return b.String()
}

// dump is all that the tables say of use.
func (d *desk) dump() string {
	d.Helper()
	var b strings.Builder
	for _, sql := range []string{
		`SELECT (u.*)::text FROM usage_days u ORDER BY 1`,
		`SELECT (credential_id, month, exchanges, requests, own, failures, first_at, last_at, days, not_allowed,
			date_trunc('day', first_attempt_at), date_trunc('day', last_attempt_at))::text FROM usage_months ORDER BY 1`,
		`SELECT (f.*)::text FROM usage_feed_days f ORDER BY 1`,
		`SELECT coverage::text FROM usage_feeds`,
		`SELECT (counts - 'duplicate')::text FROM usage_feeds`,
		`SELECT batch_id FROM usage_batches ORDER BY 1`,
	} {
		rows, err := d.pool.Query(d.Context(), sql)
		if err != nil {
			d.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				d.Fatal(err)
			}
			b.WriteString(row + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// A replaced import leaves the tables as if the content had been taken in as it is read now, whatever else was imported
// before and after.
func TestReplace(t *testing.T) {
	t.Parallel()
	for name, others := range map[string][2]bool{
		"alone": {}, "another before": {true, false}, "another after": {false, true}, "others before and after": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := func(wrong bool) string {
				d := newDesk(t, client(1, "a"), client(2, "b"))
				d.now = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
				right := d.feed(feed.OfImports("p", d.format("plain")))
				take := func(f feed.Feed, text string, replace bool) {
					t.Helper()
					i := usage.Import{Name: "log", In: strings.NewReader(text)}
					if replace {
						digest, err := feed.ContentDigest(strings.NewReader(text))
						if err != nil {
							t.Fatal(err)
						}
						i.Replace = digest
					}
					n, err := d.ingest(f, i)
					if err != nil || replace != (len(n.Replaced) == 1) {
						t.Fatal(n.Replaced, err)
					}
				}
				content := linesOf(d.now, 40, 10, "a")
				if others[0] {
					take(right, linesOf(d.now, 60, 41, "a", "b"), false)
				}
				if wrong {
					format, err := feed.NewFormat("", `{client_id: .other, at, event_id, source_ip}`)
					if err != nil {
						t.Fatal(err)
					}
					other := right
					other.Format = format
					take(other, content, false)
				}
				if others[1] {
					take(right, linesOf(d.now, 9, 2, "b", "a"), false)
				}
				take(right, content, wrong)
				return d.dump()
			}
			if diff := cmp.Diff(strings.Split(made(false), "\n"), strings.Split(made(true), "\n")); diff != "" {
				t.Errorf("from the beginning (-), replaced (+):\n%s", diff)
			}
		})
	}
}

// What cannot be replaced says why, and nothing changes.
func TestReplaceNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	f := d.feed(feed.OfImports("p", d.format("plain")))
	text := linesOf(d.now, 10, 1, "a")
	digest, err := feed.ContentDigest(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var not *usage.NotTakenError
	if _, err := d.ingest(f, usage.Import{Name: "log", In: strings.NewReader(text), Replace: digest}); !errors.As(err, &not) || not.Before {
		t.Errorf("nothing to replace: %v", err)
	}
	if _, err := d.ingest(f, d.importOf(text)); err != nil {
		t.Fatal(err)
	}
	before := d.dump()
	if _, err := d.ingest(f, usage.Import{Name: "log", In: strings.NewReader(text + "\n"), Replace: digest}); err == nil {
		t.Error("another content than the digest's is taken in")
	}
	if _, err := d.pool.Exec(t.Context(), `DELETE FROM usage_batch_rows`); err != nil {
		t.Fatal(err)
	}
	_, err = d.ingest(f, usage.Import{Name: "log", In: strings.NewReader(text), Replace: digest})
	if !errors.As(err, &not) || !not.Before {
		t.Errorf("of an older version: %v", err)
	}
	if after := d.dump(); after != before {
		t.Errorf("it changed:\n%s\n%s", before, after)
	}
}

// An event with an id counts once, in however many files it is; one without counts each time.
func TestOverlappingFiles(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	f := d.feed(feed.OfImports("p", d.format("plain")))
	week, month := linesOf(d.now, 7, 1, "a"), linesOf(d.now, 30, 1, "a")
	for _, text := range []string{week, month} {
		if _, err := d.ingest(f, d.importOf(text)); err != nil {
			t.Fatal(err)
		}
	}
	another := newDesk(t, client(1, "a"))
	another.now = d.now
	if _, err := another.ingest(another.feed(f), another.importOf(month)); err != nil {
		t.Fatal(err)
	}
	if got, want := d.uses(), another.uses(); got != want || want == 0 {
		t.Errorf("%d uses of the two, %d of the larger alone", got, want)
	}
	bare := strings.ReplaceAll(week, `"event_id"`, `"nothing"`)
	if _, err := d.ingest(f, d.importOf(bare)); err != nil {
		t.Fatal(err)
	}
	if d.uses() == another.uses() {
		t.Error("events without an id are taken for the same")
	}
}

// A key names one content: the same again changes nothing, compressed or not, and another is refused.
func TestPushKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	f := d.feed(feed.Feed{Name: "pushed", Type: feed.TypePush})
	push := func(id, text string) error {
		_, err := d.ingest(f, usage.Push{ID: id, Body: []byte(text)})
		return err
	}
	text := linesOf(d.now, 2, 1, "a")
	if err := push("k", text); err != nil {
		t.Fatal(err)
	}
	uses := d.uses()
	var before *usage.TakenBeforeError
	if err := push("k", text); !errors.As(err, &before) || before.ID != "k" {
		t.Errorf("the same again: %v", err)
	}
	if err := push("k", text+" \n"+text); !errors.Is(err, usage.ErrKeyReused) {
		t.Errorf("another content: %v", err)
	}
	if err := push("", text); err != nil {
		t.Errorf("without a key: %v", err)
	}
	if err := push("", text); !errors.As(err, &before) || !strings.HasPrefix(before.ID, "sha256:") {
		t.Errorf("without a key, again: %v", err)
	}
	if got := d.uses(); got != 2*uses {
		t.Errorf("%d uses, want %d", got, 2*uses)
	}
}
