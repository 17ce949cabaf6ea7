package usage

import (
	"fmt"
	"slices"
	"time"
)

// Rhythm is how often a credential is used, as far as its uses tell.
type Rhythm struct {
	Every time.Duration // from one run of uses to the next; 0: not known
	Next  time.Time     // when the next one is expected
}

// String names it: "daily", "quarterly", "every 40 days"; "" where it is not known.
func (r Rhythm) String() string {
	n := int((r.Every + 12*time.Hour) / (24 * time.Hour))
	switch {
	case r.Every == 0:
		return ""
	case n <= 1:
		return "daily"
	case n >= 6 && n <= 8:
		return "weekly"
	case n >= 28 && n <= 32:
		return "monthly"
	case n >= 84 && n <= 100:
		return "quarterly"
	case n >= 170 && n <= 195:
		return "half-yearly"
	case n >= 350 && n <= 380:
		return "yearly"
	}
	return fmt.Sprintf("every %d days", n)
}

const (
	runGap     = 4   // days: uses that are closer belong to one run
	leastGaps  = 2   // so many gaps of about the same length are a rhythm
	irregular  = 1.4 // the longest gap to the shortest, at most
	workingDay = 0.5 // of the days in between: a daily use
)

// rhythm learns from the days with a use before at: either runs of uses at about even distances, the
// longest distance being the rhythm, or use on most days.
func rhythm(f facts, at time.Time) Rhythm {
	used := f.daysBefore(at)
	if len(used) == 0 {
		return Rhythm{}
	}
	starts := []time.Time{used[0]}
	for i, d := range used[1:] {
		if d.Sub(used[i]) > runGap*24*time.Hour {
			starts = append(starts, d)
		}
	}
	last := used[len(used)-1]
	if len(starts) == 1 {
		span := last.Sub(used[0]).Hours()/24 + 1
		if len(used) >= 5 && float64(len(used)) >= workingDay*span {
			return Rhythm{24 * time.Hour, last.AddDate(0, 0, 1)}
		}
		return Rhythm{}
	}
	var gaps []time.Duration
	for i := range starts[1:] {
		gaps = append(gaps, starts[i+1].Sub(starts[i]))
	}
	shortest, longest := slices.Min(gaps), slices.Max(gaps)
	if len(gaps) < leastGaps || float64(longest) > irregular*float64(shortest) {
		return Rhythm{}
	}
	return Rhythm{longest, starts[len(starts)-1].Add(longest)}
}

// daysBefore are the days with a use that were over at a time, in order.
func (f facts) daysBefore(at time.Time) []time.Time {
	var all []time.Time
	for _, m := range f.months {
		for d := range 31 {
			if m.days&(1<<d) == 0 {
				continue
			}
			if day := time.Date(m.month.Year(), m.month.Month(), d+1, 0, 0, 0, 0, f.zone); !day.After(at) {
				all = append(all, day)
			}
		}
	}
	return all
}
