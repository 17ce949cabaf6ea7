package verdict

import (
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
	alone bool      // nobody else's provider is reached either: it is us
	down  bool      // the provider answers nobody whom it was asked for, or it answers that it is in trouble
	since time.Time // since when there is only trouble, after the last certain answer; zero: there is none
}

// blindness counts the credentials that get no certain answer.
func (f Fleet) blindness(rs []checker.Result, p Policy) outage {
	var (
		o               outage
		waits           []wait
		silent, trouble = len(rs) > 0, len(rs) > 0
		certain         time.Time // the last certain answer of any
	)
	for _, r := range rs {
		s := f.state(r)
		if s.Status == Retired {
			continue
		}
		o.total++
		w := wait{asked: r.At, certain: s.LastCertain, trouble: troubleSince(s, r)}
		if r.Outcome.Certain() {
			w.certain = r.At
		} else if r.Reason != checker.SecretUnreadable {
			if w.since = s.UncertainSince; w.since.IsZero() {
				w.since = r.At
			}
		}
		waits = append(waits, w)
		silent = silent && r.Outcome == checker.Unreachable
		trouble = trouble && slices.Contains(ofProvider, r.Outcome)
	}
	for _, other := range f.Others {
		o.total++
		waits = append(waits, wait{other.LastCheck, other.LastCertain, other.UncertainSince, other.TroubleSince})
	}
	uncertain, asked := 0, 0
	for _, w := range waits {
		if w.certain.After(certain) {
			certain = w.certain
		}
	}
	for _, w := range waits {
		if w.since.IsZero() {
			continue
		}
		uncertain++
		if w.asked.After(certain) {
			asked++
		}
		if w.trouble.After(certain) && (o.since.IsZero() || w.trouble.Before(o.since)) {
			o.since = w.trouble
		}
	}
	o.need = p.Incident.most(o.total)
	o.alone = silent && f.ElsewhereSilent
	o.wide = uncertain >= o.need || o.alone
	o.down = trouble && !o.alone && !o.since.IsZero() && asked >= min(max(1, p.Incident.Count), o.total)
	return o
}

// wait is when a credential was asked for last, and got its last certain answer; since when it waits for one, zero
// where it does not, and since when all that came of it was the provider's trouble.
type wait struct{ asked, certain, since, trouble time.Time }

// troubleSince is since when there is only the provider's trouble, with this result: zero where it is none. A provider that
// limits how often it is asked does answer, so what was limited for hours is not down at its first timeout.
func troubleSince(s State, r checker.Result) time.Time {
	switch {
	case !slices.Contains(ofProvider, r.Outcome):
		return time.Time{}
	case s.TroubleSince.IsZero():
		return r.At
	}
	return s.TroubleSince
}

// ofProvider are the outcomes that lie with the provider, as far as can be seen from here.
var ofProvider = []checker.Outcome{checker.Unreachable, checker.ProviderError, checker.Malformed}

// events opens and resolves the one finding of a provider, or of keyrounds itself.
func (o outage) events(f Fleet, rs []checker.Result, next []State, p Policy) []finding.Event {
	if len(rs) == 0 {
		return nil
	}
	var (
		events            []finding.Event
		now               time.Time
		answered, certain bool
		waits             bool // somebody was asked in vain; where nobody was, the others are still to be asked again
	)
	for _, r := range rs {
		if r.At.After(now) {
			now = r.At
		}
		answered, certain = answered || r.HTTPStatus > 0, certain || r.Outcome.Certain()
		waits = waits || !r.Outcome.Certain()
	}
	event := func(op finding.Op, k finding.Kind, provider string) *finding.Event {
		events = append(events, finding.Event{Op: op, Kind: k, Subject: finding.Subject{Provider: provider}, At: now})
		return &events[len(events)-1]
	}
	since, names := o.most(f, next)
	about := finding.Evidence{Since: since, Outage: finding.Outage{Affected: names, PeersTotal: o.total}}
	last := rs[len(rs)-1]
	about.Outcome, about.Reason, about.Rule = string(last.Outcome), string(last.Reason), last.Rule
	about.HTTPStatus, about.Message = last.HTTPStatus, last.Message
	switch {
	case o.alone:
		if f.ElsewhereSince.After(since) {
			since = f.ElsewhereSince
		}
		if now.Sub(since) >= p.Incident.Within {
			event(finding.OpOpen, finding.Unverifiable, "").Evidence = finding.Evidence{
				Since:  since,
				Answer: finding.Answer{Message: "no provider can be reached from here; every status stays as it was"},
			}
		}
	case o.down && now.Sub(o.since) >= p.ProviderDownAfter:
		about.Since = o.since
		event(finding.OpOpen, finding.ProviderDown, f.Provider).Evidence = about
	case o.wide && !o.down && !f.Down && waits && now.Sub(since) >= p.UnverifiableAfter:
		event(finding.OpOpen, finding.Unverifiable, f.Provider).Evidence = about
	}
	if !o.wide && f.Outage {
		event(finding.OpResolve, finding.Unverifiable, f.Provider).Why = "the provider gives certain answers again"
	}
	if f.Down && certain {
		event(finding.OpResolve, finding.ProviderDown, f.Provider).Why = "the provider answers again"
	}
	if f.Blind && answered {
		event(finding.OpResolve, finding.Unverifiable, "").Why = "a provider answers again"
	}
	return events
}

// most returns when so many got no certain answer that it was most of them, and their names.
func (o outage) most(f Fleet, next []State) (time.Time, []string) {
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
