package config

import (
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// assumedLatency is what a check is taken to last where nothing is measured: a token endpoint across a continent.
const assumedLatency = 200 * time.Millisecond

// load warns where schedules ask more of a provider than its rate, its concurrency or its budget allows.
func (b *builder) load(name string, p checker.Provider, c *Config) {
	perMonth := MonthlyRequests(p, c.Credentials)
	if p.Budget > 0 && perMonth > float64(p.Budget) {
		b.warn(
			"providers."+name+".budget",
			"longer schedules, or a larger budget",
			"the schedules add up to %.0f token requests a month, more than the budget of %d: what is beyond waits",
			perMonth,
			p.Budget,
		)
	}
	b.effects(name, p, perMonth)
	b.capacity(name, p, perMonth/month.Seconds())
}

// capacity warns where the checks will fall behind, or would where the provider takes assumedLatency.
func (b *builder) capacity(name string, p checker.Provider, perSecond float64) {
	c := checker.Capacity{Provider: p, Latency: assumedLatency}
	if remedy := c.Remedy(perSecond); remedy != "" {
		b.warn(
			"providers."+name,
			remedy,
			"the schedules add up to %s checks a second, and %s are possible if a check takes as long as is assumed: %s",
			checker.Rounded(perSecond),
			checker.Rounded(c.PerSecond()),
			c.Limits(),
		)
	}
}

const month = 730 * time.Hour

// effects warns of what is known to cost money, or to take from a quota, at p's kind of provider.
func (b *builder) effects(name string, p checker.Provider, perMonth float64) {
	preset, err := checker.FindPreset(p.Preset)
	if err != nil || perMonth == 0 || p.Budget > 0 && p.Budget <= preset.Check.Quota {
		return
	}
	effect := preset.Check
	if effect.Quota > 0 && perMonth > float64(effect.Quota) {
		b.warn("providers."+name, "budget, min_interval or longer schedules; source: "+effect.Source,
			"the schedules add up to %.0f token requests a month; %s, of which small plans include %d", perMonth, effect.Cost, effect.Quota)
	}
	if effect.PerThousand > 0 {
		b.warn(
			"providers."+name,
			"budget, min_interval or longer schedules; source: "+effect.Source,
			"the schedules add up to %.0f token requests a month, which cost about $%.2f: %s",
			perMonth,
			perMonth/1000*effect.PerThousand,
			effect.Cost,
		)
	}
	if effect.Evicts != "" {
		b.warn(
			"providers."+name,
			"passive: true, or longer schedules; source: "+effect.Source,
			"every check takes a token: %s",
			effect.Evicts,
		)
	}
}

// MonthlyRequests is how many token requests a month of 730 hours the schedules of p's credentials add up to, with
// its min_interval, without confirmations; 0 where p is passive. cs may have credentials of other providers, which do
// not count.
func MonthlyRequests(p checker.Provider, cs []credential.Credential) float64 {
	sum := 0.0
	if p.Passive {
		return 0
	}
	every := map[string]time.Duration{} // few schedules, many credentials
	for _, c := range cs {
		if c.Provider != p.Name {
			continue
		}
		d, known := every[c.Schedule]
		if !known {
			if s, err := credential.ParseSchedule(c.Schedule, time.UTC); err == nil {
				d = s.Interval()
			}
			every[c.Schedule] = d
		}
		if d > 0 {
			sum += month.Seconds() / max(d, p.MinInterval).Seconds()
		}
	}
	return sum
}
