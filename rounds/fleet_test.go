package rounds

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/verdict"
)

// trial is fifty credentials of some providers that are checked and judged by the clock, over answers as planned:
// nothing but the verdict and the schedule is real.
type trial struct {
	t      *testing.T
	now    time.Time
	every  string // cron
	answer func(c *one, at time.Time) (checker.Outcome, checker.Reason)

	creds     []*one
	providers map[string]checker.Provider
	endpoint  bool // all providers have one token endpoint
	asleep    func(at time.Time) time.Time
	schedules *credential.Schedules

	open map[string]finding.Event
	last map[string]verdict.Incident // that ended, by provider
	told []message
}

type one struct {
	credential.Credential
	i       int
	state   verdict.State
	due     time.Time
	refused []time.Time
}

// message is what people would get: findings of one kind and provider that come close together are one.
type message struct {
	at   time.Time
	kind finding.Kind
	of   string // provider
	who  []string
	gone map[string]time.Time // that ended or were withdrawn
}

var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func newTrial(t *testing.T, n int, every string, providers ...string) *trial {
	tr := &trial{
		t: t, now: begin, every: every, providers: map[string]checker.Provider{}, schedules: credential.NewSchedules(time.UTC),
		open: map[string]finding.Event{}, last: map[string]verdict.Incident{},
		answer: func(*one, time.Time) (checker.Outcome, checker.Reason) { return checker.OK, "" },
	}
	for _, p := range providers {
		tr.providers[p] = checker.Provider{Name: p}
	}
	for i := range n {
		name := fmt.Sprintf("c%02d", i)
		c := &one{i: i, Credential: credential.Credential{
			ID: int64(i + 1), Name: name, Provider: providers[i%len(providers)], Subject: name, Schedule: every,
		}}
		c.state = verdict.State{
			CredentialID: c.ID, Credential: name, Provider: c.Provider, Status: verdict.Healthy, Since: begin.Add(-48 * time.Hour),
			Changed: begin.Add(-96 * time.Hour), LastSuccess: begin.Add(-time.Hour), LastCertain: begin.Add(-time.Hour),
			LastCheck: begin.Add(-time.Hour),
		}
		c.due, _ = tr.schedules.Next(c.Credential, begin.Add(-time.Second))
		tr.creds = append(tr.creds, c)
	}
	return tr
}

// run checks what is due, one after the other, ten a second at most.
func (tr *trial) run(until time.Time) {
	for {
		c := slices.MinFunc(tr.creds, func(a, b *one) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.i, b.i)) })
		at := c.due
		if at.Before(tr.now) {
			at = tr.now
		}
		if tr.asleep != nil {
			at = tr.asleep(at)
		}
		if at.After(until) {
			return
		}
		tr.now = at.Add(100 * time.Millisecond)
		tr.check(c, at)
	}
}

func (tr *trial) check(c *one, at time.Time) {
	r := checker.Result{CredentialID: c.ID, Credential: c.Name, Provider: c.Provider, At: at}
	r.Outcome, r.Reason = tr.answer(c, at)
	refused := c.state.Status == verdict.Suspect || c.state.Status == verdict.Revoked
	if last := c.state.LastCheck; refused && at.Sub(last) < 10*time.Second {
		tr.t.Errorf("%s, which is %s, is looked at at %s and %s", c.Name, c.state.Status, last, at)
	}
	if r.Outcome == checker.Rejected {
		c.refused = append(c.refused, at)
	}
	f := tr.fleet(c, r)
	next, events := verdict.Judge(f, []checker.Result{r}, verdict.DefaultPolicy())
	wishes := verdict.Wishes(f, []checker.Result{r}, next, verdict.DefaultPolicy())
	c.state = next[0]
	c.NextCheck = c.due
	c.due, _ = Decide(c.Credential, tr.providers[c.Provider], c.state, Load{}, tr.schedules, at)
	for _, w := range wishes {
		at := w.At
		if at.Before(tr.now) {
			at = tr.now
		}
		if o := tr.creds[w.CredentialID-1]; o.due.After(at) {
			o.due = at
		}
	}
	for _, e := range events {
		tr.apply(e)
	}
}

