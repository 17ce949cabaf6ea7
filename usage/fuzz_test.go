package usage

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Whatever a client calls itself, its user agent can be stored.
func FuzzUserAgents(f *testing.F) {
	for _, text := range []string{
		"", "job/1", "a\x00b", "\xff\u202e",
		"session 0123456789abcdef01234567 of Mozilla/5.0", strings.Repeat("é ", 200),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		agent := newTally(time.UTC).agent(text)
		if !utf8.ValidString(agent) || strings.ContainsRune(agent, 0) || utf8.RuneCountInString(agent) > maxUserAgent {
			t.Errorf("the user agent %q cannot be stored", agent)
		}
	})
}

// Joining spans loses no moment and makes no other than within the gap; holes are what is left.
func TestSpans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		gap := time.Duration(rapid.IntRange(0, 5).Draw(t, "gap"))
		at := func(n int) time.Time { return time.Unix(0, int64(n)) }
		var spans []feed.Span
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			from := rapid.IntRange(0, 60).Draw(t, "from")
			spans = append(spans, feed.Span{From: at(from), To: at(from + rapid.IntRange(0, 9).Draw(t, "length"))})
		}
		joined := join(append([]feed.Span(nil), spans...), gap)
		in := func(list []feed.Span, n int) bool {
			for _, s := range list {
				if !at(n).Before(s.From) && !at(n).After(s.To) {
					return true
				}
			}
			return false
		}
		for i, s := range joined {
			if i > 0 && s.From.Sub(joined[i-1].To) <= gap {
				t.Fatalf("%v and %v are not joined", joined[i-1], s)
			}
		}
		window := feed.Span{From: at(10), To: at(50)}
		open := holes(joined, window, gap)
		for n := 10; n <= 50; n++ {
			if in(spans, n) && !in(joined, n) {
				t.Fatalf("%d is lost", n)
			}
			inside := false
			for _, h := range open {
				inside = inside || at(n).After(h.From) && at(n).Before(h.To)
				if h.To.Sub(h.From) <= gap || h.From.Before(window.From) || h.To.After(window.To) {
					t.Fatalf("%v is no hole of %v", h, window)
				}
			}
			if inside && in(joined, n) {
				t.Fatalf("%d is covered, and in a hole of %v", n, open)
			}
		}
	})
}

// No way leads to "unused" or "never used" without feeds that watched all of the time that counts, and a use
// in that time always says used.
func TestNeverUnusedWithoutCoverage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		day := func(n int) time.Time { return now.AddDate(0, 0, -n) }
		f := facts{zone: time.UTC}
		f.credential.Subject = "c"
		f.credential.UnusedAfter = time.Duration(rapid.IntRange(1, 120).Draw(t, "unused_after")) * 24 * time.Hour
		f.credential.Registered = day(rapid.IntRange(0, 500).Draw(t, "registered"))
		if rapid.Bool().Draw(t, "created") {
			f.credential.Created = day(rapid.IntRange(0, 900).Draw(t, "created_on"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "feeds") {
			fd := feedFacts{
				name: "f", silence: 24 * time.Hour, configured: rapid.Bool().Draw(t, "configured"),
				partial: rapid.IntRange(0, 3).Draw(t, "partial") == 0, file: rapid.IntRange(0, 3).Draw(t, "file") == 0,
			}
			for range rapid.IntRange(0, 4).Draw(t, "spans") {
				from := rapid.IntRange(0, 300).Draw(t, "from")
				fd.coverage = append(
					fd.coverage,
					feed.Span{From: day(from), To: day(max(0, from-rapid.IntRange(0, 300).Draw(t, "length")))},
				)
			}
			fd.coverage = join(fd.coverage, fd.silence)
			f.feeds = append(f.feeds, fd)
		}
		if last := rapid.IntRange(-1, 300).Draw(t, "last use"); last >= 0 {
			at := day(last)
			f.months = []monthFacts{{
				month: time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC), first: at, last: at,
				requests: 1, days: 1 << (at.Day() - 1), own: 1,
			}}
		}
		a := assess(f, now)
		usedInTime := !a.LastUse.IsZero() && a.LastUse.After(a.Window.From)
		if (a.State == Used) != usedInTime {
			t.Fatalf("%s, and the last use was %s of a time from %s", a.State, a.LastUse, a.Window.From)
		}
		if a.State == NotKnown && a.Reason == "" {
			t.Fatal("it does not say why it is not known")
		}
		if a.State != Unused && a.State != NeverUsed {
			return
		}
		if (a.State == NeverUsed) != a.LastUse.IsZero() {
			t.Fatalf("%s with the last use %s", a.State, a.LastUse)
		}
		for d := 1; day(d).After(a.Window.From); d++ {
			watched := false
			all := true
			for _, fd := range f.feeds {
				covers := false
				for _, s := range fd.coverage {
					covers = covers || !day(d).Before(s.From.Add(-24*time.Hour)) && !day(d).After(s.To.Add(24*time.Hour))
				}
				switch {
				case fd.partial:
				case fd.file:
					watched = watched || covers
				case fd.configured:
					all = all && covers
				}
			}
			configured := false
			for _, fd := range f.feeds {
				configured = configured || fd.configured && !fd.partial && !fd.file
			}
			if !watched && !(all && configured) {
				t.Fatalf("%s, and nobody watched %s: %+v", a.State, day(d), f.feeds)
			}
		}
		if since := f.existedSince(); since.After(a.Window.From.Add(24 * time.Hour)) {
			t.Fatalf("%s, and it exists only since %s", a.State, since)
		}
	})
}

