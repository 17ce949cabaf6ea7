package usage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// Rules of what a use by others means, beside that it is a use:
//
//  1. Of a canary: it is tripped, whether or not the use succeeded.
//  2. Of a credential that is revoked: from a network that used it before it is a forgotten job, and told
//     after a day, since the job that broke is told of already; from another one at once. Where each was refused it is
//     information, also after the death of a former secret was proven: what ended holds. One that is
//     retired is not watched any more: it left the registry, which says nothing of the provider.
//  3. From outside of expected_networks, or, where the last 30 days are a stable history, from a network
//     that is not in it: unexpected, also where history and news come in one file. What was refused is not: client ids are no secrets.
//  4. Old records, as imports bring them, open nothing but what concerns canaries.

const (
	maxAlarmAge          = 7 * 24 * time.Hour  // an older use opens nothing, but of a canary
	oldJobGrace          = 24 * time.Hour      // after a revocation, for networks that used it before
	historyDays          = 30                  // that a history looks back
	stableDays           = 10                  // of use in those, at least, make a history stable
	stableNets           = 3                   // networks in those, at most
	quietAfterRevocation = 7 * 24 * time.Hour  // without use: a use after revocation ends
	quietAfterUnexpected = 30 * 24 * time.Hour // without such a use: an unexpected use ends
)

// Held is what the verdict holds of a credential.
type Held struct {
	Revoked     bool
	Since       time.Time      // since when it has its status
	Ends        credential.End // as was seen
	LastSuccess time.Time
	Died        time.Time // when the last of its former secrets was proven dead; zero: none was
}

// Alarms are the findings that a batch of uses opens at once, and the ends of those that a use ends. It is
// called after Ingest, in the same transaction.
func (s *Store) Alarms(ctx context.Context, tx pgx.Tx, n Ingested, held map[int64]Held, now time.Time) ([]finding.Event, error) {
	past, err := s.past(ctx, tx, n.Touched, held, now)
	if err != nil {
		return nil, err
	}
	var events []finding.Event
	for _, tc := range n.Touched {
		events = append(events, alarms(tc, held[tc.Credential.ID], past[tc.Credential.ID], n.Feed.Name, now)...)
	}
	return events, nil
}

// history is where a credential was used from, in the last 30 days, this batch included.
type history struct {
	networks map[netip.Prefix]pastUse
	long     bool // the first use was before those
}

// pastUse is the use from a network.
type pastUse struct {
	first time.Time
	days  []time.Time
	known bool // it was used from there before this batch, or before it ended
}

// stableBefore reports whether what was before a time is a history that a new network stands out of: the batch may have
// brought both.
func (h history) stableBefore(at time.Time) bool {
	days, networks := map[time.Time]bool{}, 0
	for _, u := range h.networks {
		if !u.first.Before(at) {
			continue
		}
		networks++
		for _, d := range u.days {
			if d.Before(at) {
				days[d] = true
			}
		}
	}
	return h.long && len(days) >= stableDays && networks <= stableNets
}

