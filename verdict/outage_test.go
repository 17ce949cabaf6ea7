package verdict_test

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// A provider that is down is one finding with the list, whatever the batches, and every status stays
// (docs/promises.md#a-provider-that-is-down-is-one-finding).
func TestAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	f := newFleet(500)
	opened := 0
	for at := time.Duration(0); at <= 7*time.Hour; at += 15 * time.Minute {
		for from := int64(0); from < 500; from += 200 {
			var batch []checker.Result
			for id := from; id < min(from+200, 500); id++ {
				batch = append(batch, result(id, at, checker.ProviderError, ""))
			}
			wasOpen := f.f.Down
			f.see(batch...)
			for _, e := range f.events {
				if e.Subject.Credential != "" {
					t.Fatalf("after %s a finding of one credential: %+v", at, e)
				}
			}
			if f.f.Outage {
				t.Fatal("it is told twice")
			}
			if f.f.Down && !wasOpen {
				opened++
				if at < 10*time.Minute || at > 15*time.Minute || len(f.events[0].Evidence.Affected) != 500 {
					t.Errorf("opened after %s with %d", at, len(f.events[0].Evidence.Affected))
				}
			}
		}
	}
	if opened != 1 {
		t.Errorf("%d findings, want 1", opened)
	}
	for id, s := range f.states {
		if s.Status != verdict.Healthy {
			t.Fatalf("c%d is %s", id, s.Status)
		}
	}
	for id := range int64(300) {
		f.see(result(id, 8*time.Hour, checker.OK, ""))
	}
	if f.f.Down {
		t.Error("it answers most again, and the finding is still open")
	}
}

// A provider that limits how often it is asked does answer: one timeout after hours of that is no provider that is down, ten minutes
// of them are.
func TestAProviderThatLimitsIsNotDown(t *testing.T) {
	t.Parallel()
	f := newFleet(4)
	all := func(at time.Duration, o checker.Outcome) {
		var rs []checker.Result
		for id := range int64(4) {
			rs = append(rs, result(id, at, o, ""))
		}
		f.see(rs...)
	}
	at := time.Duration(0)
	for ; at < 3*time.Hour; at += 15 * time.Minute {
		all(at, checker.RateLimited)
	}
	for _, o := range []checker.Outcome{checker.Unreachable, checker.RateLimited, checker.Unreachable} {
		if all(at, o); f.f.Down {
			t.Fatalf("down at once, by %s", o)
		}
		at += 5 * time.Minute
	}
	if all(at+6*time.Minute, checker.ProviderError); !f.f.Down {
		t.Error("not down after ten minutes of trouble")
	}
}

// Where no provider can be reached it is us, which is one finding, and soon
// (docs/promises.md#our-own-network-is-told-from-a-provider).
func TestOurOwnNetwork(t *testing.T) {
	t.Parallel()
	f := newFleet(2)
	f.f.ElsewhereSilent = true
	for _, at := range []time.Duration{0, 5 * time.Minute} {
		f.see(result(0, at, checker.Unreachable, checker.ConnectFailed), result(1, at, checker.Unreachable, checker.DNSFailed))
		if len(f.events) != 0 {
			t.Errorf("after %s: %+v", at, f.events)
		}
	}
	f.see(
		result(0, 7*time.Hour, checker.Unreachable, checker.ConnectFailed),
		result(1, 7*time.Hour, checker.Unreachable, checker.DNSFailed),
	)
	if len(f.events) != 1 || f.events[0].Subject != (finding.Subject{}) || f.events[0].Kind != finding.Unverifiable {
		t.Errorf("%+v", f.events)
	}
	if s := f.states[0].Status; s != verdict.Healthy {
		t.Errorf("its status is %s", s)
	}
	f.f.ElsewhereSilent = false
	back := result(0, 8*time.Hour, checker.ProviderError, "")
	back.HTTPStatus = 503
	f.see(back)
	if f.f.Blind {
		t.Error("a provider answers, and the finding is still open")
	}
}

