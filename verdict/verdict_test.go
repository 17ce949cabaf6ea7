package verdict_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

var start = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

func result(id int64, at time.Duration, o checker.Outcome, why checker.Reason) checker.Result {
	return checker.Result{
		CredentialID: id, Credential: fmt.Sprintf("c%d", id), Provider: "p", At: start.Add(at),
		Reading: checker.Reading{Outcome: o, Reason: why, Rule: "test"},
	}
}

// story feeds one credential's results to Judge, one after the other.
type story struct {
	state  verdict.State
	events []finding.Event
	policy verdict.Policy

	lockout checker.Lockout
}

func newStory() *story {
	return &story{policy: verdict.DefaultPolicy(), state: verdict.State{
		Status: verdict.Healthy, Since: start.Add(-24 * time.Hour), Changed: start.Add(-48 * time.Hour),
		LastSuccess: start.Add(-time.Minute), LastCertain: start.Add(-time.Minute),
	}}
}

func (s *story) see(at time.Duration, o checker.Outcome, why checker.Reason) verdict.Status {
	return s.step(result(1, at, o, why))
}

func (s *story) step(r checker.Result) verdict.Status {
	f := verdict.Fleet{Provider: "p", Lockout: s.lockout, States: map[int64]verdict.State{1: s.state}}
	next, events := verdict.Judge(f, []checker.Result{r}, s.policy)
	s.state, s.events = next[0], events
	return s.state.Status
}

func (s *story) did(op finding.Op, k finding.Kind) bool {
	return slices.ContainsFunc(s.events, func(e finding.Event) bool { return e.Op == op && e.Kind == k })
}

type step struct {
	at   time.Duration
	o    checker.Outcome
	why  checker.Reason
	want verdict.Status
}

func TestStories(t *testing.T) {
	t.Parallel()
	const m = time.Minute
	rej, unsp := checker.Rejected, checker.Unspecified
	for name, steps := range map[string][]step{
		"unspecified needs two confirmations": {{0, rej, unsp, "suspect"}, {2 * m, rej, unsp, "suspect"}, {10 * m, rej, unsp, "revoked"}},
		"a certain reason needs one":          {{0, rej, checker.BadSecret, "suspect"}, {2 * m, rej, checker.BadSecret, "revoked"}},
		"early refusals do not confirm": {
			{0, rej, unsp, "suspect"},
			{m, rej, unsp, "suspect"},
			{m + m/2, rej, unsp, "suspect"},
			{2 * m, rej, unsp, "suspect"},
			{9 * m, rej, unsp, "suspect"},
		},
		"ok ends the suspicion": {
			{0, rej, unsp, "suspect"},
			{2 * m, checker.OK, "", "healthy"},
			{10 * m, rej, unsp, "suspect"},
		},
		"trouble does not end it": {
			{0, rej, unsp, "suspect"},
			{2 * m, checker.ProviderError, "", "suspect"},
			{3 * m, rej, unsp, "suspect"},
			{10 * m, rej, unsp, "revoked"},
		},
		"ok ends revoked": {
			{0, rej, checker.Disabled, "suspect"},
			{2 * m, rej, checker.Disabled, "revoked"},
			{60 * m, checker.OK, "", "healthy"},
		},
		"trouble does not end revoked": {
			{0, rej, checker.Disabled, "suspect"},
			{2 * m, rej, checker.Disabled, "revoked"},
			{3 * m, checker.RateLimited, "", "revoked"},
		},
		"a lost scope is confirmed": {
			{0, checker.ScopeReduced, "", "healthy"},
			{2 * m, checker.ScopeReduced, "", "degraded"},
			{15 * m, checker.OK, "", "healthy"},
		},
		"a scope that comes back is no matter": {{0, checker.ScopeReduced, "", "healthy"}, {2 * m, checker.OK, "", "healthy"}},
		"a denied grant is confirmed":          {{0, checker.GrantDenied, "", "healthy"}, {2 * m, checker.GrantDenied, "", "degraded"}},
		"a denied scope clears no suspicion":   {{0, rej, unsp, "suspect"}, {2 * m, checker.ScopeDenied, "", "suspect"}},
		"a reduced token does":                 {{0, rej, unsp, "suspect"}, {2 * m, checker.ScopeReduced, "", "healthy"}},
		"trouble alone changes nothing":        {{0, checker.Unreachable, "", "healthy"}, {600 * m, checker.Malformed, "", "healthy"}},
	} {
		s := newStory()
		for i, st := range steps {
			if got := s.see(st.at, st.o, st.why); got != st.want {
				t.Errorf("%s: step %d (%s at %s): %s, want %s", name, i+1, st.o, st.at, got, st.want)
			}
		}
	}
}

