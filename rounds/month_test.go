package rounds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/verdict"
)

// A month of fifty credentials at three providers, in simulated time: real requests to the simulator
// over pipes, the real checker, verdicts and schedules. Providers fail in every way that they know,
// secrets are rotated, one credential is refused once by mistake, and one is really revoked: exactly
// that one pages, within its schedule and confirmations.
func TestAMonth(t *testing.T) {
	lasting.Test(t, "a month has many rounds")
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begin := time.Now()
		day := func(d, h float64) time.Time { return begin.Add(time.Duration((d*24 + h) * float64(time.Hour))) }
		all := slices.Sorted(maps.Keys(w.idps))
		faults := []sim.Fault{
			sim.Down, sim.RateLimit, sim.Firewall, sim.Captive, sim.EmptyObject, sim.Redirect, sim.Huge, sim.Hang, sim.Drop,
		}
		for i, f := range faults {
			w.fault(day(float64(1+3*i), 7), 5*time.Hour, f, all[i%3])
		}
		w.fault(day(28, 2), 20*time.Minute, sim.Drop, all...) // our own network
		for i := range 8 {                                    // a secret is rotated there, and some minutes later here
			name := fmt.Sprintf("c%02d", 5*i)
			w.plan(day(float64(2+3*i), 11.5), func() { w.idp(name).SetSecret(name, "rotated-"+name) })
			w.plan(day(float64(2+3*i), 11.6), func() { w.rotate(name, "rotated-"+name) })
		}
		refused := w.creds[23]
		w.plan(w.next(refused, day(12, 4)).Add(-time.Second), func() { w.idp(refused.Name).BreakFor(refused.Subject, sim.Refuse) })
		w.plan(w.next(refused, day(12, 4)).Add(time.Minute), func() { w.idp(refused.Name).BreakFor(refused.Subject, sim.NoFault) })
		revoked := day(17, 10.3)
		w.plan(revoked, func() { w.idp("c31").Revoke("c31") })

		w.run(day(30, 0))

		// That a provider answers nobody for hours is told, and blames no credential.
		w.pages = slices.DeleteFunc(w.pages, func(e finding.Event) bool { return e.Kind == finding.ProviderDown })
		if len(w.pages) != 1 || w.pages[0].Kind != finding.Revoked || w.pages[0].Subject.Credential != "c31" {
			t.Fatalf("pages: %+v", w.pages)
		}
		late := w.pages[0].At.Sub(revoked)
		if most := interval + 10*time.Minute + time.Minute; late > most {
			t.Errorf("the revocation paged after %s, want at most %s", late, most)
		}
		for name, s := range w.states {
			if want := verdict.Healthy; s.Status != want && name != "c31" {
				t.Errorf("%s ends %s", name, s.Status)
			}
		}
		t.Logf("%d exchanges; the revocation paged after %s", w.exchanges, late)
	})
}

// A provider that is down for three days is one finding, and all is well again by itself.
func TestAnOutageOfDays(t *testing.T) {
	lasting.Test(t, "days have many rounds")
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begin := time.Now()
		w.fault(begin.Add(24*time.Hour), 72*time.Hour, sim.Down, "alpha")
		w.run(begin.Add(5 * 24 * time.Hour))
		if len(w.pages) != 1 || w.pages[0].Kind != finding.ProviderDown || w.pages[0].Subject.Key() != "provider/alpha" ||
			len(w.open) != 0 {
			t.Errorf("pages %+v; still open: %v", w.pages, w.open)
		}
		for name, s := range w.states {
			if s.Status != verdict.Healthy || !s.UncertainSince.IsZero() {
				t.Errorf("%s ends %s, uncertain since %s", name, s.Status, s.UncertainSince)
			}
		}
	})
}

const interval = 2 * time.Hour