// fleet is what audit.Store.LockFleet would return.
func (tr *trial) fleet(c *one, r checker.Result) verdict.Fleet {
	f := verdict.Fleet{
		Provider: c.Provider, Lockout: tr.providers[c.Provider].Lockout, States: map[int64]verdict.State{c.ID: c.state},
		LastIncident: tr.last[c.Provider],
	}
	refused := c.state.Status == verdict.Suspect || c.state.Status == verdict.Revoked
	if r.Outcome.HasToken() && !refused && len(tr.open) == 0 {
		return f
	}
	for _, o := range tr.creds {
		switch {
		case o == c:
		case o.Provider == c.Provider:
			f.Others = append(f.Others, tr.other(o))
		case tr.endpoint:
			f.Neighbours = append(f.Neighbours, tr.other(o))
		}
	}
	for _, e := range tr.open {
		own := e.Subject.Provider == c.Provider && e.Subject.Credential == ""
		switch {
		case e.Kind == finding.ProviderIncident && (own || slices.Contains(e.Evidence.Providers, c.Provider)):
			f.Incident = incidentOf(e)
		case e.Kind == finding.Unverifiable && own:
			f.Outage = true
		case e.Kind == finding.ProviderDown && own:
			f.Down = true
		}
	}
	return f
}

func (tr *trial) other(o *one) verdict.Other {
	v := otherOf(o.state)
	v.Lockout = tr.providers[o.Provider].Lockout
	return v
}

func (tr *trial) apply(e finding.Event) {
	key := string(e.Kind) + " " + e.Subject.Key()
	old, isOpen := tr.open[key]
	if e.Op != finding.OpOpen {
		if delete(tr.open, key); !isOpen {
			return
		}
		if e.Kind == finding.ProviderIncident {
			i := incidentOf(old)
			i.Ended = e.At
			for _, p := range append(i.Providers, i.Provider) {
				tr.last[p] = i
			}
		}
		for _, m := range tr.told {
			if slices.Contains(m.who, e.Subject.Name()) && m.kind == e.Kind && m.gone[e.Subject.Name()].IsZero() {
				m.gone[e.Subject.Name()] = e.At
			}
		}
		return
	}
	if tr.open[key] = e; isOpen {
		held := tr.open[key]
		held.At = old.At
		tr.open[key] = held
		return
	}
	if e.Severity() == finding.Info {
		return
	}
	for i := range tr.told {
		if m := &tr.told[i]; m.kind == e.Kind && m.of == e.Subject.Provider && e.At.Sub(m.at) <= 5*time.Minute {
			m.who = append(m.who, e.Subject.Name())
			return
		}
	}
	tr.told = append(tr.told, message{e.At, e.Kind, e.Subject.Provider, []string{e.Subject.Name()}, map[string]time.Time{}})
}

func (tr *trial) of(k finding.Kind) (list []message) {
	for _, m := range tr.told {
		if m.kind == k {
			list = append(list, m)
		}
	}
	return list
}

var schedulesOfTrials = map[string]time.Duration{
	"* * * * *": time.Minute, "*/15 * * * *": 15 * time.Minute, "@hourly": time.Hour, "0 */6 * * *": 6 * time.Hour,
}