func TestConfirmationsAreAskedForAtTheirTimes(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.policy.RefusalsPerHour = 0
	for _, c := range []struct{ at, next time.Duration }{{0, 2}, {2, 10}, {10, 15}} {
		s.see(c.at*time.Minute, checker.Rejected, checker.Unspecified)
		if want := start.Add(c.next * time.Minute); !s.state.NextCheck.Equal(want) {
			t.Errorf("after %d minutes: next %s", c.at, s.state.NextCheck)
		}
	}
	if !s.did(finding.OpOpen, finding.Revoked) {
		t.Fatalf("after the last one: %v", s.events)
	}
	e := s.events[0].Evidence
	if len(e.Refusals) != 3 || e.Certain || !e.Since.Equal(start) {
		t.Errorf("evidence %+v", e)
	}
}

// What is refused is looked at as often as its provider bears.
func TestRefusalsAreCapped(t *testing.T) {
	t.Parallel()
	const m = time.Minute
	for lockout, want := range map[string][]time.Duration{
		"unknown": {0, 2 * m, 10 * m, 15 * m, 30 * m, 60 * m, 180 * m, 420 * m, 780 * m, 1140 * m, 1500 * m},
		"none":    {0, 2 * m, 10 * m, 15 * m, 30 * m, 45 * m, 60 * m, 75 * m, 90 * m, 105 * m, 120 * m},
		"3":       {0, 2 * m, 10 * m, 60 * m, 180 * m, 420 * m, 780 * m, 1140 * m, 1500 * m, 1860 * m, 2220 * m},
	} {
		s := newStory()
		s.lockout, _ = checker.ParseLockout(lockout)
		var seen []time.Duration
		for at := time.Duration(0); len(seen) < len(want); {
			s.see(at, checker.Rejected, checker.Unspecified)
			seen = append(seen, at)
			due := start.Add(at + time.Minute) // as scheduled
			if next := s.state.NextCheck; !next.IsZero() {
				due = next
			}
			if least := s.state.NotBefore; least.After(due) {
				due = least
			}
			at = due.Sub(start)
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: refused at %v, want %v", lockout, seen, want)
		}
	}
}

func TestNewCredentialIsPendingForTheGrace(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.state = verdict.State{Status: verdict.Pending, Changed: start}
	if got := s.see(30*time.Minute, checker.Rejected, checker.BadSecret); got != verdict.Pending {
		t.Errorf("in the grace: %s", got)
	}
	if got := s.see(61*time.Minute, checker.Rejected, checker.BadSecret); got != verdict.Suspect {
		t.Errorf("after it: %s", got)
	}
	if got := s.see(63*time.Minute, checker.Rejected, checker.BadSecret); got != verdict.Revoked || !s.events[0].Evidence.NeverHealthy {
		t.Errorf("confirmed: %s %+v", got, s.events)
	}
	r := newStory()
	r.state.Changed = start // rotated: the last success was with another secret
	if got := r.see(time.Minute, checker.Rejected, checker.BadSecret); got != verdict.Pending {
		t.Errorf("after a rotation: %s", got)
	}
}

