package verdict

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

// Rules of an incident:
//
//  1. Only fresh answers count, those since the first refusal, whatever the schedules: who was not asked since says
//     nothing. So whoever doubts has others looked at (look.go).
//  2. Many are refused where they are at least Policy.Incident.Count that worked before, and at least Share of those
//     that answered.
//  3. That is asked of the provider, and of all providers at its token endpoint; either makes an incident. That others
//     are accepted at the endpoint clears the endpoint, and not the provider: one URL can serve many tenants.
//  4. Others have two minutes to answer before it is decided, unless those that are refused are Share of all there are.
//  5. It takes in what was blamed alone in the same time, and withdraws that. Who is refused later joins it.

// Incident is a finding of the kind provider_incident, as the verdict needs to know it. The zero value is none.
type Incident struct {
	Provider  string    // whose finding it is
	Providers []string  // all that it is about, where it is the token endpoint's; nil: its own alone
	Opened    time.Time // when it was found
	First     time.Time // the first refusal
	Ended     time.Time // zero: it is open
	Affected  []string
}

func (i Incident) open() bool { return !i.Opened.IsZero() && i.Ended.IsZero() }

// incident is what a batch means for the provider as a whole.
type incident struct {
	on       bool
	began    bool      // with this batch
	first    time.Time // refusal
	now      time.Time
	affected []turned // since the first refusal
	near     bool     // it is the token endpoint's
	own      crowd    // the provider's credentials
	all      crowd    // with those of its neighbours
	healthy  int      // of own, as far as is known
	// answer is what most of those that were refused in the batch were told.
	answer finding.Answer
}

// assess asks whether so many were refused, among those that answered since the first refusal, that it is not theirs.
func (f Fleet) assess(rs []checker.Result, p Policy) incident {
	in := incident{}
	for _, r := range rs {
		if r.At.After(in.now) {
			in.now = r.At
		}
	}
	for _, r := range rs {
		in.own.result(f.state(r), r)
		if s := f.state(r); s.Status != Retired && (r.Outcome.HasToken() || r.Outcome != checker.Rejected && s.Status.works()) {
			in.healthy++
		}
	}
	for _, o := range f.Others {
		in.own.other(o)
		if o.Status.works() {
			in.healthy++
		}
	}
	in.own.sort()
	in.all = in.own.with(f.Neighbours)
	switch open := f.Incident; {
	case open.open():
		in.on, in.first, in.near = true, open.First, len(open.Providers) > 0
		for _, t := range in.all.refused { // the version before wrote when it was found
			if t.since.Before(in.first) && in.now.Sub(t.since) < 24*time.Hour && slices.Contains(open.Affected, t.name) {
				in.first = t.since
			}
		}
		if !in.near {
			_, in.near = in.all.refuses(p, in.now)
			in.near = in.near && len(f.Neighbours) > 0
		}
	default:
		if len(f.Neighbours) > 0 {
			in.first, in.on = in.all.refuses(p, in.now)
			in.near = in.on
		}
		if !in.on {
			in.first, in.on = in.own.refuses(p, in.now)
			// Its neighbours have as much time to show that it is theirs as well.
			in.on = in.on && (len(f.Neighbours) == 0 || in.now.Sub(in.first) >= p.soon(1))
		}
		in.began = in.on
	}
	if in.on {
		in.first = in.crowd().chain(in.first, p) // two replicas store at the same time what began at the same time
		in.affected = in.crowd().since(in.first)
		in.answer = commonest(rs)
	}
	return in
}

// commonest is the answer that most of those had that were refused.
func commonest(rs []checker.Result) (most finding.Answer) {
	count := map[finding.Answer]int{}
	for _, r := range rs {
		if r.Outcome != checker.Rejected {
			continue
		}
		a := finding.Answer{
			Outcome: string(r.Outcome), Reason: string(r.Reason), HTTPStatus: r.HTTPStatus, ErrorCode: r.ErrorCode,
			ErrorDescription: r.ErrorDescription, Message: r.Message,
		}
		if count[a]++; count[a] > count[most] {
			most = a
		}
	}
	return most
}

func (in incident) crowd() crowd {
	if in.near {
		return in.all
	}
	return in.own
}

// crowd is how credentials answered last.
type crowd struct {
	total    int         // that are not retired
	stands   int         // of them that work, as far as is known
	refused  []turned    // that worked before; by the time of their first refusal
	accepted []time.Time // when each of those that are not refused was accepted last; sorted
	mute     []time.Time // since when some of those get no certain answer; zero: their secret cannot be read
}

// turned is a credential that worked and is refused.
type turned struct {
	id             int64
	name, provider string
	since          time.Time
	blamed         bool // alone: it is held for revoked
	cleared        bool // and others were accepted meanwhile
}

