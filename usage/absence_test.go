package usage_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// writers write a record of a format at a time: one that names a client that nobody registered, one that names
// none, one that is about something else, and one of a client that was refused, which shows nobody who is let in.
var writers = map[string]struct{ named, nameless, leftOut, refused func(at time.Time) string }{
	"plain": {
		named: func(at time.Time) string {
			return fmt.Sprintf(`{"client_id":"other","at":%q}`, at.Format(time.RFC3339))
		},
		nameless: func(at time.Time) string {
			return fmt.Sprintf(`{"at":%q,"source_ip":"192.0.2.7"}`, at.Format(time.RFC3339))
		},
		leftOut: func(at time.Time) string { return fmt.Sprintf(`{"at":%q,"client_id":"-"}`, at.Format(time.RFC3339)) },
		refused: func(at time.Time) string {
			return fmt.Sprintf(`{"at":%q,"client_id":"other","ok":false}`, at.Format(time.RFC3339))
		},
	},
	"nginx-json": {
		named: func(at time.Time) string {
			return fmt.Sprintf(`{"time_local":%q,"client_id":"other","status":"200"}`, at.Format("02/Jan/2006:15:04:05 -0700"))
		},
		nameless: func(at time.Time) string {
			return fmt.Sprintf(`{"time_iso8601":%q,"remote_addr":"192.0.2.7","status":"200","client_id":""}`, at.Format(time.RFC3339))
		},
		leftOut: func(at time.Time) string {
			return fmt.Sprintf(`{"time_iso8601":%q,"remote_addr":"192.0.2.7","status":"000","client_id":"other"}`, at.Format(time.RFC3339))
		},
		refused: func(at time.Time) string {
			return fmt.Sprintf(`{"time_iso8601":%q,"client_id":"other","status":401}`, at.Format(time.RFC3339))
		},
	},
	"keycloak": {
		named: func(at time.Time) string {
			return at.Format("2006-01-02 15:04:05,000") +
				` DEBUG [org.keycloak.events] (t) type="CODE_TO_TOKEN", realmId="r", clientId="shop", userId="u"`
		},
		nameless: func(at time.Time) string {
			return at.Format("2006-01-02 15:04:05,000") + ` DEBUG [org.keycloak.events] (t) type="CLIENT_LOGIN", realmId="r", clientId=""`
		},
		leftOut: func(at time.Time) string {
			return at.Format("2006-01-02 15:04:05,000") + ` INFO [io.quarkus] (main) Keycloak is alive`
		},
		refused: func(at time.Time) string { // all that Keycloak logs at its default levels
			return at.Format("2006-01-02 15:04:05,000") + ` WARN [org.keycloak.events] (t) type="LOGIN_ERROR", clientId="shop", error="x"`
		},
	},
	"envoy": {
		named: func(at time.Time) string {
			return fmt.Sprintf(`{"start_time":%q,"client_id":"other","response_code":200}`, at.Format(time.RFC3339))
		},
		nameless: func(at time.Time) string {
			return fmt.Sprintf(`{"start_time":%q,"client_id":"-","response_code":200}`, at.Format(time.RFC3339))
		},
		leftOut: func(at time.Time) string {
			return fmt.Sprintf(`{"start_time":%q,"response_code":0,"client_id":"other"}`, at.Format(time.RFC3339))
		},
		refused: func(at time.Time) string {
			return fmt.Sprintf(`{"start_time":%q,"client_id":"other","response_code":401}`, at.Format(time.RFC3339))
		},
	},
}

