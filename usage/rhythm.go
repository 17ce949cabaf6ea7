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
	leastDaily = 5   // days of a run; of one that is not the first twice as many
)

// rhythm learns from the days with a use before at: either runs of uses at about even distances, the
// longest distance being the rhythm, or use on most days.
func rhythm(f facts, at time.Time) Rhythm {
	used, starts := f.runs(at)
	if len(used) == 0 {
		return Rhythm{}
	}
	last := used[len(used)-1]
	run := used[slices.IndexFunc(used, starts[len(starts)-1].Equal):]
	span := last.Sub(run[0]).Hours()/24 + 1
	least := leastDaily
	if len(starts) > 1 {
		least *= 2
	}
	if len(run) >= least && float64(len(run)) >= workingDay*span {
		return Rhythm{24 * time.Hour, last.AddDate(0, 0, 1)}
	}
	if len(starts) == 1 {
		return Rhythm{}
	}
	gaps := between(starts)
	shortest, longest := slices.Min(gaps), slices.Max(gaps)
	if len(gaps) < leastGaps || float64(longest) > irregular*float64(shortest) {
		return Rhythm{}
	}
	return Rhythm{longest, starts[len(starts)-1].Add(longest)}
}

// runs are the days with a use before at, and those of them with which a run begins.
func (f facts) runs(at time.Time) (used, starts []time.Time) {
	used = f.daysBefore(at)
	for i, d := range used {
		if i == 0 || d.Sub(used[i-1]) > runGap*24*time.Hour {
			starts = append(starts, d)
		}
	}
	return used, starts
}

func between(starts []time.Time) (gaps []time.Duration) {
	for i := range starts[1:] {
		gaps = append(gaps, starts[i+1].Sub(starts[i]))
	}
	return gaps
}

// overdue is when the next use was expected, where that is so long ago that it does not come late; zero: it is not.
func (r Rhythm) overdue(at time.Time) time.Time {
	late := r.Every/10 + 2*24*time.Hour
	if r.Every <= 24*time.Hour {
		late = runGap * 24 * time.Hour // a weekend, and a holiday
	}
	if r.Every == 0 || !at.After(r.Next.Add(late)) {
		return time.Time{}
	}
	return r.Next
}

// mayComeBack is until when a credential that is quiet now was quiet before and came back, and a quarter more once that
// is over. A half-yearly job that was seen twice has no rhythm yet, and is no less in use. Zero: it never was quiet for
// so long.
func (f facts) mayComeBack(at time.Time) time.Time {
	used := f.daysBefore(at)
	if len(used) < 2 {
		return time.Time{}
	}
	last := used[len(used)-1]
	until, longest := last, time.Duration(0)
	for i, d := range used[1:] {
		if pause := d.Sub(used[i]); pause > max(longest, runGap*24*time.Hour) {
			longest, until = pause, after(last, used[i], d)
		}
	}
	if at.After(until) {
		until = until.Add(longest / 4)
	}
	if at.After(until) {
		return time.Time{}
	}
	return until
}

// after is as long after last as next was after prev: in months where that fits, else in days.
func after(last, prev, next time.Time) time.Time {
	const day, month = 24 * time.Hour, 30.44 * 24
	n := int(next.Sub(prev).Hours()/month + 0.5)
	if n > 0 && prev.AddDate(0, n, 0).Sub(next).Abs() <= 3*day {
		return last.AddDate(0, n, 0)
	}
	return last.Add(next.Sub(prev))
}

// daysBefore are the days with a use that were over at a time, in order.
func (f facts) daysBefore(at time.Time) []time.Time {
	var all []time.Time
	for _, m := range f.months {
		for d := range 31 {
			if m.days&(1<<d) == 0 {
				continue
			}
			if day := time.Date(m.month.Year(), m.month.Month(), d+1, 0, 0, 0, 0, f.zone); day.Before(at) {
				all = append(all, day)
			}
		}
	}
	return all
}