func TestUnverifiable(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.see(0, checker.RateLimited, "")
	s.see(5*time.Hour, checker.Intercepted, "")
	if s.did(finding.OpOpen, finding.Unverifiable) {
		t.Error("opened before its time")
	}
	s.see(6*time.Hour, checker.RateLimited, "")
	if !s.did(finding.OpOpen, finding.Unverifiable) {
		t.Error("not opened")
	}
	s.see(7*time.Hour, checker.OK, "")
	if !s.did(finding.OpResolve, finding.Unverifiable) {
		t.Error("not resolved")
	}
}

func TestSecretUnreadable(t *testing.T) {
	t.Parallel()
	s := newStory()
	got := s.see(0, checker.Misconfigured, checker.SecretUnreadable)
	if got != verdict.Healthy || !s.did(finding.OpOpen, finding.SecretUnreadable) {
		t.Errorf("%s %v", got, s.events)
	}
	s.see(time.Minute, checker.Unreachable, checker.TimedOut)
	if !s.did(finding.OpResolve, finding.SecretUnreadable) {
		t.Error("a secret that was read again does not resolve it")
	}
}

func TestFlapping(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.policy.Confirm = []time.Duration{time.Second}
	s.policy.RefusalsPerHour = 0
	opened := 0
	at := time.Duration(0)
	for range 6 {
		for _, o := range []checker.Outcome{checker.Rejected, checker.Rejected, checker.OK} {
			s.see(at, o, checker.BadSecret)
			at += 2 * time.Minute
			if s.did(finding.OpOpen, finding.Revoked) {
				opened++
			}
		}
	}
	if !s.state.Flapping || opened != 2 {
		t.Errorf("flapping %t, revoked was opened %d times", s.state.Flapping, opened)
	}
	s.see(at, checker.Rejected, checker.BadSecret)
	s.see(at+2*time.Minute, checker.Rejected, checker.BadSecret)
	s.see(at+3*time.Hour, checker.Rejected, checker.BadSecret)
	if s.state.Flapping || !s.did(finding.OpResolve, finding.Flapping) || !s.did(finding.OpOpen, finding.Revoked) {
		t.Errorf("when it calmed as revoked: %v", s.events)
	}
}

// fleet keeps the states of a provider's credentials and judges one batch after the other.
type fleet struct {
	states map[int64]verdict.State
	f      verdict.Fleet
	events []finding.Event
	wishes []verdict.Wish
}

func newFleet(n int64) *fleet {
	f := &fleet{states: map[int64]verdict.State{}}
	for i := range n {
		s := newStory().state
		s.CredentialID, s.Credential, s.Provider = i, fmt.Sprintf("c%d", i), "p"
		f.states[i] = s
	}
	return f
}

func (f *fleet) see(rs ...checker.Result) {
	v := f.f
	v.Provider, v.States = "p", map[int64]verdict.State{}
	in := map[int64]bool{}
	for _, r := range rs {
		in[r.CredentialID] = true
		v.States[r.CredentialID] = f.states[r.CredentialID]
	}
	for id, s := range f.states {
		if !in[id] {
			v.Others = append(v.Others, other(s))
		}
	}
	next, events := verdict.Judge(v, rs, verdict.DefaultPolicy())
	f.wishes = verdict.Wishes(v, rs, next, verdict.DefaultPolicy())
	for _, s := range next {
		f.states[s.CredentialID] = s
	}
	f.events = events
	for _, e := range events {
		switch {
		case e.Kind == finding.Unverifiable && e.Subject == finding.Subject{}:
			f.f.Blind = e.Op == finding.OpOpen
		case e.Kind == finding.Unverifiable && e.Subject.Credential == "":
			f.f.Outage = e.Op == finding.OpOpen
		}
		switch {
		case e.Kind == finding.ProviderDown:
			f.f.Down = e.Op == finding.OpOpen
		case e.Kind == finding.ProviderIncident && e.Op == finding.OpOpen:
			f.f.Incident = verdict.Incident{
				Provider: "p", Providers: e.Evidence.Providers, Opened: e.At, First: e.Evidence.Since, Affected: e.Evidence.Affected,
			}
		case e.Kind == finding.ProviderIncident:
			f.f.LastIncident, f.f.Incident = f.f.Incident, verdict.Incident{}
			f.f.LastIncident.Ended = e.At
		}
	}
}