// bringers bring a text to a feed as each type does.
var bringers = map[string]func(d *desk, f feed.Feed, text string, span feed.Span) error{
	feed.TypeFile: func(d *desk, f feed.Feed, text string, _ feed.Span) error {
		after := feed.FilePosition{Head: []byte("h"), HeadLen: 1, Name: "log"}
		_, err := d.ingest(f, usage.Chunk{Name: "log", Text: []byte(text), Stored: -1, After: after})
		return err
	},
	feed.TypePush: func(d *desk, f feed.Feed, text string, _ feed.Span) error {
		_, err := d.ingest(f, usage.Push{ID: "1", Body: []byte(text)})
		var unread *usage.UnreadError
		if errors.As(err, &unread) { // it is refused, and shows nothing then
			return nil
		}
		return err
	},
	feed.TypeImport: func(d *desk, f feed.Feed, text string, span feed.Span) error {
		_, err := d.ingest(f, usage.Import{Name: "log", In: strings.NewReader(text), Covers: []feed.Span{span}})
		var unread *usage.UnreadError
		if errors.As(err, &unread) { // it is refused, and shows nothing then
			return nil
		}
		return err
	},
}

// idle is a credential that nobody uses, of which much is known but its use.
func idle(now time.Time) credential.Credential {
	c := client(1, "idle")
	c.Created, c.Registered = now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0)
	return c
}

func (d *desk) answer(c credential.Credential) usage.Answer {
	d.Helper()
	book, err := d.store.Open(d.Context(), d.pool, []credential.Credential{c})
	if err != nil {
		d.Fatal(err)
	}
	return book.Assess(c, d.now)
}

// No feed whose records are without a client, bad, left out, or have become so, ever says that nobody uses a
// credential, whatever its type and format and however alive it is.
func TestAbsenceNeedsEvidence(t *testing.T) {
	lasting.Test(t, "each source and each format has a database")
	t.Parallel()
	for kind := range bringers {
		for format := range writers {
			t.Run(kind+"/"+format, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				c := idle(d.now)
				n := 0
				rapid.Check(t, func(rt *rapid.T) {
					w, lines := writers[format], &strings.Builder{}
					broken := []func(time.Time) string{
						w.nameless, w.leftOut,
						func(at time.Time) string { return "{" + at.Format(time.RFC3339) + " cut of" },
						func(time.Time) string { return "no time and no JSON {" },
						w.refused,
					}
					good := rapid.IntRange(0, 110).Draw(rt, "days on which it names clients")
					each := rapid.SampledFrom(broken).Draw(rt, "then")
					mixed := rapid.Bool().Draw(rt, "or all of them")
					for day := 120; day >= 0; day-- {
						for hour := range 3 {
							at := d.now.AddDate(0, 0, -day).Add(-time.Duration(hour) * 7 * time.Hour)
							write := w.named
							if day <= 120-good {
								if write = each; mixed {
									write = rapid.SampledFrom(broken).Draw(rt, "record")
								}
							}
							lines.WriteString(write(at) + "\n")
						}
					}
					if n++; n > 12 {
						return // each is a feed and two transactions
					}
					f := d.feed(feed.Feed{Name: fmt.Sprint("f", n), Type: kind, Format: d.format(format)})
					if err := bringers[kind](d, f, lines.String(), feed.Span{From: d.now.AddDate(0, 0, -120), To: d.now}); err != nil {
						rt.Fatal(err)
					}
					if a := d.answer(c); a.State != usage.NotKnown {
						rt.Fatalf("%s: %s; %v", a.State, a.Reason, a.Coverage())
					}
					if _, err := d.pool.Exec(t.Context(), `DELETE FROM usage_feeds`); err != nil {
						rt.Fatal(err)
					}
				})
				f := d.feed(feed.Feed{Name: "good", Type: kind, Format: d.format(format)})
				text := ""
				for i := 120 * 3; i >= 0; i-- {
					text += writers[format].named(d.now.Add(-time.Duration(i)*8*time.Hour)) + "\n"
				}
				if err := bringers[kind](d, f, text, feed.Span{From: d.now.AddDate(0, 0, -120), To: d.now}); err != nil {
					t.Fatal(err)
				}
				if a := d.answer(c); a.State != usage.NeverUsed {
					t.Errorf("a feed that is all right: %s: %s", a.State, a.Reason)
				}
			})
		}
	}
}