// One incident is one message, whatever the schedule and the moment, and who is refused by itself is not lost in it.
func TestTrialsOfIncidents(t *testing.T) {
	t.Parallel()
	for every, interval := range schedulesOfTrials {
		for _, share := range []int{20, 60, 100} {
			for seed := range runsOfTrials() {
				t.Run(fmt.Sprintf("%s/%d/%d", every, share, seed), func(t *testing.T) {
					t.Parallel()
					rnd := rand.New(rand.NewPCG(seed, uint64(share)))
					tr := newTrial(t, 50, every, "p")
					from := begin.Add(interval + time.Hour + time.Duration(rnd.Int64N(int64(interval))))
					to := from.Add(interval + 2*time.Hour + time.Duration(rnd.Int64N(int64(4*time.Hour))))
					bad := map[int]bool{}
					for _, i := range rnd.Perm(50)[:share/2] {
						bad[i] = true
					}
					tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
						if bad[c.i] && !at.Before(from) && (share < 50 && at.Before(from.Add(400*24*time.Hour)) || at.Before(to)) {
							return checker.Rejected, checker.Unspecified
						}
						return checker.OK, ""
					}
					tr.run(to)
					incidents, pages := tr.of(finding.ProviderIncident), tr.of(finding.Revoked)
					if len(tr.told) != 1 {
						for _, m := range tr.told {
							t.Logf("%s after %s: %s %v", m.at.Format("15:04:05"), m.at.Sub(from), m.kind, m.who)
						}
						t.Fatalf("%d messages", len(tr.told))
					}
					if share < 50 {
						if len(pages) != 1 || len(pages[0].who) != 10 {
							t.Fatalf("ten of fifty: %+v", tr.told)
						}
						return
					}
					if len(incidents) != 1 || len(tr.open["provider_incident provider/p"].Evidence.Affected) != share/2 {
						t.Fatalf("%+v", tr.open)
					}
					tr.run(to.Add(15 * time.Minute))
					if len(tr.open) != 0 {
						t.Errorf("15 minutes after it works: %+v", tr.open)
					}
					for _, c := range tr.creds {
						if c.state.Status != verdict.Healthy {
							t.Errorf("15 minutes after it works %s is %s, checked %s", c.Name, c.state.Status, c.due.Sub(to))
						}
						if n := mostInAnHour(c.refused); n > 6 {
							t.Errorf("%s was refused %d times in an hour", c.Name, n)
						}
					}
				})
			}
		}
	}
}

// runsOfTrials is how often each trial is run, with other luck each time.
func runsOfTrials() uint64 {
	switch {
	case os.Getenv("KEYROUNDS_LONG") != "":
		return 40
	case testing.Short():
		return 1
	}
	return 3
}

func mostInAnHour(times []time.Time) (most int) {
	for i, t := range times {
		n := 0
		for _, u := range times[i:] {
			if u.Sub(t) < time.Hour {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// A true revocation is told within minutes of it, where checks come every minute.
func TestTrialsOfARevocation(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		tr := newTrial(t, 50, "* * * * *", "p")
		from := begin.Add(2*time.Minute + time.Duration(rnd.Int64N(int64(time.Hour/4))))
		bad := rnd.IntN(50)
		tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
			if c.i == bad && !at.Before(from) {
				return checker.Rejected, checker.Unspecified
			}
			return checker.OK, ""
		}
		tr.run(from.Add(20 * time.Minute))
		if len(tr.told) != 1 || tr.told[0].kind != finding.Revoked || tr.told[0].who[0] != tr.creds[bad].Name {
			t.Fatalf("%+v", tr.told)
		}
		took = append(took, tr.told[0].at.Sub(from))
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	t.Logf("told after %s (median), %s at most", median, worst)
	if median > 3*time.Minute || worst > 4*time.Minute {
		t.Errorf("median %s, worst %s", median, worst)
	}
}

// Providers that share a token endpoint: who is alone in its provider is not blamed where everybody behind the URL is
// refused, and a tenant of its own is not cleared by the others.
func TestTrialsOfAnEndpoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refused   []string
		providers []string // of the incident
	}{
		"everybody":    {[]string{"a", "b", "payroll"}, []string{"a", "b", "payroll"}},
		"one tenant":   {[]string{"a"}, nil},
		"who is alone": {[]string{"payroll"}, nil},
	} {
		for every, interval := range schedulesOfTrials {
			t.Run(name+" "+every, func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, 25, every, "a", "b", "c", "d")
				tr.providers["payroll"], tr.endpoint = checker.Provider{Name: "payroll"}, true
				tr.creds[24].Provider, tr.creds[24].state.Provider = "payroll", "payroll"
				if len(c.providers) > 0 { // the others are of no matter
					tr.creds = slices.DeleteFunc(tr.creds, func(o *one) bool { return !slices.Contains(c.refused, o.Provider) })
					for i, o := range tr.creds {
						o.ID, o.i, o.state.CredentialID = int64(i+1), i, int64(i+1)
					}
				}
				from := begin.Add(interval + time.Hour)
				tr.answer = func(o *one, at time.Time) (checker.Outcome, checker.Reason) {
					if !at.Before(from) && slices.Contains(c.refused, o.Provider) {
						return checker.Rejected, checker.BadSecret
					}
					return checker.OK, ""
				}
				tr.run(from.Add(2*interval + 15*time.Minute))
				incidents := tr.of(finding.ProviderIncident)
				switch {
				case name == "who is alone":
					if len(tr.told) != 1 || tr.told[0].kind != finding.Revoked {
						t.Errorf("%+v", tr.told)
					}
				case len(tr.told) != 1 || len(incidents) != 1 || !slices.Equal(tr.incident().Providers, c.providers):
					t.Errorf("%+v, of %v", tr.told, tr.incident().Providers)
				}
			})
		}
	}
}