func other(s verdict.State) verdict.Other {
	return verdict.Other{
		CredentialID: s.CredentialID, Credential: s.Credential, Provider: s.Provider, Status: s.Status, SuspectSince: s.SuspectSince,
		LastCheck: s.LastCheck, LastCertain: s.LastCertain, EverHealthy: !s.NeverHealthy(), UncertainSince: s.UncertainSince,
		TroubleSince: s.TroubleSince,
		SecretLost:   s.SecretLost, Flapping: s.Flapping, Proven: s.Proven, Cleared: s.Cleared, Refusals: s.Refusals,
	}
}

func (f *fleet) opened(k finding.Kind) (n int) {
	for _, e := range f.events {
		if e.Op == finding.OpOpen && e.Kind == k {
			n++
		}
	}
	return n
}

func TestProviderIncident(t *testing.T) {
	t.Parallel()
	f := newFleet(6)
	incidents, revoked := 0, 0
	see := func(at time.Duration, o checker.Outcome, ids ...int64) {
		for _, id := range ids { // one by one, as separate batches
			f.see(result(id, at, o, checker.BadSecret))
			incidents += f.opened(finding.ProviderIncident)
			revoked += f.opened(finding.Revoked)
		}
	}
	see(0, checker.Rejected, 0, 1)
	if incidents != 0 {
		t.Fatal("two of six are no incident")
	}
	see(time.Minute, checker.Rejected, 2)
	if incidents != 1 || len(f.f.Incident.Affected) != 3 {
		t.Fatalf("three of six: %d incidents, affected %v", incidents, f.f.Incident.Affected)
	}
	see(3*time.Minute, checker.Rejected, 0, 1, 2, 3)
	see(30*time.Minute, checker.Rejected, 0, 1, 2, 3)
	if revoked != 0 || len(f.f.Incident.Affected) != 4 {
		t.Fatalf("during the incident: %d pages, affected %v", revoked, f.f.Incident.Affected)
	}
	see(60*time.Minute, checker.OK, 0, 1)
	if f.f.Incident.Opened.IsZero() == false {
		t.Fatal("the incident does not end when half of it is accepted again")
	}
	see(61*time.Minute, checker.Rejected, 2)
	if revoked != 0 {
		t.Fatal("the first refusal after the incident confirms nothing")
	}
	see(63*time.Minute, checker.Rejected, 2)
	if revoked != 1 {
		t.Fatalf("judged again after the incident: %d pages", revoked)
	}
}

func TestProperties(t *testing.T) {
	t.Parallel()
	outcomes := checker.Outcomes()
	reasons := []checker.Reason{checker.UnknownClient, checker.BadSecret, checker.Unspecified}
	rapid.Check(t, func(t *rapid.T) {
		s := newStory()
		s.policy.RefusalsPerHour = rapid.IntRange(0, 5).Draw(t, "cap")
		at, refusals := time.Duration(0), 0
		var first time.Duration
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at += time.Duration(rapid.IntRange(1, 3600).Draw(t, "wait")) * time.Second
			o := rapid.SampledFrom(outcomes).Draw(t, "outcome")
			why := checker.Reason("")
			if o == checker.Rejected {
				why = rapid.SampledFrom(reasons).Draw(t, "reason")
			}
			before := s.state.Status
			after := s.see(at, o, why)
			switch {
			case o.HasToken():
				refusals = 0
				if after == verdict.Suspect || after == verdict.Revoked {
					t.Fatalf("a token leaves it %s", after)
				}
			case o == checker.Rejected:
				if refusals++; refusals == 1 {
					first = at
				}
			case before == verdict.Suspect || before == verdict.Revoked:
				if after != before {
					t.Fatalf("%s turned %s into %s", o, before, after)
				}
			}
			if after == verdict.Revoked && before != verdict.Revoked {
				if o != checker.Rejected {
					t.Fatalf("%s made it revoked", o)
				}
				wait := s.policy.Confirm[0]
				if !why.Certain() {
					wait = s.policy.Confirm[1]
				}
				if refusals < 2 || at-first < wait {
					t.Fatalf("revoked after %d refusals in %s (%s)", refusals, at-first, why)
				}
			}
			if s.did(finding.OpOpen, finding.Revoked) && s.state.Status != verdict.Revoked {
				t.Fatalf("a revoked finding for what is %s", s.state.Status)
			}
		}
	})
}