// world is what the daemon keeps in Postgres, in memory.
type world struct {
	t         *testing.T
	idps      map[string]*sim.Provider
	providers map[string]checker.Provider
	creds     []credential.Credential
	checker   *checker.Checker
	schedule  credential.Schedule
	events    []event

	secrets   map[string]string
	states    map[string]verdict.State
	due       map[string]time.Time
	paused    map[string]time.Time
	open      map[string]finding.Event
	pages     []finding.Event // what was opened and is not merely informative
	exchanges int
}

type event struct {
	at time.Time
	do func()
}

func newWorld(t *testing.T) *world {
	schedule, err := credential.ParseSchedule("0 */2 * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t:         t,
		idps:      map[string]*sim.Provider{},
		providers: map[string]checker.Provider{},
		schedule:  schedule,
		secrets:   map[string]string{},
		states:    map[string]verdict.State{},
		due:       map[string]time.Time{},
		paused:    map[string]time.Time{},
		open:      map[string]finding.Event{},
	}
	clients := map[string][]sim.Client{}
	for i := range 50 {
		name, provider := fmt.Sprintf("c%02d", i), []string{"alpha", "beta", "gamma"}[i%3]
		w.creds = append(
			w.creds,
			credential.Credential{ID: int64(i + 1), Name: name, Provider: provider, Subject: name, Schedule: "0 */2 * * *"},
		)
		clients[provider] = append(clients[provider], sim.Client{ID: name, Secret: "secret-of-" + name})
		w.secrets[name] = "secret-of-" + name
		w.states[name] = verdict.State{
			CredentialID: int64(i + 1),
			Credential:   name,
			Provider:     provider,
			Status:       verdict.Pending,
			Since:        time.Now(),
			Changed:      time.Now(),
		}
		w.due[name] = schedule.NextCheck(name, time.Now())
	}
	lines := map[string]*pipes{}
	for name, cs := range clients {
		w.idps[name] = sim.NewProvider(cs...)
		line, server := newPipes(), &http.Server{Handler: w.idps[name]}
		lines[name+".example:80"] = line
		go func() { _ = server.Serve(line) }()
		t.Cleanup(func() { _ = server.Close() })
		p, err := checker.Provider{
			Name:                 name,
			TokenURL:             "http://" + name + ".example/identity/oauth/token",
			AllowPrivateNetworks: true,
			Rate:                 100,
		}.Complete()
		if err != nil {
			t.Fatal(err)
		}
		w.providers[name] = p
	}
	w.checker = checker.New(
		checker.Options{Dial: func(ctx context.Context, _, address string) (net.Conn, error) { return lines[address].dial(ctx) }},
	)
	return w
}

func (w *world) idp(name string) *sim.Provider {
	return w.idps[w.creds[slices.IndexFunc(w.creds, func(c credential.Credential) bool { return c.Name == name })].Provider]
}

func (w *world) plan(at time.Time, do func()) { w.events = append(w.events, event{at, do}) }

// fault makes providers misbehave for a time.
func (w *world) fault(from time.Time, lasts time.Duration, f sim.Fault, providers ...string) {
	for at, f := range map[time.Time]sim.Fault{from: f, from.Add(lasts): sim.NoFault} {
		w.plan(at, func() {
			for _, p := range providers {
				w.idps[p].Break(f)
			}
		})
	}
}

func (w *world) next(c credential.Credential, after time.Time) time.Time {
	return w.schedule.NextCheck(c.Name, after)
}

func (w *world) rotate(name, value string) {
	w.secrets[name] = value
	s := w.states[name]
	w.states[name] = verdict.State{
		CredentialID: s.CredentialID,
		Credential:   name,
		Provider:     s.Provider,
		Status:       verdict.Pending,
		Since:        time.Now(),
		Changed:      time.Now(),
		LastSuccess:  s.LastSuccess,
	}
	w.due[name] = time.Now()
}

