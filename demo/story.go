package demo

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/verdict"
)

// scene is one thing that the story does.
type scene struct {
	at    time.Duration // on the story's clock, which stands still while a scene waits
	after func() bool   // what it needs to have come first, so that a slow machine tells the same story; nil for nothing
	text  string
	do    func(*sim.Provider)
}

const (
	tick = 200 * time.Millisecond
	// patience is how long a scene waits for what it comes after. Somebody may have prevented that by the admin page.
	patience = time.Minute
)

// play lives the story until ctx ends.
func (t *teller) play(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	scenes := t.scenes()
	var clock, waited time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		t.watch(ctx)
		if len(t.was) < len(t.stage.clients) {
			continue
		}
		clock += tick
		for len(scenes) > 0 && clock >= scenes[0].at {
			if scenes[0].after != nil && !scenes[0].after() && waited < patience {
				clock, waited = clock-tick, waited+tick
				break
			}
			waited = 0
			t.line("36", "story", scenes[0].text)
			scenes[0].do(t.stage.provider)
			if scenes = scenes[1:]; len(scenes) == 0 {
				t.line("36", "story", "the rest is yours: use the admin page; Ctrl-C ends the demo")
			}
		}
	}
}

func (t *teller) scenes() []scene {
	ats, careers, canary := t.stage.id("ats-sync"), t.stage.id("careers-site"), t.stage.id("honeypot")
	lost := []string{"interview-bot", "job-ads", "onboarding"}
	scenes := []scene{
		{
			8 * time.Second, t.is("ats-sync", verdict.Healthy),
			"an administrator revokes the credential of ats-sync", func(p *sim.Provider) { p.Revoke(ats) },
		},
		{
			14 * time.Second, nil,
			"someone found the canary honeypot in the wiki, and tries it",
			func(*sim.Provider) { t.stage.gateway.use(canary, "192.0.2.66", "curl/8.5.0", "") },
		},
		{
			22 * time.Second, t.told("ats-sync (smartrecruiters) is refused"),
			"ann presses Acknowledge under the message about ats-sync, on Slack",
			func(*sim.Provider) { t.stage.press("ats-sync", "acknowledge") },
		},
		{
			23 * time.Second, nil,
			"bob decides to keep audit-export: the auditors use it at the end of each year",
			func(*sim.Provider) { t.keep("audit-export", "the auditors use it at the end of each year") },
		},
		{24 * time.Second, nil, "the month is over: the report of unused credentials is made", func(*sim.Provider) { t.report() }},
		{
			31 * time.Second, t.is("ats-sync", verdict.Revoked),
			"it was a mistake: ats-sync is restored", func(p *sim.Provider) { p.Restore(ats) },
		},
		{
			34 * time.Second, t.is("ats-sync", verdict.Healthy),
			"a deployment loses the secrets of three credentials: one message, not three",
			func(*sim.Provider) { t.stage.lose(true, lost...) },
		},
		{
			36 * time.Second, t.is("careers-site", verdict.Healthy),
			"careers-site loses the scope jobs_read", func(p *sim.Provider) { p.Cut(careers, "jobs_read") },
		},
		{
			42 * time.Second, t.told("credentials of smartrecruiters have secrets that cannot be read"),
			"the secrets are back", func(*sim.Provider) { t.stage.lose(false, lost...) },
		},
		{
			46 * time.Second, t.is("careers-site", verdict.Degraded),
			"careers-site gets it back", func(p *sim.Provider) { p.Restore(careers) },
		},
		{
			54 * time.Second, t.is("careers-site", verdict.Healthy),
			"the provider is down (HTTP 503): no credential must be blamed", func(p *sim.Provider) { p.Break(sim.Down) },
		},
		{62 * time.Second, nil, "the provider is up again", func(p *sim.Provider) { p.Break(sim.NoFault) }},
		{
			66 * time.Second, nil,
			"the provider goes mad and refuses everybody: one incident, not a page each",
			func(p *sim.Provider) { p.Break(sim.Refuse) },
		},
		{78 * time.Second, nil, "it comes to its senses", func(p *sim.Provider) { p.Break(sim.NoFault) }},
	}
	scenes = append(scenes, t.leakScenes()...)
	slices.SortStableFunc(scenes, func(a, b scene) int { return cmp.Compare(a.at, b.at) })
	return scenes
}

// is awaits a status of a credential.
func (t *teller) is(name string, s verdict.Status) func() bool {
	return func() bool { return t.was[name] == s }
}

// told awaits a text that contains what.
func (t *teller) told(what string) func() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard[what] = false
	return func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.heard[what]
	}
}
