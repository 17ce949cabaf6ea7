package usage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Rules of when a feed was watching. It was where all of these hold; the rest is a gap, with its reason:
//
//  1. It was alive: its records are no further apart than its silence, or a poll read all of the stretch.
//  2. It was readable: of the records of the day no more than MostBad could not be read.
//  3. It was able to show a client: of the records of the seven days that end with the day at least LeastNamed,
//     or LeastNamedRecords of them, named some client, registered or not. Before the first that did, it was not.
//     Where that stops, the gap begins at the last record that named one.
//  4. It did not lose its clients: the share of records of those seven days that named one is not less than LossFactor of
//     what is usual, which is the median of its last 30 days on which it was watching. Where it is, and their number is
//     less than FewerFactor of the usual too, the gap goes on until they are not: a new health check alone loses nobody.
//
// A day without records is as the one before it. The rules are the same for every type of feed.
// These are the usual numbers; a feed may have its own (feed.Watching).
const (
	MostBad           = 0.10 // of the records of a day
	LeastNamed        = 0.01 // of the records of seven days
	LeastNamedRecords = 20
	LossFactor        = 0.10 // of the usual share
	FewerFactor       = 0.50 // of the usual number

	showDays  = 7
	usualDays = 30
)

// loss is a stretch in which a feed lived and could show nobody.
type loss struct {
	feed.Span
	why  string
	open bool // it goes on
}

// feedDay is a day of a feed.
type feedDay struct {
	number int64 // feed.DayOf
	feed.Day
}

// lost are the stretches until a time in which a feed with these days, in their order, was not fit to show a client.
func lost(days []feedDay, until time.Time, by feed.Watching) []loss {
	w := &watch{by: usualNumbers(by), byNumber: map[int64]feed.Day{}}
	for _, d := range days {
		w.byNumber[d.number] = d.Day
	}
	if len(days) == 0 {
		return []loss{{feed.Span{To: until}, "no record was read yet", true}}
	}
	w.blind = &loss{} // from the beginning of time
	last := max(days[len(days)-1].number, feed.DayOf(until))
	for n := days[0].number; n <= last; n++ {
		w.look(n)
	}
	if w.blind != nil {
		w.blind.To, w.blind.open = later(until, dayBegins(last+1)), true
		w.all = append(w.all, *w.blind)
	}
	slices.SortStableFunc(w.all, func(a, b loss) int { return a.From.Compare(b.From) })
	return w.all
}

// usualNumbers fills in those that a feed does not have of its own.
func usualNumbers(by feed.Watching) feed.Watching {
	return feed.Watching{
		MostBad: cmp.Or(by.MostBad, MostBad), LeastNamed: cmp.Or(by.LeastNamed, LeastNamed),
		LeastNamedRecords: cmp.Or(by.LeastNamedRecords, LeastNamedRecords), LossFactor: cmp.Or(by.LossFactor, LossFactor),
	}
}

// watch goes over the days of a feed.
type watch struct {
	by       feed.Watching
	byNumber map[int64]feed.Day
	all      []loss
	blind    *loss     // since when the feed cannot show a client; nil: it can
	total    int64     // records so far that were read
	named    time.Time // the last record that named a client
	usual    []float64 // shares of the seven days to each of the last days on which it could
	counts   []float64 // and how many of their records named a client
}