// How sure a revocation is depends on the provider's other credentials, in the batch and beside it.
func TestRevokedNamesItsPeers(t *testing.T) {
	t.Parallel()
	story := newStory()
	story.see(0, checker.Rejected, checker.Disabled)
	healthy := newStory().state
	f := verdict.Fleet{
		Provider: "p",
		States:   map[int64]verdict.State{1: story.state, 2: healthy, 3: healthy, 4: healthy},
		Others: []verdict.Other{
			{Credential: "c5", Status: verdict.Healthy, EverHealthy: true},
			{Credential: "c6", Status: verdict.Revoked, EverHealthy: true},
		},
	}
	at := 2 * time.Minute
	_, events := verdict.Judge(f, []checker.Result{
		result(
			1,
			at,
			checker.Rejected,
			checker.Disabled,
		),
		result(2, at, checker.OK, ""),
		result(3, at, checker.ScopeReduced, ""),
		result(4, at, checker.Unreachable, ""),
	}, story.policy)
	i := slices.IndexFunc(events, func(e finding.Event) bool { return e.Kind == finding.Revoked && e.Op == finding.OpOpen })
	if i < 0 {
		t.Fatalf("events %+v", events)
	}
	if e := events[i].Evidence; e.PeersTotal != 5 || e.PeersHealthy != 4 {
		t.Errorf("%d of %d others work, want 4 of 5", e.PeersHealthy, e.PeersTotal)
	}
}

// The finding of a refusal says that the credential was to end, where that is known and it did, or the provider says so.
func TestAnEndThatCame(t *testing.T) {
	t.Parallel()
	past, ahead := start.Add(-time.Hour), start.Add(24*time.Hour)
	for name, c := range map[string]struct {
		declared, seen time.Time
		why            checker.Reason
		at             time.Time
		by             string
	}{
		"nothing is known":     {why: checker.ExpiredSecret},
		"declared, and past":   {declared: past, why: checker.Unspecified, at: past, by: "declared"},
		"declared, not yet":    {declared: ahead, why: checker.Unspecified},
		"the provider is sure": {declared: ahead, why: checker.ExpiredSecret, at: ahead, by: "declared"},
		"a certificate":        {declared: ahead, seen: past, why: checker.Unspecified, at: past, by: "certificate"},
	} {
		s := newStory()
		s.state.Ends = credential.End{}
		if !c.seen.IsZero() {
			s.state.Ends = credential.End{At: c.seen, By: credential.EndCertificate}
		}
		for _, after := range []time.Duration{0, 2 * time.Minute, 10 * time.Minute} {
			if s.state.Status == verdict.Revoked {
				break
			}
			r := result(1, after, checker.Rejected, c.why)
			r.Expires = c.declared
			s.step(r)
		}
		if len(s.events) == 0 || !s.events[0].Evidence.ExpiresAt.Equal(c.at) || s.events[0].Evidence.ExpiresBy != c.by {
			t.Errorf("%s: %+v", name, s.events)
		}
	}
}

