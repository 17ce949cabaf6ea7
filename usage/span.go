package usage

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Span is a stretch of time, from From to To.
type Span struct{ From, To time.Time }

// join returns spans in order, those that are at most gap apart as one.
func join(spans []Span, gap time.Duration) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
	var all []Span
	for _, s := range spans {
		if n := len(all); n > 0 && !s.From.After(all[n-1].To.Add(gap)) {
			if s.To.After(all[n-1].To) {
				all[n-1].To = s.To
			}
			continue
		}
		all = append(all, s)
	}
	return all
}

// holes are the stretches of window that joined spans leave open and that are longer than gap.
func holes(spans []Span, window Span, gap time.Duration) []Span {
	var all []Span
	at := window.From
	for _, s := range spans {
		if s.To.Before(at) {
			continue
		}
		if !s.From.Before(window.To) {
			break
		}
		if s.From.Sub(at) > gap {
			all = append(all, Span{at, s.From})
		}
		at = s.To
	}
	if window.To.Sub(at) > gap {
		all = append(all, Span{at, window.To})
	}
	return all
}

type multirange = pgtype.Multirange[pgtype.Range[time.Time]]

func toMultirange(spans []Span) multirange {
	m := multirange{}
	for _, s := range spans {
		m = append(m, pgtype.Range[time.Time]{Lower: s.From, Upper: s.To, LowerType: pgtype.Inclusive, UpperType: pgtype.Inclusive, Valid: true})
	}
	return m
}

func fromMultirange(m multirange) []Span {
	var spans []Span
	for _, r := range m {
		spans = append(spans, Span{r.Lower, r.Upper})
	}
	return spans
}
