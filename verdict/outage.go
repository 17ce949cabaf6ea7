package verdict

import (
	"math"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

// outage is what a batch without certain answers means for the provider, or for all of them.
type outage struct {
	wide  bool // most of the provider's credentials get no certain answer
	need  int  // so many are most
	total int
	alone bool // nobody else's provider is reached either: it is us
}

// blindness counts the credentials that get no certain answer.
func (f Fleet) blindness(rs []checker.Result, p Policy) outage {
	var o outage
	uncertain, silent := 0, len(rs) > 0
	for _, r := range rs {
		if f.state(r).Status == Retired {
			continue
		}
		o.total++
		if !r.Outcome.Certain() && r.Reason != checker.SecretUnreadable {
			uncertain++
		}
		silent = silent && r.Outcome == checker.Unreachable
	}
	for _, other := range f.Others {
		o.total++
		if !other.UncertainSince.IsZero() {
			uncertain++
		}
	}
	o.need = max(1, p.Incident.Count, int(math.Ceil(p.Incident.Share*float64(o.total))))
	o.alone = silent && f.ElsewhereSilent
	o.wide = uncertain >= o.need || o.alone
	return o
}

// events opens and resolves the one finding of a provider, or of keyrounds itself.
func (o outage) events(f Fleet, rs []checker.Result, next []State, p Policy) []finding.Event {
	var (
		events   []finding.Event
		now      time.Time
		answered bool
	)
	for _, r := range rs {
		if r.At.After(now) {
			now = r.At
		}
		answered = answered || r.HTTPStatus > 0
	}
	since, names := o.since(f, next)
	provider := finding.Subject{Provider: f.Provider}
	switch {
	case o.alone:
		if f.ElsewhereSince.After(since) {
			since = f.ElsewhereSince
		}
		if now.Sub(since) >= p.Incident.Within {
			events = append(events, finding.Event{Op: finding.OpOpen, Kind: finding.Unverifiable, At: now, Evidence: finding.Evidence{
				Since: since, Message: "no provider can be reached from here; every status stays as it was",
			}})
		}
	case o.wide && now.Sub(since) >= p.UnverifiableAfter:
		e := finding.Evidence{Since: since, Affected: names, PeersTotal: o.total}
		if len(rs) > 0 {
			r := rs[len(rs)-1]
			e.Outcome, e.Reason, e.Rule, e.HTTPStatus, e.Message = string(r.Outcome), string(r.Reason), r.Rule, r.HTTPStatus, r.Message
		}
		events = append(events, finding.Event{Op: finding.OpOpen, Kind: finding.Unverifiable, Subject: provider, At: now, Evidence: e})
	case !o.wide && f.Outage:
		events = append(
			events,
			finding.Event{
				Op:      finding.OpResolve,
				Kind:    finding.Unverifiable,
				Subject: provider,
				At:      now,
				Why:     "the provider gives certain answers again",
			},
		)
	}
	if f.Blind && answered {
		events = append(events, finding.Event{Op: finding.OpResolve, Kind: finding.Unverifiable, At: now, Why: "a provider answers again"})
	}
	return events
}

// since returns when so many got no certain answer that it was most of them, and their names.
func (o outage) since(f Fleet, next []State) (time.Time, []string) {
	var (
		times []time.Time
		names []string
	)
	for _, s := range next {
		if !s.UncertainSince.IsZero() && s.Status != Retired {
			times, names = append(times, s.UncertainSince), append(names, s.Credential)
		}
	}
	for _, other := range f.Others {
		if !other.UncertainSince.IsZero() {
			times, names = append(times, other.UncertainSince), append(names, other.Credential)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	slices.Sort(names)
	if len(times) == 0 {
		return time.Time{}, nil
	}
	return times[min(o.need, len(times))-1], names
}
