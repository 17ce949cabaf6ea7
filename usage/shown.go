package usage

import (
	"math"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// saw notes what records were fit to show, by their day. A feed that lists what holds now shows it on the day on
// which it is asked.
func (in *intake) saw(r feed.Reading) {
	asked := in.feed.Poll.Spec.State || in.feed.Poll.Spec.Counts
	note := func(number int64, d feed.Day) {
		if in.days[number] == nil {
			in.days[number] = &feed.Day{}
		}
		in.days[number].Add(d)
	}
	oldest, newest := feed.DayOf(in.now.Add(-maxBehind)), feed.DayOf(in.now.Add(maxAhead))
	undated := r.Undated
	in.unclear, in.noTime = in.unclear+int64(r.BadSeen), in.noTime+r.NoTime
	if in.newShare > 0 {
		onlyNew(r, in.newShare)
	}
	for number, d := range r.Days {
		switch {
		case number < oldest || number > newest:
			undated.Add(feed.Day{Records: d.Bad, Bad: d.Bad}) // an event of then is bad (Misplaced)
		case asked:
			if d.Named > 0 {
				d.First, d.Last = in.now, in.now
			}
			note(feed.DayOf(in.now), *d)
		default:
			note(number, *d)
			in.latest = later(in.latest, time.Unix(number*86400, 0))
		}
	}
	if undated.Records > 0 {
		number := feed.DayOf(in.now)
		if !in.latest.IsZero() {
			number = feed.DayOf(in.latest)
		}
		note(number, undated)
	}
	if asked {
		return
	}
	for _, s := range r.Alive {
		if s.From.After(in.now.Add(-maxBehind)) && s.To.Before(in.now.Add(maxAhead)) {
			in.tally.live(s.From, joined(in.feed))
			in.tally.spans = append(in.tally.spans, s)
			in.tally.newest = later(in.tally.newest, s.To)
		}
	}
}

// uncount takes the events of a poll that an earlier one brought out of what its records were fit to show.
func (in *intake) uncount(all, fresh []feed.Event) {
	if in.feed.Poll.Spec.State || in.feed.Poll.Spec.Counts {
		return
	}
	count := func(events []feed.Event, sign int64) {
		for _, e := range events {
			if d := in.days[feed.DayOf(e.At)]; d != nil && e.Kind != feed.Heartbeat {
				d.Records += sign
				if e.Names() {
					d.Named += sign
				}
			}
		}
	}
	count(all, -1)
	count(fresh, 1)
}

// onlyNew takes out of what records were fit to show those that an earlier poll asked for too. Events are told from each
// other (uncount); of those that are left out or bad only their share of the time is known.
func onlyNew(r feed.Reading, share float64) {
	events := map[int64]int64{}
	for _, e := range r.Events {
		if e.Kind != feed.Heartbeat {
			events[feed.DayOf(e.At)]++
		}
	}
	for number, d := range r.Days {
		bad := int64(math.Ceil(share * float64(d.Bad)))
		skipped := int64(math.Ceil(share * float64(max(0, d.Records-d.Bad-events[number]))))
		d.Records, d.Bad = min(d.Records, events[number]+skipped+bad), bad
	}
}
