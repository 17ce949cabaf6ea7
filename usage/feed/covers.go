package feed

import (
	"strings"
	"time"
)

// cut ends a poll that has more pages than are asked for. Where they came in the order of time, the next poll goes on
// at the newest record; else the newest are here, and what is older than they is not known.
func (a *Asker) cut(pg *Page) {
	newest, oldest := newestOf(pg.Reading), oldestOf(pg.Reading)
	if newest.After(a.until) {
		newest = a.until
	}
	switch {
	case a.backwards:
		pg.After.Until = a.until
		if !oldest.IsZero() {
			pg.Covered = []Span{{laterOf(a.from, oldest), a.until}}
		}
	case newest.After(a.from):
		if a.feed.Poll.Spec.Cursor == "" {
			pg.After.Until = newest
		}
		pg.Covered = a.upTo(newest)
	}
}

// end ends a poll with its last page, and says what it covered; the first rule that fits decides.
func (a *Asker) end(pg *Page, list []any) {
	spec := a.feed.Poll.Spec
	first := pg.Before.Until.IsZero()
	pg.After.Until = a.until
	newest, oldest := newestOf(pg.Reading), oldestOf(pg.Reading)
	if newest.After(a.until) {
		newest = a.until
	}
	switch {
	case first && (spec.State || spec.StartURL != ""): // it only tells where to begin
		pg.Covered = []Span{{a.until, a.until}}
	case spec.Cursor != "" && spec.More == "" && len(list) > 0: // who knows what else there is
		pg.After.Until = a.from
		if newest.After(a.from) {
			pg.After.Until = newest
			pg.Covered = a.upTo(newest)
		}
	case !spec.State && !a.asksSince() && spec.Cursor == "" && len(list) > 0: // the newest records, however many there were
		if oldest.IsZero() {
			oldest = a.until
		}
		pg.Covered = []Span{{laterOf(a.from, oldest), a.until}}
	case first && !spec.State && !a.asksSince():
		pg.Covered = []Span{{a.until, a.until}}
	default:
		pg.Covered = []Span{{a.from, a.until}}
	}
}

// upTo is what a poll covered that came as far as its newest record.
func (a *Asker) upTo(newest time.Time) []Span {
	if a.position.Until.IsZero() && !a.asksSince() {
		return []Span{{newest, newest}}
	}
	return []Span{{a.from, newest}}
}

// asksSince reports whether a poll says since when records are wanted.
func (a *Asker) asksSince() bool { return strings.Contains(a.feed.Poll.Spec.URL, "{since}") }

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// oldestOf is about events: only of those it is sure what their time means. newestOf is about all records with a time.
func oldestOf(r Reading) (t time.Time) {
	for _, e := range r.Events {
		if t.IsZero() || e.At.Before(t) {
			t = e.At
		}
	}
	return t
}

func newestOf(r Reading) (t time.Time) {
	for _, e := range r.Events {
		t = laterOf(t, e.At)
	}
	for _, s := range r.Alive {
		t = laterOf(t, s.To)
	}
	return t
}