func (w *watch) look(n int64) {
	today := w.byNumber[n]
	read := today.Records - today.Bad
	w.total += read
	w.named = later(w.named, today.Last)
	if today.Records > 0 && float64(today.Bad) > w.by.MostBad*float64(today.Records) {
		w.all = append(w.all, loss{feed.Span{From: dayBegins(n), To: dayBegins(n + 1)}, fmt.Sprintf(
			"%d of %d records of %s could not be read", today.Bad, today.Records, dayBegins(n).Format("2 Jan")), false})
	}
	week := feed.Day{}
	for i := n - showDays + 1; i <= n; i++ {
		week.Add(w.byNumber[i])
	}
	weekRead := week.Records - week.Bad
	if weekRead <= 0 {
		if w.blind != nil {
			w.explain()
		}
		return // as the day before
	}
	share := float64(week.Named) / float64(weekRead)
	usual := median(w.usual)
	tooFew := week.Named == 0 || share < w.by.LeastNamed && week.Named < w.by.LeastNamedRecords
	fewer := share < w.by.LossFactor*usual && float64(week.Named) < FewerFactor*median(w.counts)
	switch {
	case week.Named > 0 && usual > 0 && (tooFew || fewer): // what is left are strays, which are no sign
		w.lose(w.lastUsual(n, w.by.LossFactor*usual))
		w.blind.why = fmt.Sprintf("%d of %d records of the seven days to %s name a client, and %.0f %% did before",
			week.Named, weekRead, dayBegins(n).Format("2 Jan"), 100*usual)
	case tooFew:
		w.lose(w.named)
		w.explain()
	default:
		w.see(n)
		if weekRead >= LeastNamedRecords { // of fewer a share says little
			w.usual = append(w.usual[max(0, len(w.usual)-usualDays+1):], share)
			w.counts = append(w.counts[max(0, len(w.counts)-usualDays+1):], float64(week.Named))
		}
	}
}

// lose begins a gap, if there is none.
func (w *watch) lose(since time.Time) {
	if w.blind == nil {
		w.blind = &loss{Span: feed.Span{From: since}}
		w.total = 0
		for n, d := range w.byNumber {
			if first := dayBegins(n); first.After(since) && n <= feed.DayOf(since)+showDays {
				w.total += d.Records - d.Bad
			}
		}
	}
}

// explain says of a gap without a named client how many records it has.
func (w *watch) explain() {
	w.blind.why = fmt.Sprintf("none of %d records names a client", w.total)
	if !w.blind.From.IsZero() {
		w.blind.why = fmt.Sprintf("since %s %s", w.blind.From.UTC().Format("2 Jan"), w.blind.why)
	}
}

// see ends a gap at the first record after its beginning that named a client.
func (w *watch) see(n int64) {
	if w.blind == nil {
		return
	}
	w.blind.To = dayBegins(n)
	for i := n - showDays + 1; i <= n; i++ {
		d := w.byNumber[i]
		enough := float64(d.Named) >= max(w.by.LeastNamed, w.by.LossFactor*median(w.usual))*float64(d.Records-d.Bad) ||
			d.Named >= w.by.LeastNamedRecords
		if first := d.First; enough && !first.IsZero() && first.After(w.blind.From) {
			w.blind.To = first
			break
		}
	}
	if w.blind.why == "" {
		w.blind.why = "no record named a client before " + w.blind.To.UTC().Format("2 Jan")
	}
	w.all = append(w.all, *w.blind)
	w.blind = nil
}

// lastUsual is the end of the last of the seven days to n whose own share was usual.
func (w *watch) lastUsual(n int64, least float64) time.Time {
	for i := n; i > n-showDays; i-- {
		if d := w.byNumber[i]; d.Named > 0 && float64(d.Named) >= least*float64(d.Records-d.Bad) {
			return dayBegins(i + 1)
		}
	}
	return dayBegins(n - showDays + 1)
}

func dayBegins(n int64) time.Time { return time.Unix(n*86400, 0).UTC() }

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.SortFunc(sorted, cmp.Compare[float64])
	return sorted[len(sorted)/2]
}

// without takes the lost stretches out of spans, which are in order.
func without(spans []feed.Span, losses []loss) []feed.Span {
	for _, l := range losses {
		var left []feed.Span
		for _, s := range spans {
			if !s.From.Before(l.To) || !s.To.After(l.From) { // apart
				left = append(left, s)
				continue
			}
			if s.From.Before(l.From) {
				left = append(left, feed.Span{From: s.From, To: l.From})
			}
			if s.To.After(l.To) {
				left = append(left, feed.Span{From: l.To, To: s.To})
			}
		}
		spans = left
	}
	return spans
}

// standIn takes spans out of losses: what other records show is not lost.
func standIn(losses []loss, spans []feed.Span) []loss {
	var left []loss
	for _, l := range losses {
		taken := make([]loss, len(spans))
		for i, s := range spans {
			taken[i] = loss{Span: s}
		}
		for _, rest := range without([]feed.Span{l.Span}, taken) {
			left = append(left, loss{rest, l.why, false})
		}
	}
	return left
}