func (s *Store) past(ctx context.Context, tx pgx.Tx, touched []*Touched, held map[int64]Held, now time.Time) (map[int64]history, error) {
	begins := map[int64]map[netip.Prefix]time.Time{}
	var (
		ids   []int64
		since []time.Time
	)
	for _, tc := range touched {
		c := tc.Credential
		if always := held[c.ID].Revoked || c.Canary; always || !s.allKnown(tc, now) {
			ids, since = append(ids, c.ID), append(since, now.AddDate(0, 0, -historyDays))
			if h := held[c.ID]; h.Revoked { // who used it before it ended, however long ago that is
				since[len(since)-1] = h.Since.AddDate(0, 0, -3*historyDays)
			}
			begins[tc.Credential.ID] = map[netip.Prefix]time.Time{}
			for p, seen := range tc.Networks {
				begins[tc.Credential.ID][p] = seen.First
			}
		}
	}
	all := map[int64]history{}
	if len(ids) == 0 {
		return all, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT d.credential_id, d.network, min(d.first_at), array_agg(DISTINCT d.day),
			EXISTS (SELECT FROM usage_months m WHERE m.credential_id = d.credential_id AND m.first_at < w.since)
		FROM unnest($1::bigint[], $2::timestamptz[]) AS w (id, since) JOIN usage_days d ON d.credential_id = w.id AND d.day >= w.since::date
		WHERE d.uses > 0 GROUP BY d.credential_id, d.network, w.since`, ids, since)
	if err != nil {
		return nil, err
	}
	var (
		id      int64
		network netip.Prefix
		firstAt time.Time
		days    []time.Time
		long    bool
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &network, &firstAt, &days, &long}, func() error {
		h := all[id]
		if h.networks == nil {
			h.networks = map[netip.Prefix]pastUse{}
		}
		begin, touched := begins[id][network]
		known := !touched || firstAt.Before(begin) || held[id].Revoked && firstAt.Before(held[id].Since)
		h.networks[network] = pastUse{firstAt, slices.Clone(days), known}
		h.long = long
		all[id] = h
		return nil
	})
	s.remember(all, now)
	return all, err
}

// allKnown reports whether every network of tc was known lately, so that it need not be looked up again.
func (s *Store) allKnown(tc *Touched, now time.Time) bool {
	s.knownMu.Lock()
	defer s.knownMu.Unlock()
	for p := range tc.Networks {
		if now.Sub(s.known[known{tc.Credential.ID, p}]) > historyDays*24*time.Hour/2 {
			return false
		}
	}
	return true
}

// remember notes networks that were known before the batch at hand: whatever becomes of its transaction.
func (s *Store) remember(past map[int64]history, now time.Time) {
	s.knownMu.Lock()
	defer s.knownMu.Unlock()
	if len(s.known) > maxKnown {
		clear(s.known)
	}
	for id, h := range past {
		for p, u := range h.networks {
			if u.known {
				s.known[known{id, p}] = now
			}
		}
	}
}

const maxKnown = 200_000

type known struct {
	credential int64
	network    netip.Prefix
}

func alarms(tc *Touched, held Held, past history, feed string, now time.Time) []finding.Event {
	c := tc.Credential
	var events []finding.Event
	open := func(k finding.Kind, why string, uses []finding.Use) {
		if len(uses) == 0 {
			return
		}
		e := finding.Evidence{Usage: finding.Usage{Uses: uses}, Answer: finding.Answer{Message: why + " (feed " + feed + ")"}}
		for _, u := range uses {
			if e.Since.IsZero() || u.First.Before(e.Since) {
				e.Since = u.First
			}
		}
		events = append(events, finding.Event{Op: finding.OpOpen, Kind: k, Subject: subject(c), At: now, Evidence: e})
	}
	choose := func(fits func(p netip.Prefix, s *Seen) bool) (uses []finding.Use) {
		for p, s := range tc.Networks {
			if fits(p, s) {
				uses = append(uses, useOf(p, s, past.networks[p].known))
			}
		}
		slices.SortFunc(uses, func(a, b finding.Use) int { return b.Last.Compare(a.Last) })
		return uses
	}
	if !c.Retired.IsZero() {
		return nil
	}
	fresh := func(s *Seen) bool { return now.Sub(s.Last) < maxAlarmAge }
	switch {
	case c.Canary:
		open(finding.CanaryTripped, "nobody may use it, and someone did", choose(func(_ netip.Prefix, s *Seen) bool {
			return s.Last.After(planted(c))
		}))
	case held.Revoked:
		open(finding.UsedAfterRevocation, "it was used after it had ended", choose(func(p netip.Prefix, s *Seen) bool {
			after := held.Since
			if past.networks[p].known {
				after = after.Add(oldJobGrace)
			}
			return fresh(s) && s.Last.After(after)
		}))
	default:
		open(finding.UnexpectedUse, "it was used from where it is not used otherwise", choose(func(p netip.Prefix, s *Seen) bool {
			if !fresh(s) || s.Uses == 0 {
				return false
			}
			if len(c.ExpectedNetworks) > 0 {
				return s.Unexpected
			}
			return p != Anywhere && !past.networks[p].known && past.stableBefore(s.First)
		}))
		if !held.Died.IsZero() {
			open(finding.UsedAfterRevocation, "a secret of it is proven dead, and someone still tries one that is refused",
				choose(func(_ netip.Prefix, s *Seen) bool { return fresh(s) && s.Uses == 0 && s.Last.After(held.Died) }))
		}
	}
	if !tc.LastUse.IsZero() && !held.Revoked {
		for _, k := range []finding.Kind{finding.Unused, finding.NeverUsed} {
			if now.Sub(tc.LastUse) < c.UnusedAfter {
				why := "it was used " + tc.LastUse.UTC().Format("2 Jan 2006 15:04 MST")
				events = append(events, finding.Event{Op: finding.OpResolve, Kind: k, Subject: subject(c), At: now, Why: why})
			}
		}
	}
	return events
}

// planted is since when a canary's present secret lies in wait; zero: as long as anybody knows.
func planted(c credential.Credential) time.Time {
	if c.Created.IsZero() && !c.Changed.After(c.Registered.Add(time.Minute)) {
		return time.Time{}
	}
	return SecretSince(c)
}

func subject(c credential.Credential) finding.Subject {
	return finding.Subject{Credential: c.Name, CredentialID: c.ID, Provider: c.Provider}
}

func useOf(p netip.Prefix, s *Seen, known bool) finding.Use {
	u := finding.Use{
		Network: p.String(), UserAgent: s.UserAgent, First: s.First, Last: s.Last, Uses: s.Uses, Failures: s.Failures, Known: known,
	}
	if p == Anywhere {
		u.Network = "not said"
	}
	if s.Address.IsValid() {
		u.Address = s.Address.String()
	}
	return u
}

// lastingKinds are the kinds that JudgeCredential opens and closes.
var lastingKinds = []finding.Kind{
	finding.Unused, finding.NeverUsed, finding.UnusedScopes, finding.Unpresented, finding.StaleSecret, finding.Expiring, finding.Orphaned,
}

// Judged are the kinds of findings that JudgeCredential looks after: it opens and closes the lasting ones, and
// closes those that Alarms opens.
func Judged() []finding.Kind {
	return append(slices.Clone(lastingKinds), finding.UnexpectedUse, finding.UsedAfterRevocation, finding.CanaryTripped)
}

// Case is what is known of one credential at the time when it is judged.
type Case struct {
	Credential credential.Credential
	Answer     Answer
	Held       Held
	Open       []finding.Finding // open findings of the credential, of the kinds that Judged lists
	// ExpiringBefore are the times before its end at which people are told. None: they are not.
	ExpiringBefore []time.Duration
	OwnersNamed    bool // owners are named here: a credential without one is a finding
	Kept           Kept
}

// Kept is that somebody decided to keep a credential as it is. The zero value: nobody did.
type Kept struct {
	By    string
	Until time.Time
}

func (k Kept) holds(now time.Time) bool { return now.Before(k.Until) }

// text says since when nobody keeps a credential any more, after its reason; "": nobody ever did.
func (k Kept) text() string {
	if k.By == "" {
		return ""
	}
	return fmt.Sprintf("; %s kept it until %s, which is over", k.By, k.Until.UTC().Format("2 Jan 2006"))
}

// keptKinds are the kinds that do not hold of a credential while somebody keeps it as it is.
var keptKinds = []finding.Kind{finding.Unused, finding.NeverUsed, finding.UnusedScopes}

// JudgeCredential opens the findings that hold of a credential by itself, whatever happened last, and closes those
// of c.Open that do not hold any more. It returns an open event for every finding that holds, even if it is open
// already.
func JudgeCredential(c Case, now time.Time) []finding.Event {
	holds := c.lasting(now)
	var events []finding.Event
	for _, k := range lastingKinds {
		if e, ok := holds[k]; ok {
			events = append(events, finding.Event{Op: finding.OpOpen, Kind: k, Subject: subject(c.Credential), At: now, Evidence: e})
		}
	}
	for _, f := range c.Open {
		if why := c.ended(f, holds, now); why != "" {
			events = append(events, finding.Event{Op: finding.OpResolve, Kind: f.Kind, Subject: subject(c.Credential), At: now, Why: why})
		}
	}
	return events
}

// lasting are the lasting findings that hold, with their evidence.
func (c Case) lasting(now time.Time) map[finding.Kind]finding.Evidence {
	cred, a, holds := c.Credential, c.Answer, map[finding.Kind]finding.Evidence{}
	if (a.State == Unused && a.Wait.IsZero() || a.State == NeverUsed) && !cred.Canary && !c.Held.Revoked {
		k := finding.Unused
		if a.State == NeverUsed {
			k = finding.NeverUsed
		}
		holds[k] = finding.Evidence{
			Since:  a.LastUse,
			Usage:  finding.Usage{LastUsed: a.LastUse, DaysUnused: max(0, a.DaysIdle), Coverage: a.Coverage()},
			Answer: finding.Answer{Message: a.Reason + c.Kept.text()},
		}
	}
	if a.State == Used && len(a.Gaps) == 0 && a.ScopesKnown && len(a.Unscoped) > 0 {
		holds[finding.UnusedScopes] = finding.Evidence{
			Usage:  finding.Usage{UnusedScopes: a.Unscoped, Coverage: a.Coverage()},
			Answer: finding.Answer{Message: "no use needed them in that time"},
		}
	}
	if a.Unpresented {
		holds[finding.Unpresented] = finding.Evidence{
			Usage:  finding.Usage{Coverage: a.Coverage()},
			Answer: finding.Answer{Message: fmt.Sprintf("%d tokens were issued, and no request shows one", a.Exchanges)},
		}
	}
	if age := now.Sub(SecretSince(cred)); cred.MaxAge > 0 && age > cred.MaxAge {
		holds[finding.StaleSecret] = finding.Evidence{
			Since: SecretSince(cred),
			Answer: finding.Answer{Message: fmt.Sprintf(
				"the secret is at least %s old; max_age is %s", finding.Age(age), finding.Age(cred.MaxAge))},
		}
	}
	if e, ok := c.expiring(now); ok {
		holds[finding.Expiring] = e
	}
	if c.OwnersNamed && cred.Owner == "" {
		holds[finding.Orphaned] = finding.Evidence{Answer: finding.Answer{Message: "nobody is named as its owner"}}
	}
	if c.Kept.holds(now) {
		maps.DeleteFunc(holds, func(k finding.Kind, _ finding.Evidence) bool { return slices.Contains(keptKinds, k) })
	}
	return holds
}

// SecretSince is since when a credential's present secret is in use, as far as is known.
func SecretSince(c credential.Credential) time.Time {
	since := c.Registered
	if !c.Created.IsZero() {
		since = c.Created
	}
	if c.Changed.After(c.Registered.Add(time.Minute)) { // it was rotated here
		since = later(since, c.Changed)
	}
	return since
}

// ended says why an open finding does not hold any more; "": it does.
func (c Case) ended(f finding.Finding, holds map[finding.Kind]finding.Evidence, now time.Time) string {
	last := time.Time{}
	for _, u := range f.Evidence.Uses {
		last = later(last, u.Last)
	}
	if slices.Contains(lastingKinds, f.Kind) {
		if _, holds := holds[f.Kind]; holds {
			return ""
		}
		switch {
		case c.Kept.holds(now) && slices.Contains(keptKinds, f.Kind):
			return fmt.Sprintf("%s keeps it until %s", c.Kept.By, c.Kept.Until.UTC().Format("2 Jan 2006"))
		case f.Kind == finding.Unused || f.Kind == finding.NeverUsed:
			return cmp.Or(c.Answer.Reason, "it is used")
		case f.Kind == finding.Expiring:
			return c.notExpiring()
		case f.Kind == finding.Orphaned && c.Credential.Owner != "":
			return "its owner is " + c.Credential.Owner
		case f.Kind == finding.Orphaned:
			return "owners are not named here"
		}
		return "it does not hold any more"
	}
	switch rotated := c.Credential.Changed.After(last); {
	case rotated && f.Kind != finding.UnexpectedUse:
		return "it was rotated since"
	case f.Kind == finding.CanaryTripped && !c.Credential.Canary:
		return "it is no canary any more"
	case f.Kind == finding.UsedAfterRevocation && !c.Held.Revoked && c.Held.Died.IsZero():
		return "it works again"
	case f.Kind == finding.UsedAfterRevocation && now.Sub(last) > quietAfterRevocation:
		return "nobody tried it for 7 days"
	case f.Kind == finding.UnexpectedUse && now.Sub(last) > quietAfterUnexpected:
		return "nothing of that kind for 30 days"
	case f.Kind == finding.UnexpectedUse && expected(c.Credential, f.Evidence.Uses):
		return "those networks are expected now"
	}
	return ""
}

func expected(c credential.Credential, uses []finding.Use) bool {
	if len(c.ExpectedNetworks) == 0 {
		return false
	}
	return !slices.ContainsFunc(uses, func(u finding.Use) bool {
		addr, err := netip.ParseAddr(u.Address)
		return err != nil || !slices.ContainsFunc(c.ExpectedNetworks, func(p netip.Prefix) bool { return p.Contains(addr) })
	})
}