func (tr *trial) incident() verdict.Incident {
	for _, e := range tr.open {
		if e.Kind == finding.ProviderIncident {
			return incidentOf(e)
		}
	}
	return verdict.Incident{}
}

// What is the provider's trouble, or ours, blames nobody; a provider that answers nobody is told in its time, and once.
func TestTrialsOfTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome checker.Outcome
		kinds   []finding.Kind
	}{
		"an outage":         {checker.ProviderError, []finding.Kind{finding.ProviderDown}},
		"nobody answers":    {checker.Unreachable, []finding.Kind{finding.ProviderDown}},
		"rate limits":       {checker.RateLimited, nil},
		"an interception":   {checker.Intercepted, nil},
		"a wrong endpoint":  {checker.Misconfigured, nil},
		"an empty document": {checker.Malformed, []finding.Kind{finding.ProviderDown}},
	} {
		for every, interval := range schedulesOfTrials {
			if interval > time.Hour {
				continue // nobody is asked
			}
			t.Run(name+" "+every, func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, 50, every, "p")
				from := begin.Add(interval + time.Hour)
				to := from.Add(3 * time.Hour)
				tr.answer = func(_ *one, at time.Time) (checker.Outcome, checker.Reason) {
					if !at.Before(from) && at.Before(to) {
						return c.outcome, ""
					}
					return checker.OK, ""
				}
				tr.run(to)
				var kinds []finding.Kind
				for _, m := range tr.told {
					kinds = append(kinds, m.kind)
				}
				if !slices.Equal(kinds, c.kinds) {
					t.Errorf("%+v", tr.told)
				}
				if len(kinds) > 0 {
					first := slices.MinFunc(tr.creds, func(a, b *one) int { return a.state.UncertainSince.Compare(b.state.UncertainSince) })
					if late := tr.told[0].at.Sub(first.state.UncertainSince); late < 10*time.Minute || late > 11*time.Minute {
						t.Errorf("told %s after the first", late)
					}
				}
				if tr.run(to.Add(interval)); len(tr.open) != 0 {
					t.Errorf("still open: %+v", tr.open)
				}
			})
		}
	}
}

// keyrounds was away when credentials were refused, and has everything to catch up with.
func TestTrialsOfARestart(t *testing.T) {
	t.Parallel()
	for every, interval := range schedulesOfTrials {
		for _, share := range []int{2, 20, 100} {
			t.Run(fmt.Sprintf("%s/%d", every, share), func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, 50, every, "p")
				from := begin.Add(interval + time.Hour)
				back := from.Add(2*interval + 20*time.Minute)
				tr.asleep = func(at time.Time) time.Time {
					if at.After(from.Add(-time.Minute)) && at.Before(back) {
						return back
					}
					return at
				}
				tr.answer = func(o *one, at time.Time) (checker.Outcome, checker.Reason) {
					if !at.Before(from) && o.i%(100/share) == 0 {
						return checker.Rejected, checker.Unspecified
					}
					return checker.OK, ""
				}
				tr.run(back.Add(2*interval + 5*time.Minute))
				want := finding.Revoked
				if share > 50 {
					want = finding.ProviderIncident
				}
				if len(tr.told) != 1 || tr.told[0].kind != want || tr.told[0].at.Sub(back) > 4*time.Minute+interval/50 {
					t.Errorf("%+v", tr.told)
				}
			})
		}
	}
}

