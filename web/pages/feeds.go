package pages

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/usage"
)

// feedsPage is GET /feeds: what shows who uses what, and when it was watching.
type feedsPage struct {
	Frame
	Sentence, Below string
	Rows            []feedRow
	Turn            turn
	Samples         []sampleList
	Own             []ownFact
	Strangers       bool
	Empty           *hollow
}

// feedRow is a feed.
type feedRow struct {
	Name, Below  string
	Mark         Mark
	Why          string
	Bar          coverage
	Lag          Moment // its last sign of life
	Named        string
	Records, Bad string
}

// coverage is 90 days of a feed, in tenths of a day, as bars.
type coverage struct {
	Label                string
	Before, Watched, Gap string // paths
}

// sampleList is records that a feed could not read, masked.
type sampleList struct {
	Feed, Below string
	Bad         []badSample
}

type badSample struct{ Text, Why string }

func (p *Pages) feeds(w http.ResponseWriter, r *http.Request) {
	page := feedsPage{Frame: p.Frame(w, r, "Feeds", "feeds")}
	page.Live = true
	a, ok := readAsked(r)
	if !ok {
		p.oddAddress(w, r)
		return
	}
	if err := p.fillFeeds(r.Context(), &page, a); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "feeds", page)
}

// mostSampled feeds show what they could not read.
const mostSampled = 6

func (p *Pages) fillFeeds(ctx context.Context, page *feedsPage, a asked) error {
	all, err := p.Usage.Feeds(ctx)
	if err != nil {
		return err
	}
	var silent []string
	used := 0
	sums := usage.Counts{}
	next := ""
	for _, f := range all {
		if f.Configured {
			used++
			if SilentFeed(f, page.Now) != "" {
				silent = append(silent, f.Feed)
			}
		}
		for result, n := range f.Counts {
			sums[result] += n
		}
		switch {
		case f.Feed <= a.get("after"):
		case len(page.Rows) == onePage:
			next = page.Rows[onePage-1].Name
		case next == "":
			page.Rows = append(page.Rows, feedRowOf(page.Frame, f))
			if s := samplesOf(f); len(s.Bad) > 0 && len(page.Samples) < mostSampled {
				page.Samples = append(page.Samples, s)
			}
		}
	}
	page.Turn = a.turn(len(page.Rows), "feed", next)
	page.Sentence, page.Below = feedsSentence(used, silent)
	page.Title = strings.TrimSuffix(page.Sentence, ".")
	for _, by := range []struct {
		label  string
		result usage.Result
	}{
		{"By token", usage.ResultOwnToken},
		{"By nonce", usage.ResultOwnNonce},
		{"By address", usage.ResultOwnAddress},
		{"By time", usage.ResultOwnTime},
	} {
		page.Own = append(page.Own, ownFact{Label: by.label, Text: number(int(sums[by.result]))})
	}
	page.Strangers = sums[usage.ResultUnregistered] > 0
	if len(page.Rows) == 0 {
		page.Empty = &hollow{
			"n-feeds", "No feed shows who uses the credentials.",
			"So of each it is not known whether somebody does. Name one in the configuration file: a gateway's log, a provider's audit " +
				"API, or pushes. Old logs can be imported: keyrounds usage import.",
			nil,
		}
	}
	return nil
}

func feedsSentence(used int, silent []string) (sentence, below string) {
	switch {
	case used == 0:
		return "No feed is configured.", ""
	case len(silent) == 0:
		return pick(used, "The feed watches.", "All "+number(used)+" feeds watch."), ""
	}
	sentence = number(len(silent)) + " of " + count(used, "feed") + " " + pick(len(silent), "does", "do") + " not watch"
	if len(silent) <= 2 {
		sentence += ": " + strings.Join(silent, " and ")
	}
	return sentence + ".",
		"A feed that does not watch proves nothing: of its credentials keyrounds says “not known” rather than “unused”."
}