// Refusals in the grace have a count of their own, of the same size, and nothing of it is left when the grace ends: a
// credential that is refused from the beginning is confirmed as quickly as one that is refused later.
func TestRefusalsInTheGraceCountApart(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 40 * time.Minute} {
		s := newStory()
		s.state = verdict.State{Status: verdict.Pending, Changed: start}
		var seen []time.Duration // when it was refused
		for at := time.Duration(0); s.state.Status != verdict.Revoked; {
			s.see(at, checker.Rejected, checker.Unspecified)
			seen = append(seen, at)
			due := start.Add(at + every)
			if next := s.state.NextCheck; !next.IsZero() {
				due = next
			}
			if least := s.state.NotBefore; least.After(due) {
				due = least
			}
			at = due.Sub(start)
		}
		inGrace, worst := 0, 0
		for i, at := range seen {
			if at < time.Hour {
				inGrace++
			}
			within := 0
			for _, other := range seen[i:] {
				if other-at < time.Hour {
					within++
				}
			}
			worst = max(worst, within)
		}
		end := seen[len(seen)-1]
		if inGrace > 6 || worst > 12 || end > time.Hour+every+10*time.Minute {
			t.Errorf("every %s: %d refusals in the grace, %d in an hour, revoked after %s: %v", every, inGrace, worst, end, seen)
		}
	}
}

// What a refusal could be depends on whether the credential ever worked.
func TestExplain(t *testing.T) {
	t.Parallel()
	r := result(1, 0, checker.Rejected, checker.Unspecified)
	r.Message, r.Choices, r.RefusesFor = "refused", []string{"client_id", "token_url"}, []string{"another region"}
	worked := verdict.State{LastSuccess: start.Add(-time.Minute), Changed: start.Add(-time.Hour)}
	const until = "refused; it worked until 24 Nov 2026 07:59 UTC, so it could be revoked or rotated, or another region"
	if got := verdict.Explain(r, worked); got != until {
		t.Error(got)
	}
	ended := worked
	ended.Ends = credential.End{At: start.Add(-time.Second), By: credential.EndCertificate}
	if got := verdict.Explain(r, ended); !strings.Contains(got, "so it could be at its end, 24 Nov 2026, or revoked or rotated") {
		t.Error(got)
	}
	got := verdict.Explain(r, verdict.State{LastSuccess: start.Add(-2 * time.Hour), Changed: start.Add(-time.Hour)})
	if got != "refused; it never worked with its present secret, so look at: client_id; token_url" {
		t.Error(got)
	}
	r.Choices = nil
	if got := verdict.Explain(r, worked); got != "refused" {
		t.Error(got)
	}
}

// With Policy.Early a refusal is told at once as what it is, becomes more when it is confirmed, and ends with a token.
func TestEarly(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.policy.Early = true
	for i, want := range []finding.Severity{finding.Warning, finding.Warning, finding.Critical} {
		s.see([]time.Duration{0, 2 * time.Minute, 10 * time.Minute}[i], checker.Rejected, checker.Unspecified)
		if !s.did(finding.OpOpen, finding.Revoked) || s.events[0].Severity() != want {
			t.Errorf("refusal %d: %+v", i+1, s.events)
		}
	}
	s = newStory()
	s.policy.Early = true
	s.see(0, checker.Rejected, checker.Unspecified)
	s.see(2*time.Minute, checker.OK, "")
	if !s.did(finding.OpResolve, finding.Revoked) {
		t.Errorf("it works again: %+v", s.events)
	}
	s = newStory()
	s.policy.Early, s.state.LastSuccess = true, time.Time{}
	s.state.Changed = start.Add(-2 * time.Hour)
	s.see(0, checker.Rejected, checker.Unspecified)
	if len(s.events) != 0 {
		t.Errorf("of one that never worked: %+v", s.events)
	}
}