// What works again turns green when it is looked at again: within 15 minutes where the provider locks nobody out, else at
// the look that was named; and at once when another one of the provider recovers.
func TestTrialsOfRecovery(t *testing.T) {
	t.Parallel()
	for _, lockout := range []string{"none", "unknown"} {
		for every, interval := range schedulesOfTrials {
			t.Run(lockout+" "+every, func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, 50, every, "p")
				l, _ := checker.ParseLockout(lockout)
				tr.providers["p"] = checker.Provider{Name: "p", Lockout: l}
				from := begin.Add(interval + time.Hour)
				to := from.Add(2*interval + 5*time.Hour)
				tr.answer = func(o *one, at time.Time) (checker.Outcome, checker.Reason) {
					if o.i == 7 && !at.Before(from) && at.Before(to) {
						return checker.Rejected, checker.Disabled
					}
					return checker.OK, ""
				}
				tr.run(to)
				bad := tr.creds[7]
				named := bad.due
				most := 6 * time.Hour
				if lockout == "none" {
					most = 15 * time.Minute
				}
				if bad.state.Status != verdict.Revoked || named.Sub(to) > most {
					t.Fatalf("%s, looked at again after %s", bad.state.Status, named.Sub(to))
				}
				if tr.run(named.Add(time.Second)); bad.state.Status != verdict.Healthy || len(tr.open) != 0 {
					t.Errorf("%s, %+v", bad.state.Status, tr.open)
				}
			})
		}
	}
}

// A secret that is rotated at the provider, and minutes later here; and one that changes to and fro, and then dies.
func TestTrialsOfChange(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, 50, "* * * * *", "p")
	from := begin.Add(2 * time.Hour)
	tr.answer = func(o *one, at time.Time) (checker.Outcome, checker.Reason) {
		switch {
		case o.i == 3 && !at.Before(from) && at.Before(from.Add(90*time.Second)): // the new secret is here by then
			return checker.Rejected, checker.BadSecret
		case o.i == 4 && !at.Before(from) && at.Before(from.Add(30*time.Minute)) && int(at.Sub(from)/(90*time.Second))%2 == 0:
			return checker.Rejected, checker.Unspecified
		case o.i == 4 && !at.Before(from.Add(30*time.Minute)):
			return checker.Rejected, checker.BadSecret
		}
		return checker.OK, ""
	}
	tr.run(from.Add(time.Hour))
	for _, m := range tr.told {
		if slices.Contains(m.who, "c03") && m.gone["c03"].IsZero() {
			t.Errorf("%+v", m)
		}
	}
	e, dead := tr.open["revoked credential/c04"]
	if !dead || e.At.Sub(from) > 42*time.Minute || len(tr.of(finding.Flapping)) != 1 {
		t.Errorf("what died after it flapped: %+v, told %+v", tr.open, tr.told)
	}
}

// A week of checks every minute, and a year of every 15 minutes, with the trouble that is usual: one true revocation
// pages, and nothing else does.
func TestTrialsOfALongTime(t *testing.T) {
	t.Parallel()
	for every, lasts := range map[string]time.Duration{"* * * * *": 7 * 24 * time.Hour, "*/15 * * * *": 365 * 24 * time.Hour} {
		t.Run(every, func(t *testing.T) {
			t.Parallel()
			lasting.Test(t, "it is a long time")
			if os.Getenv("KEYROUNDS_LONG") == "" {
				lasts /= 50
			}
			tr := newTrial(t, 50, every, "a", "b")
			from := begin.Add(lasts * 2 / 3)
			rnd := rand.New(rand.NewPCG(7, 7))
			tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
				hour := int(at.Sub(begin) / time.Hour)
				switch {
				case c.i == 31 && !at.Before(from):
					return checker.Rejected, checker.Unspecified
				case hour%97 < 2 && c.Provider == "a": // it limits us
					return checker.RateLimited, ""
				case hour%61 == 1 && at.Minute() < 8: // it is restarted
					return checker.ProviderError, ""
				case hour%43 == 7 && at.Minute() == c.i: // a node that does not know it yet
					return checker.Rejected, checker.UnknownClient
				case rnd.IntN(500) == 0:
					return checker.Unreachable, checker.TimedOut
				}
				return checker.OK, ""
			}
			tr.run(begin.Add(lasts))
			if len(tr.told) != 1 || tr.told[0].kind != finding.Revoked || !slices.Equal(tr.told[0].who, []string{"c31"}) {
				t.Errorf("%+v", tr.told)
			}
		})
	}
}