func (c *crowd) other(o Other) {
	c.total++
	switch {
	case o.Status.works():
		c.stands++
		c.accepted = append(c.accepted, o.LastCertain)
		c.mutes(o.SecretLost, o.UncertainSince)
	case o.Status.refused() && o.EverHealthy:
		c.refuse(turned{o.CredentialID, o.Credential, o.Provider, o.SuspectSince, o.Status == Revoked, o.Cleared}, o.Proven || o.Flapping)
	}
}

func (c *crowd) result(s State, r checker.Result) {
	if s.Status == Retired {
		return
	}
	c.total++
	switch {
	case r.Outcome.HasToken():
		c.stands++
		c.accepted = append(c.accepted, r.At)
	case s.NeverHealthy():
	case s.Status.refused():
		c.refuse(turned{s.CredentialID, s.Credential, s.Provider, s.SuspectSince, s.Status == Revoked, s.Cleared}, s.Proven || s.Flapping)
	case r.Outcome == checker.Rejected:
		c.refuse(turned{s.CredentialID, s.Credential, s.Provider, r.At, false, false}, s.Flapping)
	case r.Outcome.Certain(): // the client is known
		c.stands++
		c.accepted = append(c.accepted, r.At)
	default: // what it said before counts, where that is fresh
		c.stands++
		c.accepted = append(c.accepted, s.LastCertain)
		since := s.UncertainSince
		if since.IsZero() {
			since = r.At
		}
		c.mutes(r.Reason == checker.SecretUnreadable, since)
	}
}

// mutes notes one of those that stand that gets no certain answer since a time (zero: it does).
func (c *crowd) mutes(secretLost bool, since time.Time) {
	if secretLost {
		c.mute = append(c.mute, time.Time{})
	} else if !since.IsZero() {
		c.mute = append(c.mute, since)
	}
}

// refuse counts a refusal, unless it is the credential's own: the provider's log has its revocation, or it flaps.
func (c *crowd) refuse(t turned, own bool) {
	if !own {
		c.refused = append(c.refused, t)
	}
}

func (c *crowd) sort() {
	slices.SortFunc(c.refused, func(a, b turned) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.name, b.name)) })
	slices.SortFunc(c.accepted, time.Time.Compare)
}

// with returns c with others added.
func (c crowd) with(others []Other) crowd {
	if len(others) == 0 {
		return c
	}
	c.refused, c.accepted = slices.Clone(c.refused), slices.Clone(c.accepted)
	for _, o := range others {
		c.other(o)
	}
	c.sort()
	return c
}

// since returns those that are refused since t or later.
func (c crowd) since(t time.Time) []turned {
	i, _ := slices.BinarySearchFunc(c.refused, t, func(r turned, t time.Time) int { return r.since.Compare(t) })
	return c.refused[i:]
}

// answered returns how many are refused, and how many were accepted, since t.
func (c crowd) answered(t time.Time) (refused, accepted int) {
	i, _ := slices.BinarySearchFunc(c.accepted, t, time.Time.Compare)
	return len(c.since(t)), len(c.accepted) - i
}

// unclear returns how many are refused since t without others having cleared the provider: only those make an incident,
// unless nobody is accepted any more.
func (c crowd) unclear(t time.Time) (n int) {
	if c.stands == 0 {
		return len(c.since(t))
	}
	for _, r := range c.since(t) {
		if !r.cleared {
			n++
		}
	}
	return n
}

// longWithin is how much longer an incident may take to show where nobody at all is accepted: others could not be looked
// at, and their schedules are slow.
const longWithin = 6

// refuses reports whether many are refused, and since when.
func (c crowd) refuses(p Policy, now time.Time) (first time.Time, are bool) {
	for _, within := range []time.Duration{p.Incident.Within, longWithin * p.Incident.Within} {
		first := c.chain(now.Add(-within), p)
		refused, accepted := c.answered(first)
		unclear := c.unclear(first)
		if !p.Incident.many(unclear, refused+accepted) || within > p.Incident.Within && accepted > 0 {
			continue
		}
		if now.Sub(first) >= p.soon(1) || p.Incident.many(unclear, refused+c.stands) {
			return first, true
		}
	}
	return time.Time{}, false
}

// chain returns the first refusal since t, or the one before it that others followed closely: whoever cut them apart
// would compare the last of them with those few that answered after.
func (c crowd) chain(t time.Time, p Policy) time.Time {
	i := len(c.refused) - len(c.since(t))
	if i == len(c.refused) {
		return t
	}
	for i > 0 && c.refused[i].since.Sub(c.refused[i-1].since) <= p.soon(0) {
		i--
	}
	return c.refused[i].since
}

// enough is how many answers say how a crowd does.
const enough = 10

// clears reports whether others show that a refusal at first is the credential's own: enough answered since, or all that
// can, some were accepted, and not so many were refused as well that it is an incident.
func (c crowd) clears(p Policy, first time.Time) bool {
	first = c.chain(first, p)
	refused, _ := c.answered(first)
	_, accepted := c.answered(c.clearing(p, first))
	can := c.stands
	for _, since := range c.mute { // from long before: that says nothing of the refusal
		if since.Before(first.Add(-p.Incident.Within)) {
			can--
		}
	}
	return accepted >= min(can, max(1, enough-refused)) && accepted > 0 && (refused < 2 || !p.Incident.many(refused, refused+accepted))
}