// run lets time pass: what is planned happens, what is due is checked, provider by provider.
func (w *world) run(until time.Time) {
	slices.SortStableFunc(w.events, func(a, b event) int { return a.at.Compare(b.at) })
	for {
		at := until
		for _, d := range w.due {
			if d.Before(at) {
				at = d
			}
		}
		if len(w.events) > 0 && !w.events[0].at.After(at) {
			e := w.events[0]
			w.events = w.events[1:]
			time.Sleep(time.Until(e.at))
			e.do()
			continue
		}
		time.Sleep(time.Until(at))
		if !at.Before(until) {
			return
		}
		batches := map[string][]credential.Credential{}
		for _, c := range w.creds {
			if d := w.due[c.Name]; !d.After(time.Now().Add(5 * time.Second)) {
				if pause := w.paused[c.Provider]; pause.After(time.Now()) {
					w.due[c.Name] = pause
					continue
				}
				batches[c.Provider] = append(batches[c.Provider], c)
			}
		}
		for _, provider := range slices.Sorted(maps.Keys(batches)) {
			w.batch(provider, batches[provider])
		}
	}
}

func (w *world) batch(provider string, cs []credential.Credential) {
	var targets []checker.Target
	for _, c := range cs {
		targets = append(
			targets,
			checker.Target{
				Credential: c,
				Secret:     func(context.Context) (secret.Value, error) { return secret.New([]byte(w.secrets[c.Name])), nil },
			},
		)
	}
	results := w.checker.CheckAll(w.t.Context(), nil, w.providers[provider], targets)
	w.exchanges += len(results)
	next, events := verdict.Judge(w.fleet(provider, results), results, verdict.DefaultPolicy())
	for i, s := range next {
		w.states[s.Credential] = s
		cred := credential.Credential{Name: s.Credential, Schedule: "0 */2 * * *"}
		w.due[s.Credential], _ = Decide(cred, checker.Provider{}, s, Load{}, credential.NewSchedules(time.UTC), time.Now())
		if results[i].RetryAfter > 0 {
			w.paused[provider] = time.Now().Add(results[i].RetryAfter)
		}
	}
	for _, e := range events {
		key := string(e.Kind) + " " + e.Subject.Key()
		_, isOpen := w.open[key]
		switch {
		case e.Op == finding.OpResolve:
			delete(w.open, key)
		case !isOpen:
			w.open[key] = e
			if e.Kind.Severity() != finding.Info {
				w.pages = append(w.pages, e)
			}
		}
	}
}

func (w *world) fleet(provider string, rs []checker.Result) verdict.Fleet {
	f := verdict.Fleet{Provider: provider, States: map[int64]verdict.State{}}
	in := map[string]bool{}
	for _, r := range rs {
		in[r.Credential] = true
		f.States[r.CredentialID] = w.states[r.Credential]
	}
	for _, c := range w.creds {
		if s := w.states[c.Name]; c.Provider == provider && !in[c.Name] {
			f.Others = append(f.Others, otherOf(s))
		}
	}
	if e, isOpen := w.open[string(finding.ProviderIncident)+" provider/"+provider]; isOpen {
		f.Incident = incidentOf(e)
	}
	_, f.Outage = w.open[string(finding.Unverifiable)+" provider/"+provider]
	_, f.Down = w.open[string(finding.ProviderDown)+" provider/"+provider]
	return f
}

func otherOf(s verdict.State) verdict.Other {
	return verdict.Other{
		CredentialID: s.CredentialID, Credential: s.Credential, Provider: s.Provider, Status: s.Status, SuspectSince: s.SuspectSince,
		LastCheck: s.LastCheck, LastCertain: s.LastCertain, EverHealthy: !s.NeverHealthy(), UncertainSince: s.UncertainSince,
		TroubleSince: s.TroubleSince,
		SecretLost:   s.SecretLost, Flapping: s.Flapping, Proven: s.Proven, Cleared: s.Cleared, Refusals: s.Refusals,
	}
}

func incidentOf(e finding.Event) verdict.Incident {
	return verdict.Incident{
		Provider: e.Subject.Provider, Providers: e.Evidence.Providers, Opened: e.At, First: e.Evidence.Since, Affected: e.Evidence.Affected,
	}
}

// pipes is a network of one listener.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	if p == nil {
		return nil, errors.New("no such host")
	}
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
