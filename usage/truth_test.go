package usage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// A refusal and the retry that was let in may have one id, and two clients in one trace: neither use is lost.
func TestOneIDOfSeveralEvents(t *testing.T) {
	t.Parallel()
	for _, polled := range []bool{false, true} {
		d := newDesk(t, client(1, "a"), client(2, "b"))
		at := d.now.Add(-time.Hour)
		line := func(client string, after time.Duration, ok bool) string {
			return fmt.Sprintf(`{"event_id":"trace","client_id":%q,"at":%q,"ok":%v}`, client, at.Add(after).Format(time.RFC3339), ok)
		}
		text := strings.Join([]string{line("a", 0, false), line("a", time.Second, true), line("b", time.Second, true)}, "\n")
		f, batch := d.feed(feed.OfImports("p", d.format("plain"))), usage.Batch(d.importOf(text))
		if polled {
			f = d.feed(feed.Feed{Name: "polled", Type: feed.TypeHTTP, Format: d.format("plain")})
			var r feed.Reading
			err := f.Format.Read(t.Context(), strings.NewReader(text), func(part feed.Reading) error {
				r.Events, r.Days = append(r.Events, part.Events...), part.Days
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			batch = usage.Page{Reading: r}
		}
		n, err := d.ingest(f, batch)
		if err != nil || n.Counts[usage.ResultUse] != 2 || n.Counts[usage.ResultFailure] != 1 {
			t.Errorf("polled %v: %v, %v", polled, n.Counts, err)
		}
	}
}

// Of a document that breaks nobody knows what comes after: it is refused, and shows nothing.
func TestBrokenDocument(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "idle"))
	var b strings.Builder
	for day := 100; day > 0; day-- {
		at := d.now.AddDate(0, 0, -day).Format(time.RFC3339)
		fmt.Fprintf(&b, "{\n  \"client_id\": \"other\",\n  \"at\": %q\n}\n", at)
		if day == 90 {
			b.WriteString("{\n  \"client_id\": broken\n}\n")
		}
	}
	f := d.feed(feed.OfImports("p", d.format("plain")))
	covers := []feed.Span{{From: d.now.AddDate(0, 0, -100), To: d.now}}
	_, err := d.ingest(f, usage.Import{Name: "log", In: strings.NewReader(b.String()), Covers: covers})
	var broken *feed.BrokenError
	if !errors.As(err, &broken) {
		t.Errorf("it is taken in: %v", err)
	}
	if a := d.answer(idle(d.now)); a.State != usage.NotKnown {
		t.Errorf("%s: %s", a.State, a.Reason)
	}
}

// What another import left out, since this one had brought it, is not lost by replacing this one: they go together.
func TestReplaceWhatOthersRestOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"), client(2, "b"))
	f := d.feed(feed.OfImports("p", d.format("plain")))
	week, month := linesOf(d.now, 7, 1, "a"), linesOf(d.now, 30, 1, "a")
	for _, text := range []string{week, month} {
		if _, err := d.ingest(f, d.importOf(text)); err != nil {
			t.Fatal(err)
		}
	}
	uses := d.uses()
	digests := make([]string, 2)
	for i, text := range []string{week, month} {
		digest, err := feed.ContentDigest(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		digests[i] = digest
	}
	replace := func(text, digest string, with ...string) error {
		_, err := d.ingest(f, usage.Import{Name: "log", In: strings.NewReader(text), Replace: digest, With: with})
		return err
	}
	var not *usage.NotTakenError
	if err := replace(week, digests[0]); !errors.As(err, &not) || not.Later != 1 {
		t.Errorf("the week alone: %v", err)
	}
	if err := errors.Join(replace(week, digests[0], digests...), replace(month, digests[1], digests...)); err != nil {
		t.Error(err)
	}
	if got := d.uses(); got != uses {
		t.Errorf("%d uses, not %d", got, uses)
	}
}

// Of a time that is shorter than its silence a feed that never showed anything says nothing.
func TestShortTimes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "idle"))
	d.feed(feed.Feed{Name: "empty", Type: feed.TypeFile, Learns: true})
	c := idle(d.now)
	for _, after := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour, 90 * 24 * time.Hour} {
		c.UnusedAfter = after
		if a := d.answer(c); a.State != usage.NotKnown {
			t.Errorf("unused after %s: %s, %s", after, a.State, a.Reason)
		}
	}
}

// Microsoft's ids are one in either case.
func TestGUIDs(t *testing.T) {
	t.Parallel()
	const id, key = "9cef4c1e-5a1f-4d7e-8f5b-0f6d1f1c1b11", "0a1b2c3d-5a1f-4d7e-8f5b-0f6d1f1c1b11"
	lower, upper := client(1, id), client(2, strings.ToUpper("1cef4c1e-5a1f-4d7e-8f5b-0f6d1f1c1b11"))
	lower.KeyID = key
	d := newDesk(t, lower, upper)
	text := fmt.Sprintf("{\"client_id\":%q,\"key_id\":%q,\"at\":%q}\n{\"client_id\":%q,\"at\":%q}\n",
		strings.ToUpper(id), strings.ToUpper(key), d.now.Format(time.RFC3339), strings.ToLower(upper.Subject), d.now.Format(time.RFC3339))
	n, err := d.ingest(d.feed(feed.OfImports("p", d.format("plain"))), d.importOf(text))
	if err != nil || n.Counts[usage.ResultUse] != 2 {
		t.Errorf("%v, %v", n.Counts, err)
	}
}