// clearing is since when others must be accepted to clear the provider of what is refused since first: where only
// IncidentPolicy.Count is missing for an incident, they have more time to be refused as well.
func (c crowd) clearing(p Policy, first time.Time) time.Time {
	first = c.chain(first, p)
	if refused, accepted := c.answered(first); refused > 1 && float64(refused) >= p.Incident.Share*float64(refused+accepted) {
		return first.Add(p.soon(0) + p.Apart())
	}
	return first
}

// many reports whether so many of those that answered are an incident.
func (i IncidentPolicy) many(refused, answered int) bool {
	return refused >= max(1, i.Count) && float64(refused) >= i.Share*float64(answered)
}

// most is how many of n are many.
func (i IncidentPolicy) most(n int) int { return max(1, i.Count, int(math.Ceil(i.Share*float64(n)))) }

// events opens the incident, adds to it, or ends it; and withdraws what was blamed alone and belongs to it.
func (in incident) events(f Fleet, next []State, p Policy) []finding.Event {
	if !in.on {
		return nil
	}
	provider := f.Provider
	if f.Incident.open() {
		provider = f.Incident.Provider
	}
	all, providers := slices.Clone(f.Incident.Affected), slices.Clone(f.Incident.Providers)
	if in.began {
		all, providers = nil, nil
	}
	var events []finding.Event
	for _, t := range in.affected {
		all = append(all, t.name)
		if joins := in.began || !slices.Contains(f.Incident.Affected, t.name); joins && (t.blamed || p.Early) {
			events = append(events, finding.Event{
				Op: finding.OpWithdraw, Kind: finding.Revoked, At: in.now,
				Subject: finding.Subject{Credential: t.name, CredentialID: t.id, Provider: t.provider},
				Why:     finding.BelongsTo(provider),
			})
		}
	}
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	if in.near {
		providers = append(providers, f.Provider)
		for _, o := range f.Neighbours {
			providers = append(providers, o.Provider)
		}
		providers = slices.Compact(slices.Sorted(slices.Values(providers)))
	}
	is := finding.Event{Op: finding.OpOpen, Kind: finding.ProviderIncident, Subject: finding.Subject{Provider: provider}, At: in.now}
	if why := in.over(f, all, next, p); why != "" && !in.began {
		is.Op, is.Why = finding.OpResolve, why
		return append(events, is)
	}
	if in.began || len(all) > len(f.Incident.Affected) || len(providers) > len(f.Incident.Providers) {
		is.Evidence = finding.Evidence{
			Since:  in.first,
			Answer: in.answer,
			Outage: finding.Outage{Affected: all, Providers: providers, PeersTotal: in.crowd().total, PeersHealthy: in.healthy},
		}
		events = append(events, is)
	}
	return events
}

// over returns why the incident is over, or "".
func (in incident) over(f Fleet, affected []string, next []State, p Policy) string {
	switch still := f.stillRefused(affected, next); {
	case still == 0:
		return fmt.Sprintf("all %d are accepted again", len(affected))
	case 2*still <= len(affected):
		return fmt.Sprintf("%d of %d are accepted again; the others are judged one by one", len(affected)-still, len(affected))
	}
	refused, accepted := in.crowd().answered(in.first)
	if float64(refused) < p.Incident.Share/2*float64(refused+accepted) ||
		f.stillRefused(affected, next) < len(affected) && in.calm(p) {
		return "most of the provider's credentials are accepted; those that are refused are judged one by one"
	}
	return ""
}

// calm reports whether nobody was refused anew for three times the policy's time.
func (in incident) calm(p Policy) bool {
	refused := in.crowd().since(in.first)
	return len(refused) == 0 || in.now.Sub(refused[len(refused)-1].since) >= 3*p.Incident.Within
}

// release has those of an incident that is over, and that are still refused, judged one by one when the others had two
// minutes to be accepted as well.
func (in incident) release(f Fleet, states []State, p Policy) {
	for i := range states {
		s := &states[i]
		member := slices.ContainsFunc(in.affected, func(t turned) bool { return t.id == s.CredentialID })
		if member && s.Status == Suspect {
			s.NextCheck, s.NotBefore = in.now.Add(p.soon(1)), p.cappedAfter(in.now, s.Refusals, f.Lockout, in.now)
		}
	}
}

func (f Fleet) stillRefused(names []string, next []State) int {
	refused := map[string]bool{}
	for _, o := range slices.Concat(f.Others, f.Neighbours) {
		refused[o.Credential] = o.Status.refused()
	}
	for _, s := range next {
		refused[s.Credential] = s.Status.refused()
	}
	n := 0
	for _, name := range names {
		if refused[name] {
			n++
		}
	}
	return n
}