// What the provider's own log proves is no part of an incident, and is not taken back by one.
func TestWhatIsProvenStays(t *testing.T) {
	t.Parallel()
	f := newFleet(6)
	f.f.Told = map[int64]verdict.Revocation{0: {At: start, Feed: "log"}, 1: {At: start, Feed: "log"}, 2: {At: start, Feed: "log"}}
	for round := range 4 {
		for id := range int64(3) {
			f.see(result(id, time.Duration(round*15)*time.Minute, checker.Rejected, checker.Unspecified))
			for _, e := range f.events {
				if e.Op != finding.OpOpen || e.Kind != finding.Revoked {
					t.Errorf("round %d: %+v", round, e)
				}
			}
		}
	}
}

// A look that comes late is followed by the next one soon, and not when the schedule says.
func TestLateLooksAreFollowed(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.see(0, checker.Rejected, checker.Unspecified)
	s.see(20*time.Minute, checker.Rejected, checker.Unspecified)
	if want := start.Add(21 * time.Minute); !s.state.NextCheck.Equal(want) {
		t.Fatalf("%s, next at %s", s.state.Status, s.state.NextCheck)
	}
	if got := s.see(21*time.Minute, checker.Rejected, checker.Unspecified); got != verdict.Revoked {
		t.Errorf("then it is %s", got)
	}
}

// A small provider: two of four that are refused together are no incident once the other two are accepted, and whose secret
// cannot be read, or who got no answer long before, has no say in it.
func TestSmallProvidersAreCleared(t *testing.T) {
	t.Parallel()
	const unreadable, unreachable = checker.SecretUnreadable, checker.TimedOut
	for name, c := range map[string]struct {
		dead   []int64
		silent checker.Outcome // of the last one
		why    checker.Reason
	}{
		"one of four":                      {[]int64{0}, checker.OK, ""},
		"two of four":                      {[]int64{0, 1}, checker.OK, ""},
		"one, and a secret that is lost":   {[]int64{0}, checker.Misconfigured, unreadable},
		"two, and a secret that is lost":   {[]int64{0, 1}, checker.Misconfigured, unreadable},
		"one, and one that is not reached": {[]int64{0}, checker.Unreachable, unreachable},
	} {
		f := newFleet(4)
		told := map[int64]time.Duration{}
		for at := -15 * time.Minute; at < 5*time.Minute; at += 30 * time.Second {
			for id := range int64(4) {
				o, why := checker.OK, checker.Reason("")
				switch s := f.states[id]; {
				case slices.Contains(c.dead, id) && at >= 0:
					if o, why = checker.Rejected, checker.Unspecified; s.NextCheck.After(start.Add(at)) {
						continue
					}
				case id == 3:
					o, why = c.silent, c.why
				}
				f.see(result(id, at, o, why))
				if f.opened(finding.Revoked) > 0 {
					told[id] = at
				}
			}
		}
		for _, id := range c.dead {
			if told[id] != 2*time.Minute {
				t.Errorf("%s: c%d is told after %s", name, id, told[id])
			}
		}
	}
}

// Where nobody of a small provider is accepted any more it is an incident, also of those whom the others had cleared.
func TestNobodyIsLeft(t *testing.T) {
	t.Parallel()
	f := newFleet(4)
	withdrawn := 0
	for at := time.Duration(0); at < 8*time.Minute; at += 30 * time.Second {
		for id := range int64(4) {
			o := checker.OK
			if id < 2 || at > 4*time.Minute {
				o = checker.Rejected
			}
			f.see(result(id, at, o, checker.Unspecified))
			for _, e := range f.events {
				if e.Op == finding.OpWithdraw {
					withdrawn++
				}
			}
		}
	}
	if len(f.f.Incident.Affected) != 4 || withdrawn != 2 {
		t.Errorf("%d withdrawn, the incident is of %v", withdrawn, f.f.Incident.Affected)
	}
}