// The same of feeds that are asked: what an answer with HTTP 200 did not show is not known.
func TestAbsenceNeedsEvidenceOfPolls(t *testing.T) {
	t.Parallel()
	record := func(at time.Time, id string) string {
		return fmt.Sprintf(`{"at":%q,"client_id":%q,"event_id":%q}`, at.Format(time.RFC3339), id, at.Format(time.RFC3339Nano))
	}
	since := feed.PollSpec{URL: "{base}/log?since={since}&until={until}"}
	for _, c := range []struct {
		name string
		spec feed.PollSpec
		body func(now time.Time, poll int) string
		want usage.State
	}{
		{"all is well", since, func(now time.Time, _ int) string { return "[" + record(now, "other") + "]" }, usage.NeverUsed},
		{"nothing was ever there", since, func(time.Time, int) string { return "[]" }, usage.NotKnown},
		{"no record names a client", since, func(now time.Time, _ int) string { return "[" + record(now, "") + "]" }, usage.NotKnown},
		{"all are bad", since, func(time.Time, int) string { return `[{"when":"today"},{"when":"now"}]` }, usage.NotKnown},
		{"the schema changed", since, func(now time.Time, poll int) string {
			if poll < 20 {
				return "[" + record(now, "other") + "]"
			}
			return fmt.Sprintf(`[{"at":%q,"kind":"heartbeat"},{"at":%q,"client":"x"}]`, now.Format(time.RFC3339), now.Format(time.RFC3339))
		}, usage.NotKnown},
		{"50 of 5,000", feed.PollSpec{URL: "{base}/log?after={cursor}", Cursor: ".[-1].event_id"}, func(now time.Time, _ int) string {
			return "[" + record(now.AddDate(0, 0, -100), "other") + "]"
		}, usage.NotKnown},
		{
			"one record is of next year",
			feed.PollSpec{URL: "{base}/log?after={cursor}", Cursor: ".[-1].event_id"},
			func(now time.Time, poll int) string {
				if poll > 0 {
					return "[" + record(now.AddDate(-1, 0, 0), "") + "]"
				}
				return "[" + record(now, "other") + "," + record(now.AddDate(1, 0, 0), "other") + "]"
			}, usage.NotKnown,
		},
		{"the newest only, once", feed.PollSpec{URL: "{base}/log"}, func(now time.Time, _ int) string {
			return "[" + record(now.Add(-time.Minute), "other") + "]"
		}, usage.NotKnown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			end := d.now
			poll := 0
			a := newAPI(d, func(a *api, w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, c.body(a.now, poll))
				poll++
			})
			c.spec.First.Duration = 100 * 24 * time.Hour
			f := a.feedOf("http", c.spec)
			f.Silence = 24 * time.Hour
			a.now = end.AddDate(0, 0, -120)
			if c.name == "the newest only, once" {
				a.now = end
			}
			for ; !a.now.After(end); a.now = a.now.Add(24 * time.Hour) {
				a.must(f)
			}
			a.now = end
			if got := d.answer(idle(end)); got.State != c.want {
				t.Errorf("%s: %s", got.State, got.Reason)
			}
		})
	}
}

// What Entra's last-used list shows of applications that never signed in takes nothing from what it covers.
func TestNeverSignedIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	end := d.now
	a := newAPI(d, func(a *api, w http.ResponseWriter, _ *http.Request) {
		last := a.now.Add(-time.Hour).Format(time.RFC3339)
		fmt.Fprintf(w, `{"value":[
			{"appId":"other","applicationAuthenticationClientSignInActivity":{"lastSignInDateTime":%q}},
			{"appId":"n1","applicationAuthenticationClientSignInActivity":{"lastSignInDateTime":null}},
			{"appId":"n2","applicationAuthenticationClientSignInActivity":null}]}`, last)
	})
	f := a.feed("entra-activity")
	for a.now = end.AddDate(0, 0, -100); !a.now.After(end); a.now = a.now.Add(12 * time.Hour) {
		f.Silence = 24 * time.Hour
		a.must(f)
	}
	a.now = end
	if got := d.answer(idle(end)); len(got.Gaps) > 0 {
		t.Errorf("%s: %s", got.State, got.Reason)
	}
}