// At a provider that refuses some requests at random nothing is an incident, and who dies there is told all the same.
func TestTrialsOfNoise(t *testing.T) {
	t.Parallel()
	for every, share := range map[string]int{"* * * * *": 10, "*/15 * * * *": 25} {
		t.Run(every, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(9, uint64(share)))
			tr := newTrial(t, 50, every, "p")
			from := begin.Add(2 * time.Hour)
			tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
				if c.i == 7 && !at.Before(from) || !at.Before(from.Add(-time.Hour)) && rnd.IntN(100) < share {
					return checker.Rejected, checker.Unspecified
				}
				return checker.OK, ""
			}
			tr.run(from.Add(6 * time.Hour))
			var since []time.Time // a token in between begins the count anew
			for _, at := range tr.creds[7].refused {
				if !at.Before(from) {
					since = append(since, at)
				}
			}
			if n := mostInAnHour(since); n > 6 {
				t.Errorf("what is dead was refused %d times in an hour", n)
			}
			e, open := tr.open["revoked credential/c07"]
			if !open || e.At.Sub(from) > schedulesOfTrials[every]+11*time.Minute || len(tr.of(finding.ProviderIncident)) > 0 {
				t.Errorf("c07 %t at %s, incidents %+v", open, e.At, tr.of(finding.ProviderIncident))
			}
		})
	}
}

// Who is dead among those of an incident is told together, minutes after it ends.
func TestTrialsAfterAnIncident(t *testing.T) {
	t.Parallel()
	for lockout, lasts := range map[string]time.Duration{"none": 40 * time.Minute, "unknown": 14 * time.Hour} {
		tr := newTrial(t, 50, "* * * * *", "p")
		l, _ := checker.ParseLockout(lockout)
		tr.providers["p"] = checker.Provider{Name: "p", Lockout: l}
		from := begin.Add(time.Hour)
		to := from.Add(lasts)
		tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
			if !at.Before(from) && (at.Before(to) || c.i%5 == 0) {
				return checker.Rejected, checker.Unspecified
			}
			return checker.OK, ""
		}
		tr.run(to.Add(20 * time.Minute))
		pages := tr.of(finding.Revoked)
		if len(pages) != 1 || len(pages[0].who) != 10 || len(tr.of(finding.ProviderIncident)) != 1 {
			t.Errorf("%s: %+v", lasts, tr.told)
		}
	}
}

// A look that brings no answer is made up for.
func TestTrialsOfATimeout(t *testing.T) {
	t.Parallel()
	for every, interval := range schedulesOfTrials {
		tr := newTrial(t, 50, every, "p")
		from := begin.Add(interval + time.Hour)
		looks := 0
		tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
			if c.i != 7 || at.Before(from) {
				return checker.OK, ""
			}
			if looks++; looks == 2 {
				return checker.Unreachable, checker.TimedOut
			}
			return checker.Rejected, checker.Unspecified
		}
		tr.run(from.Add(2*interval + 20*time.Minute))
		if len(tr.told) != 1 || tr.told[0].at.Sub(tr.creds[7].refused[0]) > 10*time.Minute {
			t.Errorf("%s: %+v", every, tr.told)
		}
	}
}

// A small provider: who dies there, alone or with another one in the same second, is told as soon as elsewhere, also where
// a peer's secret cannot be read or a peer was refused before.
func TestTrialsOfASmallProvider(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 6; n++ {
		for dead := 1; dead <= 2; dead++ {
			for _, beside := range []string{"nothing", "unreadable", "refused before", "refused lately", "both"} {
				others := map[string]int{"nothing": 0, "both": 2}
				asked, known := others[beside]
				if !known {
					asked = 1
				}
				if n-dead-asked < 1 {
					continue // nobody is left who could clear the provider
				}
				t.Run(fmt.Sprintf("%d of %d, %s", dead, n, beside), func(t *testing.T) {
					t.Parallel()
					for seed := range 5 * runsOfTrials() {
						rnd := rand.New(rand.NewPCG(seed, uint64(n)))
						tr := newTrial(t, n, "* * * * *", "p")
						from := begin.Add(3*time.Hour + time.Duration(rnd.Int64N(int64(time.Hour))))
						before := from.Add(-2 * time.Hour)
						if beside == "refused lately" {
							before = from.Add(-time.Duration(rnd.Int64N(int64(4 * time.Minute))))
						}
						tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
							switch {
							case c.i < dead && !at.Before(from):
								return checker.Rejected, checker.Unspecified
							case c.i == n-1 && (beside == "unreadable" || beside == "both"):
								return checker.Misconfigured, checker.SecretUnreadable
							case c.i == n-asked && asked > 0 && beside != "unreadable" && !at.Before(before):
								return checker.Rejected, checker.Unspecified
							}
							return checker.OK, ""
						}
						tr.run(from.Add(20 * time.Minute))
						if incidents := tr.of(finding.ProviderIncident); len(incidents) > 0 && beside != "refused lately" {
							t.Fatalf("seed %d: %+v", seed, incidents)
						}
						for _, c := range tr.creds[:dead] {
							e, open := tr.open["revoked credential/"+c.Name]
							if _, incident := tr.open["provider_incident provider/p"]; incident && dead == 2 {
								continue // three in the same minutes
							}
							if took := e.At.Sub(from); !open || took > 4*time.Minute {
								t.Errorf("seed %d: %s is told %t, after %s", seed, c.Name, open, took)
							}
						}
					}
				})
			}
		}
	}
}