// When one is accepted again whoever else is refused at the provider is looked at: in an incident and outside, half a
// minute after its last look at the soonest, and as often as is borne.
func TestARecoveryHasOthersLookedAt(t *testing.T) {
	t.Parallel()
	const m = time.Minute
	for name, c := range map[string]struct {
		dead  []int64
		looks []time.Duration // at which they are refused
		by    time.Duration   // when c0 is accepted
		want  time.Duration   // when the others are wished for; 0: not
	}{
		"in an incident":            {[]int64{0, 1, 2, 3}, []time.Duration{0, m, 2 * m}, 5 * m, 5 * m},
		"outside":                   {[]int64{0, 1}, []time.Duration{0, m, 2 * m, 10 * m}, 11 * m, 11 * m},
		"seconds after a look":      {[]int64{0, 1}, []time.Duration{0, m, 2 * m, 10 * m}, 10*m + time.Second, 10*m + 30*time.Second},
		"after too many refusals":   {[]int64{0, 1}, []time.Duration{0, m, 2 * m, 3 * m, 4 * m, 5 * m, 6 * m}, 8 * m, 0},
		"of one that was no matter": {[]int64{0, 1}, []time.Duration{0}, m, 0},
	} {
		f := newFleet(8)
		for _, at := range c.looks {
			for id := range int64(8) {
				o := checker.OK
				if slices.Contains(c.dead, id) {
					o = checker.Rejected
				}
				f.see(result(id, at, o, checker.Unspecified))
			}
		}
		f.see(result(0, c.by, checker.OK, ""))
		var wished []int64
		for _, w := range f.wishes {
			if wished = append(wished, w.CredentialID); !w.Again || !w.At.Equal(start.Add(c.want)) {
				t.Errorf("%s: %+v", name, w)
			}
		}
		want := slices.Clone(c.dead[1:])
		if c.want == 0 {
			want = nil
		}
		if slices.Sort(wished); !slices.Equal(wished, want) {
			t.Errorf("%s: %v are looked at, want %v", name, wished, want)
		}
	}
}

// Who is still refused when its incident ends is judged by what it was refused before, and by one refusal two minutes after
// the end with others accepted, though its refusals of the hour are used up.
func TestTheEndOfAnIncidentLeavesNobodyUntold(t *testing.T) {
	t.Parallel()
	const m = time.Minute
	f := newFleet(12)
	dead := func(id int64) bool { return id < 6 }
	for _, at := range []time.Duration{0, m, 2 * m, 3 * m, 4 * m, 5 * m, 6 * m} { // some by hand
		for id := range int64(12) {
			o := checker.OK
			if dead(id) {
				o = checker.Rejected
			}
			f.see(result(id, at, o, checker.Unspecified))
		}
	}
	if len(f.f.Incident.Affected) != 6 {
		t.Fatalf("no incident: %+v", f.f)
	}
	for _, id := range []int64{5, 4, 3} {
		f.see(result(id, 20*m, checker.OK, ""))
	}
	var wished []int64
	for _, w := range f.wishes {
		if w.Again {
			wished = append(wished, w.CredentialID)
		}
	}
	if slices.Sort(wished); !slices.Equal(wished, []int64{0, 1, 2}) || !f.f.Incident.Opened.IsZero() {
		t.Fatalf("at the end of %+v %v are looked at", f.f.Incident, wished)
	}
	f.see(result(0, 20*m+time.Second, checker.Rejected, checker.Unspecified))
	if next := f.states[0].NextCheck; f.opened(finding.Revoked) > 0 || !next.Equal(start.Add(22*m)) || f.states[0].NotBefore.After(next) {
		t.Errorf("at once: %+v", f.states[0])
	}
	for id := int64(6); id < 12; id++ {
		f.see(result(id, 21*m, checker.OK, ""))
	}
	for id := int64(3); id < 6; id++ {
		f.see(result(id, 21*m, checker.OK, ""))
	}
	for id := range int64(3) {
		if f.see(result(id, 22*m, checker.Rejected, checker.Unspecified)); f.opened(finding.Revoked) != 1 {
			t.Errorf("c%d is %s", id, f.states[id].Status)
		}
	}
}
