package usage

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// join returns spans in order, those that are at most gap apart as one.
func join(spans []feed.Span, gap time.Duration) []feed.Span {
	slices.SortFunc(spans, func(a, b feed.Span) int { return a.From.Compare(b.From) })
	var all []feed.Span
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
func holes(spans []feed.Span, window feed.Span, gap time.Duration) []feed.Span {
	var all []feed.Span
	at := window.From
	for _, s := range spans {
		if s.To.Before(at) {
			continue
		}
		if !s.From.Before(window.To) {
			break
		}
		if s.From.Sub(at) > gap {
			all = append(all, feed.Span{From: at, To: s.From})
		}
		at = s.To
	}
	if window.To.Sub(at) > gap {
		all = append(all, feed.Span{From: at, To: window.To})
	}
	return all
}

type multirange = pgtype.Multirange[pgtype.Range[time.Time]]

func toMultirange(spans []feed.Span) multirange {
	m := multirange{}
	for _, s := range spans {
		m = append(
			m,
			pgtype.Range[time.Time]{Lower: s.From, Upper: s.To, LowerType: pgtype.Inclusive, UpperType: pgtype.Inclusive, Valid: true},
		)
	}
	return m
}

func fromMultirange(m multirange) []feed.Span {
	var spans []feed.Span
	for _, r := range m {
		spans = append(spans, feed.Span{From: r.Lower, To: r.Upper})
	}
	return spans
}