// An incident of a small provider that begins slowly blames nobody for long.
func TestTrialsOfASmallIncident(t *testing.T) {
	t.Parallel()
	for n := 3; n <= 6; n++ {
		for seed := range 20 * runsOfTrials() {
			rnd := rand.New(rand.NewPCG(seed, uint64(n)))
			tr := newTrial(t, n, "* * * * *", "p")
			from := make([]time.Time, n)
			for i := range from {
				from[i] = begin.Add(time.Hour + time.Duration(rnd.Int64N(int64(90*time.Second))))
			}
			tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
				if !at.Before(from[c.i]) {
					return checker.Rejected, checker.Unspecified
				}
				return checker.OK, ""
			}
			tr.run(begin.Add(time.Hour + 30*time.Minute))
			pages, incidents := tr.of(finding.Revoked), tr.of(finding.ProviderIncident)
			if len(incidents) != 1 || len(pages) > 0 || len(tr.incident().Affected) != n {
				t.Errorf("%d, seed %d: %+v", n, seed, tr.told)
			}
		}
	}
}

// Who is still refused when an incident ends is told minutes later, however often it was refused before, and whoever works
// again is looked at when another one is seen to.
func TestTrialsOfAnIncidentThatComesBack(t *testing.T) {
	t.Parallel()
	for every := range schedulesOfTrials {
		for _, lockout := range []string{"unknown", "none", "4", "3"} {
			for seed := range 4 * runsOfTrials() {
				t.Run(fmt.Sprintf("%s/%s/%d", every, lockout, seed), func(t *testing.T) {
					t.Parallel()
					rnd := rand.New(rand.NewPCG(seed, 12))
					tr := newTrial(t, 12, every, "p")
					l, _ := checker.ParseLockout(lockout)
					tr.providers["p"] = checker.Provider{Name: "p", Lockout: l}
					first := begin.Add(time.Hour + time.Duration(rnd.Int64N(int64(time.Hour))))
					then := first.Add(7*time.Minute + time.Duration(rnd.Int64N(int64(time.Minute))))
					ends := then.Add(2*time.Minute + time.Duration(rnd.Int64N(int64(40*time.Minute))))
					tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
						switch {
						case c.i < 2 && !at.Before(first), c.i < 10 && !at.Before(then) && at.Before(ends):
							return checker.Rejected, checker.Unspecified
						}
						return checker.OK, ""
					}
					due := func(i int, at time.Time) { tr.creds[i].due = at } // somebody looks at it
					tr.run(first)
					due(0, first)
					due(1, first)
					tr.run(then)
					for i := 2; i < 10; i++ {
						due(i, then.Add(time.Duration(i)*time.Second))
					}
					tr.run(ends)
					if tr.incident().Affected == nil {
						t.Fatalf("no incident: %+v", tr.told)
					}
					due(5, ends.Add(time.Second))      // by hand
					tr.run(ends.Add(45 * time.Second)) // half a minute after the last look at the soonest
					for _, c := range tr.creds[2:] {
						if (c.state.Status == verdict.Suspect || c.state.Status == verdict.Revoked) && l.PerHour() == 0 {
							t.Errorf("%s is %s, next %s after it works", c.Name, c.state.Status, c.due.Sub(ends))
						}
					}
					within := 5 * time.Minute
					if l.PerHour() > 0 {
						within = time.Hour + 5*time.Minute // it bears no more
					}
					tr.run(ends.Add(within))
					for _, c := range tr.creds[:2] {
						if e, open := tr.open["revoked credential/"+c.Name]; !open || e.At.Sub(ends) > within {
							t.Errorf("%s is %s, told %t, next %s after the end", c.Name, c.state.Status, open, c.due.Sub(ends))
						}
						if n := mostInAnHour(c.refused); l.PerHour() > 0 && n > l.PerHour() || n > 12 && !l.None() {
							t.Errorf("%s was refused %d times in an hour", c.Name, n)
						}
					}
					if _, open := tr.open["provider_incident provider/p"]; open || len(tr.open) != 2 {
						t.Errorf("still open: %+v", tr.open)
					}
				})
			}
		}
	}
}