func feedRowOf(f Frame, fd usage.FeedStatus) feedRow {
	row := feedRow{
		Name: fd.Feed, Below: fd.Type, Mark: Mark{"ok", "healthy", "Watching"}, Bar: coverageOf(f, fd),
		Records: number(int(fd.Week.Records)), Bad: number(int(fd.Week.Bad)), Named: "not known",
	}
	if fd.Format != "" {
		row.Below += ", " + fd.Format
	}
	row.Below += " · " + fd.Provider
	if fd.Partial {
		row.Below += " · sees a part of it"
	}
	if fd.Week.Records > 0 {
		row.Named = percent(int(fd.Week.Named), int(fd.Week.Records))
	}
	if !fd.LastSeen.IsZero() {
		row.Lag = f.When(fd.LastSeen)
	}
	why := SilentFeed(fd, f.Now)
	switch {
	case fd.Configured && why == "" && fd.LastSeen.IsZero():
		row.Mark = Mark{"", "pending", "Nothing yet"}
	case !fd.Configured && fd.Type != "import":
		row.Mark, row.Why = Mark{"", "retired", "Left"}, "it has left the configuration"
	case !fd.Configured:
		row.Mark = Mark{"", "resolved", "Imported"}
	case why != "":
		row.Mark, row.Why = Mark{"less", "warning", "Silent"}, cmp.Or(fd.Error, why)
		if fd.Error != "" {
			row.Mark.Word = "Fails"
		} else if fd.Blind != "" {
			row.Mark.Word = "Blind"
		}
	}
	return row
}

const (
	coverDays = 90
	coverUnit = 10 // a day in the picture
)

// coverageOf draws when a feed was watching in the last 90 days: a bar, a gap in which it should have been as two thin lines, and
// before it was there a line.
func coverageOf(f Frame, fd usage.FeedStatus) coverage {
	from := f.Now.AddDate(0, 0, -coverDays)
	x := func(t time.Time) int {
		n := int(t.Sub(from) * coverDays * coverUnit / f.Now.Sub(from))
		return min(max(n, 0), coverDays*coverUnit)
	}
	first := fd.FirstAt
	for _, s := range fd.Watched {
		if s.From.Before(first) {
			first = s.From
		}
	}
	var c coverage
	if n := x(first); n > 0 {
		c.Before = fmt.Sprintf("M0 9h%dv2h-%dz", n, n)
	}
	var watched, gap strings.Builder
	at, days := x(first), 0.0
	hole := func(to int) {
		if to > at {
			fmt.Fprintf(&gap, "M%d 1h%dv3h-%dzM%d 16h%dv3h-%dz", at, to-at, to-at, at, to-at, to-at)
		}
	}
	for i, s := range fd.Watched {
		a, b := x(s.From), x(s.To)
		if i == len(fd.Watched)-1 && f.Now.Sub(s.To) < max(fd.Silence, time.Minute) {
			b = coverDays * coverUnit // it may be as quiet as that
		}
		if b <= at && b < coverDays*coverUnit {
			continue
		}
		a = max(a, at)
		hole(a)
		fmt.Fprintf(&watched, "M%d 4h%dv12h-%dz", a, max(b-a, 1), max(b-a, 1))
		days += float64(b-a) / coverUnit
		at = max(b, a+1)
	}
	if fd.Configured {
		hole(coverDays * coverUnit)
	}
	c.Watched, c.Gap = watched.String(), gap.String()
	c.Label = fmt.Sprintf("%s watched %.0f of 90 days", fd.Feed, days)
	if n := x(first); n > 0 {
		c.Label += fmt.Sprintf(", of which it is there for %d", (coverDays*coverUnit-n+coverUnit/2)/coverUnit)
	}
	return c
}

// mostSamples of a feed are shown.
const mostSamples = 4

func samplesOf(fd usage.FeedStatus) sampleList {
	s := sampleList{Feed: fd.Feed, Below: number(int(fd.Counts[usage.ResultBad])) + " so far; what looks like a secret is masked"}
	for _, b := range fd.Samples[:min(len(fd.Samples), mostSamples)] {
		s.Bad = append(s.Bad, badSample{b.Sample, b.Reason})
	}
	return s
}