// The rhythm of uses, and what it means for when a credential is unused.
func TestRhythm(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, k := range map[string]struct {
		days  []int // before now
		want  string
		state State // with unused_after 60 days and full coverage
	}{
		"never":                 {nil, "", NeverUsed},
		"once":                  {[]int{100}, "", Unused},
		"twice":                 {[]int{190, 100}, "", Unused},
		"quarterly, in time":    {[]int{280, 190, 100}, "quarterly", Used},
		"quarterly, in runs":    {[]int{282, 281, 280, 191, 190, 101, 100}, "quarterly", Used},
		"quarterly, overdue":    {[]int{380, 290, 200}, "quarterly", Unused},
		"monthly":               {[]int{95, 65, 35, 5}, "monthly", Used},
		"weekly":                {[]int{28, 21, 14, 7}, "weekly", Used},
		"daily":                 {[]int{9, 8, 7, 4, 3, 2, 1}, "daily", Used},
		"daily, and then ended": {[]int{109, 108, 107, 104, 103, 102, 101}, "daily", Unused},
		"without a rhythm":      {[]int{300, 290, 200, 100}, "", Unused},
	} {
		f := facts{
			zone: time.UTC,
			feeds: []feedFacts{
				{name: "f", configured: true, silence: time.Hour, coverage: []feed.Span{{From: now.AddDate(-3, 0, 0), To: now}}},
			},
		}
		f.credential.Subject = "c"
		f.credential.UnusedAfter, f.credential.Created = 60*24*time.Hour, now.AddDate(-2, 0, 0)
		byMonth := map[time.Time]*monthFacts{}
		var order []time.Time
		for _, d := range k.days {
			at := now.AddDate(0, 0, -d)
			month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
			if byMonth[month] == nil {
				byMonth[month] = &monthFacts{month: month, first: at}
				order = append(order, month)
			}
			m := byMonth[month]
			m.last, m.days, m.requests = at, m.days|1<<(at.Day()-1), m.requests+1
		}
		for _, m := range order {
			f.months = append(f.months, *byMonth[m])
		}
		a := assess(f, now)
		if a.Rhythm.String() != k.want || a.State != k.state {
			t.Errorf("%s: %q and %s, not %q and %s (%s)", name, a.Rhythm, a.State, k.want, k.state, a.Reason)
		}
	}
}
