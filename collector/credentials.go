package collector

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/verdict"
)

var (
	credentials = gauge(
		"keyrounds_credentials",
		"Credentials by provider and status; all of them, whichever have series of their own.",
		"provider",
		"status",
	)
	credentialStatus = gauge(
		"keyrounds_credential_status",
		"1 for the status that holds of a credential, 0 for the others; "+
			"with credential _overflow, how many of those beyond metrics.limit have it.",
		"credential",
		"provider",
		"status",
	)
	credentialChanged = gauge(
		"keyrounds_credential_status_since_timestamp_seconds",
		"When a credential's status began.",
		"credential",
		"provider",
	)
	credentialChecked = gauge(
		"keyrounds_credential_last_check_timestamp_seconds",
		"When a credential was last checked.",
		"credential",
		"provider",
	)
	credentialSuccess = gauge(
		"keyrounds_credential_last_success_timestamp_seconds",
		"When a credential last got a token.",
		"credential",
		"provider",
	)
	credentialUsed = gauge(
		"keyrounds_credential_last_used_timestamp_seconds",
		"When others than keyrounds last used a credential, as its feeds show.",
		"credential",
		"provider",
	)
	credentialLatency = gauge(
		"keyrounds_credential_last_check_duration_seconds",
		"How long the exchange of a credential's last check took.",
		"credential",
		"provider",
	)
	credentialInterval = gauge(
		"keyrounds_credential_check_interval_seconds",
		"The longest time between two checks that a credential's schedule and its provider's limits allow.",
		"credential",
		"provider",
	)
	credentialLifetime = gauge(
		"keyrounds_credential_token_lifetime_seconds",
		"The expires_in of a credential's last token (RFC 6749 section 5.1).",
		"credential",
		"provider",
	)
	credentialScopes = gauge(
		"keyrounds_credential_scopes",
		"How many scopes a credential has: declared, missing (declared and not granted), excess (granted and not declared), "+
			"unproven (declared, and its last token did not show them).",
		"credential",
		"provider",
		"scopes",
	)
	credentialExpires = gauge(
		"keyrounds_credential_expiry_timestamp_seconds",
		"When a credential ends by itself, as expires, its certificate, its key or the provider says; the earliest of them.",
		"credential",
		"provider",
	)

	credentialFamilies = []family{
		credentials,
		credentialStatus,
		credentialChanged,
		credentialChecked,
		credentialSuccess,
		credentialUsed,
		credentialLatency,
		credentialInterval,
		credentialLifetime,
		credentialScopes,
		credentialExpires,
	}
)

func (c *collector) credentials(ctx context.Context, s scrape) error {
	counts, err := c.Audit.StatusCounts(ctx)
	if err != nil {
		return err
	}
	putCounts(counts, func(provider string, status verdict.Status, n int) {
		s.put(credentials, float64(n), provider, string(status))
	})
	if !c.Series.PerCredential {
		return nil
	}
	shown, left, err := c.choose(ctx, counts)
	if err != nil {
		return err
	}
	ids := make([]int64, len(shown))
	for i, b := range shown {
		ids[i] = b.CredentialID
	}
	tags, err := c.Registry.Tags(ctx, ids)
	if err != nil {
		return err
	}
	used, err := c.Usage.LastUses(ctx, ids)
	if err != nil {
		return err
	}
	for _, b := range shown {
		c.credential(s, b, tags[b.CredentialID], used[b.CredentialID])
	}
	putCounts(left, func(provider string, status verdict.Status, n int) {
		s.put(credentialStatus, float64(n), rounds.Overflow, provider, string(status))
	})
	return nil
}

// choose returns those that get series, and counts those that fit and are beyond the limit. Whoever is not healthy
// comes first, so that the limit hides no trouble.
func (c *collector) choose(
	ctx context.Context,
	counts map[string]map[verdict.Status]int,
) (shown []audit.Brief, left map[string]map[verdict.Status]int, err error) {
	var fit []int64
	most, left := c.Series.Limit, counts
	matching := len(c.Series.Match) > 0
	if matching { // how many there are of each status is not known before all are read
		most, left = 0, map[string]map[verdict.Status]int{}
		if fit, err = c.Registry.WithLabels(ctx, c.Series.Match); err != nil || len(fit) == 0 {
			return nil, nil, err
		}
	}
	all, err := c.Audit.Briefs(ctx, fit, most)
	if err != nil {
		return nil, nil, err
	}
	shown = all[:min(len(all), c.Series.Limit)]
	if matching {
		for _, b := range all {
			count(left, b, 1)
		}
	}
	for _, b := range shown {
		count(left, b, -1)
	}
	for provider, n := range left {
		if !slices.ContainsFunc(statuses, func(s verdict.Status) bool { return n[s] > 0 }) {
			delete(left, provider)
		}
	}
	return shown, left, nil
}

func (c *collector) credential(s scrape, b audit.Brief, t registry.Tag, used time.Time) {
	name, provider := b.Credential, b.Provider
	for _, status := range statuses {
		v := 0.0
		if status == b.Status {
			v = 1
		}
		s.put(credentialStatus, v, name, provider, string(status))
	}
	values := []string{name, provider, t.Owner, strconv.FormatBool(t.Canary)}
	for _, l := range c.Series.Labels {
		values = append(values, t.Labels[l])
	}
	s.put(c.info, 1, values...)
	s.at(credentialChanged, b.Since, name, provider)
	s.at(credentialChecked, b.LastCheck, name, provider)
	s.at(credentialSuccess, b.LastSuccess, name, provider)
	s.at(credentialUsed, used, name, provider)
	if !b.LastCheck.IsZero() {
		s.put(credentialLatency, b.Latency.Seconds(), name, provider)
	}
	if d := c.Longest(provider, t.Interval); d > 0 {
		s.put(credentialInterval, d.Seconds(), name, provider)
	}
	if b.ExpiresIn > 0 {
		s.put(credentialLifetime, b.ExpiresIn.Seconds(), name, provider)
	}
	s.put(credentialScopes, float64(t.Scopes), name, provider, "declared")
	s.put(credentialScopes, float64(b.Missing), name, provider, "missing")
	s.put(credentialScopes, float64(b.Excess), name, provider, "excess")
	s.put(credentialScopes, float64(b.Unproven), name, provider, "unproven")
	s.at(credentialExpires, (credential.Credential{Expires: t.Expires}).End(b.Ends).At, name, provider)
}

// statuses that a credential with series can have.
var statuses = slices.DeleteFunc(verdict.Statuses(), func(s verdict.Status) bool { return s == verdict.Retired })

func (s Series) fits(labels map[string]string) bool {
	for k, v := range s.Match {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func count(counts map[string]map[verdict.Status]int, b audit.Brief, n int) {
	if counts[b.Provider] == nil {
		counts[b.Provider] = map[verdict.Status]int{}
	}
	counts[b.Provider][b.Status] += n
}

// putCounts puts each provider's count of every status, 0 among them.
func putCounts(counts map[string]map[verdict.Status]int, put func(string, verdict.Status, int)) {
	for _, provider := range slices.Sorted(maps.Keys(counts)) {
		for _, status := range statuses {
			put(provider, status, counts[provider][status])
		}
	}
}

func prefixed(labels []string) []string {
	all := make([]string, len(labels))
	for i, l := range labels {
		all[i] = "label_" + l
	}
	return all
}
