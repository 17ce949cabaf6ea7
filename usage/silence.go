package usage

import (
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Rules of the silence of a feed that is given none. It is learned from the pauses between its records:
//
//  1. At least feed.DefaultSilence: an outage of hours is no gap in ninety days.
//  2. At most twice its longest usual pause of 30 days, which is one that came as long usualPauses times: a nightly job
//     with jitter pauses for a little more than a day every night, an office for every weekend.
//  3. Never over MostSilence, and never from a longer pause, or from what was before one: that is a gap.
//
// A pause is judged by the other pauses of the 30 days before it and, in the first 30 days of a feed or after such a gap, by
// those after it.
const (
	MostSilence = 3 * 24 * time.Hour

	usualPauses = 3
	learnFrom   = 30 * 24 * time.Hour
	// Stretches of such a feed that are further apart than this are kept apart, so that there are pauses to learn from.
	pauseKept = 6 * time.Hour
)

// joined is how far apart stretches of a feed are that are kept as one.
func joined(f feed.Feed) time.Duration {
	if f.Learns {
		return min(pauseKept, f.Silence)
	}
	return f.Silence
}

// learned is the silence that was learned from the pauses between spans, which are in order, from a time to another.
func learned(spans []feed.Span, from, to time.Time, least time.Duration) time.Duration {
	var pauses []time.Duration
	for i := 1; i < len(spans); i++ {
		begin, end := spans[i-1].To, spans[i].From
		if begin.Before(from) || end.After(to) {
			continue
		}
		if pause := end.Sub(begin); pause > MostSilence {
			pauses = nil
		} else {
			pauses = append(pauses, pause)
		}
	}
	if len(pauses) < usualPauses {
		return least
	}
	slices.Sort(pauses)
	return max(least, min(2*pauses[len(pauses)-usualPauses], MostSilence))
}

// bridged joins the spans of a feed that learns, which are in order, where a pause is within what was learned for it. now
// is the silence at their end.
func bridged(spans []feed.Span, least time.Duration) (all []feed.Span, now time.Duration) {
	if len(spans) == 0 {
		return nil, least
	}
	begin := spans[0].From // of the stretch
	for i, s := range spans {
		n := len(all)
		if n == 0 {
			all = append(all, s)
			continue
		}
		pause := s.From.Sub(all[n-1].To)
		if pause > MostSilence {
			begin = s.From
		}
		if pause > least && pause <= MostSilence {
			allowed := learned(spans[:i], spans[i-1].To.Add(-learnFrom), spans[i-1].To, least)
			if begin.After(spans[i-1].To.Add(-learnFrom)) {
				allowed = max(allowed, learned(spans[i:], s.From, s.From.Add(learnFrom), least))
			}
			if pause <= allowed {
				all[n-1].To = later(all[n-1].To, s.To)
				continue
			}
		}
		if pause <= least {
			all[n-1].To = later(all[n-1].To, s.To)
			continue
		}
		all = append(all, s)
	}
	end := spans[len(spans)-1].To
	return all, learned(spans, end.Add(-learnFrom), end, least)
}