func TestScopeExcess(t *testing.T) {
	t.Parallel()
	f := newFleet(1)
	more := func(at time.Duration, extra ...string) checker.Result {
		r := result(0, at, checker.OK, "")
		r.Granted, r.Extra = append([]string{"a"}, extra...), extra
		return r
	}
	for i, c := range []struct {
		extra        []string
		opens, ended bool
	}{
		{[]string{"b"}, false, false},
		{[]string{"b"}, true, false},
		{[]string{"b", "c"}, false, false},
		{[]string{"b", "c"}, true, false},
		{nil, false, true},
		{nil, false, false},
	} {
		f.see(more(time.Duration(i)*time.Hour, c.extra...))
		ended := len(f.events) == 1 && f.events[0].Op == finding.OpResolve && f.events[0].Kind == finding.ScopeExcess
		if f.opened(finding.ScopeExcess) == 1 != c.opens || ended != c.ended {
			t.Errorf("step %d: %+v", i+1, f.events)
		}
	}
}

func TestShrinkingLifetime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	f := newFleet(1)
	n := byte(0)
	see := func(at, life time.Duration, same bool) {
		r := result(0, at, checker.OK, "")
		if !same {
			n++
		}
		r.ExpiresIn, r.Trail.TokenHash = life, []byte{n, 1, 2, 3, 4, 5, 6, 7}
		f.see(r)
	}
	see(0, time.Hour, false)
	see(time.Hour/2, 20*time.Minute, true) // the same token, older
	see(time.Hour, time.Hour, false)
	see(2*time.Hour, 10*time.Minute, false)
	if len(f.events) != 0 {
		t.Errorf("at the first one: %+v", f.events)
	}
	see(3*time.Hour, 10*time.Minute, false)
	if f.opened(finding.LifetimeShrunk) != 1 || f.events[0].Evidence.UsualLife != time.Hour {
		t.Errorf("%+v", f.events)
	}
	see(4*time.Hour, 50*time.Minute, false)
	if len(f.events) != 1 || f.events[0].Op != finding.OpResolve {
		t.Errorf("%+v", f.events)
	}
	see(5*time.Hour, 10*time.Minute, false)
	see(6*time.Hour, 10*time.Minute, false)
	see(8*day, 10*time.Minute, false) // a week: the new usual
	if len(f.events) != 1 || f.events[0].Op != finding.OpResolve {
		t.Errorf("%+v", f.events)
	}
	see(8*day+time.Hour, 10*time.Minute, false)
	if len(f.events) != 0 {
		t.Errorf("%+v", f.events)
	}
}

// A certain reason after a change of our own settings needs every confirmation.
func TestOurOwnSettingsChanged(t *testing.T) {
	t.Parallel()
	f := newFleet(1)
	ok := result(0, 0, checker.OK, "")
	ok.Setup = "before"
	f.see(ok)
	for i, want := range []verdict.Status{verdict.Suspect, verdict.Suspect, verdict.Revoked} {
		r := result(
			0,
			[]time.Duration{time.Hour, time.Hour + 2*time.Minute, time.Hour + 10*time.Minute}[i],
			checker.Rejected,
			checker.BadSecret,
		)
		r.Setup = "after"
		f.see(r)
		if got := f.states[0].Status; got != want {
			t.Errorf("refusal %d: %s, want %s", i+1, got, want)
		}
	}
	if e := f.events[0].Evidence; !e.SetupChanged {
		t.Errorf("%+v", e)
	}
}

// The same results come to the same verdict again.
func TestReplay(t *testing.T) {
	t.Parallel()
	before := newFleet(3).states
	var rs []checker.Result
	for at, o := range []checker.Outcome{checker.OK, checker.Rejected, checker.ProviderError, checker.Rejected, checker.Rejected} {
		r := result(1, time.Duration(at)*5*time.Minute, o, "")
		if o == checker.Rejected {
			r.Reason = checker.Unspecified
		}
		rs = append(rs, r, result(2, r.At.Sub(start)+time.Second, checker.OK, ""))
	}
	steps := verdict.Replay(before, rs, verdict.DefaultPolicy(), nil)
	last := steps[len(steps)-2]
	if last.State.Status != verdict.Revoked || len(last.Events) != 1 || last.Events[0].Kind != finding.Revoked ||
		last.Events[0].Evidence.PeersHealthy != 2 {
		t.Errorf("%+v", last)
	}
	for _, s := range steps[:len(steps)-2] {
		for _, e := range s.Events {
			if e.Op == finding.OpOpen {
				t.Errorf("%+v", s)
			}
		}
	}
}