// When one is accepted again the others are looked at at once, also those that are not in an incident.
func TestTrialsOfRecoveryTogether(t *testing.T) {
	t.Parallel()
	for n := 4; n <= 8; n++ {
		for seed := range 5 * runsOfTrials() {
			rnd := rand.New(rand.NewPCG(seed, uint64(n)))
			tr := newTrial(t, n, "* * * * *", "p")
			from := begin.Add(time.Hour)
			works := from.Add(5*time.Minute + time.Duration(rnd.Int64N(int64(5*time.Hour))))
			tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
				if c.i < 2 && !at.Before(from) && at.Before(works) {
					return checker.Rejected, checker.Unspecified
				}
				return checker.OK, ""
			}
			tr.run(works)
			if len(tr.open) != 2 {
				t.Fatalf("%+v", tr.open)
			}
			tr.creds[0].due = tr.creds[0].state.LastCheck.Add(time.Minute) // by hand
			if tr.creds[0].due.Before(works) {
				tr.creds[0].due = works
			}
			tr.run(tr.creds[0].due.Add(time.Minute))
			if len(tr.open) != 0 {
				t.Errorf("%d, seed %d: %+v, next %s after", n, seed, tr.open, tr.creds[1].due.Sub(works))
			}
		}
	}
}

// All of an incident work for half a minute, and some are refused again: whoever it is, they are told minutes after its end.
func TestTrialsOfABriefRecovery(t *testing.T) {
	t.Parallel()
	for _, early := range []int{0, 2} { // so many are refused minutes before the others
		for seed := range 10 * runsOfTrials() {
			t.Run(fmt.Sprintf("%d/%d", early, seed), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(seed, 13))
				tr := newTrial(t, 12, "* * * * *", "p")
				first := begin.Add(time.Hour + time.Duration(rnd.Int64N(int64(time.Hour))))
				then := first.Add(7 * time.Minute)
				works := then.Add(2*time.Minute + time.Duration(rnd.Int64N(int64(20*time.Minute))))
				again := works.Add(30 * time.Second)
				tr.answer = func(c *one, at time.Time) (checker.Outcome, checker.Reason) {
					switch {
					case !at.Before(works) && at.Before(again), at.Before(first), c.i >= 10, c.i >= early && at.Before(then):
						return checker.OK, ""
					case at.Before(works), c.i < 3:
						return checker.Rejected, checker.Unspecified
					}
					return checker.OK, ""
				}
				tr.run(works)
				tr.creds[7].due = works.Add(time.Second) // by hand
				if least := tr.creds[7].state.LastCheck.Add(10 * time.Second); least.After(tr.creds[7].due) {
					tr.creds[7].due = least
				}
				tr.run(again.Add(15 * time.Minute))
				ended := tr.last["p"].Ended
				if len(tr.of(finding.ProviderIncident)) != 1 || ended.IsZero() || ended.After(again) {
					t.Fatalf("%+v", tr.told)
				}
				for _, c := range tr.creds[:3] {
					if e, open := tr.open["revoked credential/"+c.Name]; !open || e.At.Sub(again) > 4*time.Minute {
						t.Errorf("%s is %s, told %t, %s after", c.Name, c.state.Status, open, e.At.Sub(again))
					}
				}
				if len(tr.open) != 3 {
					t.Errorf("%+v", tr.open)
				}
			})
		}
	}
}
