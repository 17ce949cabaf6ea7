package notify

import (
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Policy says who is told of what, and when. It is pure: values in, values out. The zero value tells every receiver
// of everything at once, in its own channel, and neither reminds nor escalates.
type Policy struct {
	Routes        []Route          // the first that fits decides; none fits: every receiver, in its own channel
	Owners        map[string]Owner // where owners of credentials are told, for routes with ToOwner
	GroupWait     time.Duration    // what is found in this time, of one provider and kind, is one message
	GroupInterval time.Duration    // what is found so long after such a message joins it; 0: nothing does
	RemindEvery   time.Duration    // between reminders of open critical findings; 0: none
	RemindLow     time.Duration    // likewise of open warnings
	Escalation    []Step           // without acknowledgement of a critical one, by After
	Fallback      string           // the receiver that is told when another fails; "": any that works
	Channels      []string         // receivers that have channels: whoever names a channel tells them as well
	Quiet         []Quiet
	Maintenance   []Maintenance
	Zone          *time.Location // of Quiet; nil: UTC
	Digest        bool           // low severities are told by a digest, none of them alone
}

// Owner says where an owner of credentials is told.
type Owner struct {
	Receivers []string // by name; none: those of the route
	Place              // of receivers that have channels
}

// Step is one of an escalation: who is told when nobody acknowledged a finding for so long after its message was posted.
type Step struct {
	After time.Duration
	To    Route
}

// Place is a channel, and who is mentioned there.
type Place struct {
	Channel string // "": the receiver's own
	Mention string // "": nobody
}

// Route says who is told of the findings that fit. Empty conditions fit all.
type Route struct {
	Severities []finding.Severity
	Kinds      []finding.Kind
	Providers  []string
	Owners     []string
	Labels     map[string]string // all of them
	Receivers  []string          // by name; none: all but the fallback
	Place                        // of receivers that have channels
	ToOwner    bool              // in the place of the credential's owner, where Policy.Owners has one
	Continue   bool              // the routes after this one are looked at as well
}

// Target is one place to tell: a receiver by its name, and a channel of it.
type Target struct {
	Receiver string
	Place
}

// Targets returns who is told of f, each place once, in the order of the routes and then of receivers. receivers are
// the names of those there are; a route that names none of them tells nobody. The owner and the labels of f must be
// filled in.
func (p Policy) Targets(f finding.Finding, receivers []string) []Target {
	var targets []Target
	routed := false
	for _, r := range p.Routes {
		if !r.fits(f) {
			continue
		}
		targets, routed = append(targets, p.of(r, f, receivers)...), true
		if !r.Continue {
			break
		}
	}
	if !routed {
		targets = p.of(Route{}, f, receivers)
	}
	return once(targets)
}

// Escalated returns who is told of f when nobody acknowledges it, in the step with that number from 0 on, each place
// once; nil where there is no such step. Whether f is due for it is the caller's business.
func (p Policy) Escalated(f finding.Finding, step int, receivers []string) []Target {
	if step < 0 || step >= len(p.Escalation) {
		return nil
	}
	return once(p.of(p.Escalation[step].To, f, receivers))
}

// remindEvery is how often people are reminded of fs while nobody acknowledges them; 0: never.
func (p Policy) remindEvery(fs []finding.Finding) (every time.Duration) {
	for _, f := range fs {
		d := time.Duration(0)
		switch {
		case f.State != finding.Open:
		case f.Severity == finding.Critical:
			d = p.RemindEvery
		case f.Severity == finding.Warning:
			d = p.RemindLow
		}
		if d > 0 && (every == 0 || d < every) {
			every = d
		}
	}
	return every
}

func (p Policy) of(r Route, f finding.Finding, receivers []string) []Target {
	place, named := r.Place, r.Receivers
	if owner, ok := p.Owners[f.About.Owner]; ok && r.ToOwner {
		if place = owner.Place; len(owner.Receivers) > 0 {
			named = owner.Receivers
		}
	}
	has := func(name string) bool { return slices.Contains(p.Channels, name) }
	if place.Channel != "" && len(named) > 0 && !slices.ContainsFunc(named, has) {
		named = slices.Concat(named, p.Channels)
	}
	var targets []Target
	for _, name := range receivers {
		if slices.Contains(named, name) || len(named) == 0 && (name != p.Fallback || len(receivers) == 1) {
			targets = append(targets, Target{name, place})
		}
	}
	return targets
}

// once leaves out places that come twice; the first mention stays.
func once(targets []Target) (list []Target) {
	for _, t := range targets {
		if !slices.ContainsFunc(list, func(o Target) bool { return o.Receiver == t.Receiver && o.Channel == t.Channel }) {
			list = append(list, t)
		}
	}
	return list
}

func (r Route) fits(f finding.Finding) bool {
	for k, v := range r.Labels {
		if have, ok := f.About.Labels[k]; !ok || have != v {
			return false
		}
	}
	return fits(r.Severities, f.Severity) && fits(r.Kinds, f.Kind) && fits(r.Providers, f.Subject.Provider) &&
		fits(r.Owners, f.About.Owner)
}

func fits[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }

// Quiet is a time of the day, on some days of the week, when nobody is told of what is not critical.
type Quiet struct {
	Days     []time.Weekday // on which it begins; none: every day
	From, To time.Duration  // since midnight by the clock; To is on the next day where it is not after From
}

// end returns when the quiet that holds at now ends, zero where none does.
func (q Quiet) end(now time.Time) time.Time {
	for _, back := range []int{0, 1} {
		y, m, d := now.AddDate(0, 0, -back).Date()
		from := clockOn(y, m, d, q.From, now.Location())
		to := clockOn(y, m, d, q.To, now.Location())
		if q.To <= q.From {
			to = clockOn(y, m, d+1, q.To, now.Location())
		}
		if fits(q.Days, from.Weekday()) && !now.Before(from) && now.Before(to) {
			return to
		}
	}
	return time.Time{}
}

func clockOn(y int, m time.Month, d int, since time.Duration, zone *time.Location) time.Time {
	return time.Date(y, m, d, int(since/time.Hour), int(since/time.Minute)%60, 0, 0, zone)
}

// Maintenance is a time in which a provider is worked on. Findings that this can cause are held back until the time
// is over, and are told then if they still hold.
type Maintenance struct {
	Provider string
	From, To time.Time
	// Instead of From and To: begins at each time that Begins returns for the one before, and lasts For.
	Begins func(after time.Time) time.Time
	For    time.Duration
}

func (m Maintenance) end(now time.Time) time.Time {
	from, to := m.From, m.To
	if m.Begins != nil {
		// The last beginning before now: none is further back than it lasts.
		for at := m.Begins(now.Add(-m.For)); !at.IsZero() && !at.After(now); at = m.Begins(at) {
			from, to = at, at.Add(m.For)
		}
	}
	if from.IsZero() || now.Before(from) || !now.Before(to) {
		return time.Time{}
	}
	return to
}

// ofMaintenance are the kinds of findings that maintenance of a provider can cause, so that they are held back
// until it ends. All other kinds, such as a leak or unexpected use, are told during maintenance too.
var ofMaintenance = []finding.Kind{
	finding.Revoked,
	finding.ScopeLost,
	finding.ScopeExcess,
	finding.Unverifiable,
	finding.Flapping,
	finding.ProviderIncident,
	finding.ProviderDown,
	finding.FallingBehind,
	finding.LifetimeShrunk,
}

// Hold returns the time until which f is held back, and the reason in words: maintenance of its provider, for the
// kinds that maintenance can cause, or quiet hours, unless f is critical. Of several the longest counts. The zero
// time means that f is told now.
func (p Policy) Hold(f finding.Finding, now time.Time) (until time.Time, why string) {
	for _, m := range p.Maintenance {
		if end := m.end(now); m.Provider == f.Subject.Provider && slices.Contains(ofMaintenance, f.Kind) && end.After(until) {
			until, why = end, "maintenance of "+m.Provider
		}
	}
	if f.Severity == finding.Critical {
		return until, why
	}
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	for _, q := range p.Quiet {
		if end := q.end(now.In(zone)); end.After(until) {
			until, why = end, "quiet hours"
		}
	}
	return until, why
}

// urgent findings are escalated while nobody acknowledges them.
func urgent(f finding.Finding) bool {
	return f.Severity == finding.Critical && f.State == finding.Open
}

// nagging findings are told of again while nobody acknowledges them.
func nagging(f finding.Finding) bool { return f.Severity != finding.Info && f.State == finding.Open }
