package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// Recommendation is what to do about a credential.
type Recommendation string

// The recommendations, the most urgent first. Of those that fit the first is given, the others are
// named beside it.
const (
	Revoke      Recommendation = "revoke"
	Retire      Recommendation = "retire" // the provider refuses it already: take it out of the registry
	Rotate      Recommendation = "rotate"
	DropScopes  Recommendation = "drop_scopes"
	NameOwner   Recommendation = "name_owner"
	ConnectFeed Recommendation = "connect_feed"
	Keep        Recommendation = "keep"
)

// JSONSchemaExtend names them in the schema.
func (Recommendation) JSONSchemaExtend(s *jsonschema.Schema) {
	s.Enum = []any{Revoke, Rotate, DropScopes, NameOwner, ConnectFeed, Retire, Keep}
}

// Words are the recommendation for a person.
func (r Recommendation) Words() string { return strings.ReplaceAll(string(r), "_", " ") }

var urgency = []Recommendation{Revoke, Retire, Rotate, DropScopes, NameOwner, ConnectFeed, Keep}

func worstFirst(a, b Row) int {
	idle := func(r Row) int {
		if r.DaysUnused == nil {
			return 1 << 30 // never used, as far as is known
		}
		return *r.DaysUnused
	}
	return cmp.Or(cmp.Compare(slices.Index(urgency, a.Recommendation), slices.Index(urgency, b.Recommendation)),
		cmp.Compare(idle(b), idle(a)), cmp.Compare(a.Credential, b.Credential))
}

func (m *Maker) row(c credential.Credential, a usage.Answer, w usage.Where, status string, at time.Time) Row {
	r := Row{
		Credential:   c.Name,
		Provider:     c.Provider,
		Owner:        c.Owner,
		Description:  c.Description,
		Canary:       c.Canary,
		Usage:        string(a.State),
		Coverage:     a.Coverage(),
		UnusedScopes: orEmpty(a.Unscoped),
		Rhythm:       a.Rhythm.String(),
		Status:       status,
		Also:         []string{},
		Plan:         []string{},
	}
	if !c.Created.IsZero() {
		r.Created = c.Created.Format(time.DateOnly)
	}
	if a.State == usage.NotKnown {
		r.CoverageReason = a.Reason
	}
	if !a.LastUse.IsZero() {
		last, idle := a.LastUse.UTC().Truncate(time.Second), a.DaysIdle
		r.LastUsedAt, r.DaysUnused = &last, &idle
		r.LastUsedFrom, r.LastUsedBy = from(w), w.UserAgent
	}
	if !a.Rhythm.Next.IsZero() {
		next := a.Rhythm.Next.UTC()
		r.NextUse = &next
	}
	r.recommend(c, a, at)
	if r.Recommendation == Revoke {
		r.Plan = m.plan(c, a, r)
	}
	return r
}

func from(w usage.Where) string {
	switch {
	case w.Address.IsValid():
		return w.Address.String()
	case w.Network.IsValid() && w.Network != usage.Anywhere:
		return w.Network.String()
	}
	return ""
}

func (r *Row) recommend(c credential.Credential, a usage.Answer, at time.Time) {
	var fits []Recommendation
	var whys []string
	add := func(rec Recommendation, format string, args ...any) {
		fits, whys = append(fits, rec), append(whys, fmt.Sprintf(format, args...))
	}
	refused := r.Status == string(verdict.Revoked)
	idle := a.State == usage.Unused || a.State == usage.NeverUsed
	switch {
	case c.Canary && a.State == usage.Used:
		add(Revoke, "a canary that somebody used: the secret is known to others")
	case c.Canary:
		add(Keep, "a canary: nobody may use it")
	case refused:
		add(Retire, "the provider refuses it")
	case idle:
		add(Revoke, "%s", a.Reason)
	}
	if age := at.Sub(usage.SecretSince(c)); c.MaxAge > 0 && age > c.MaxAge && !refused {
		add(Rotate, "its secret is %d days old, more than %s", int(age.Hours()/24), credential.FormatDuration(c.MaxAge))
	}
	if a.State == usage.Used && len(a.Unscoped) > 0 && !c.Canary {
		add(DropScopes, "nobody used %s", strings.Join(a.Unscoped, ", "))
	}
	if c.Owner == "" {
		add(NameOwner, "nobody answers for it")
	}
	if a.State == usage.NotKnown && !c.Canary {
		add(ConnectFeed, "%s", a.Reason)
	}
	if len(fits) == 0 {
		why := a.Reason
		if a.Unpresented {
			why += fmt.Sprintf("; %d tokens were issued, and no request shows one", a.Exchanges)
		}
		add(Keep, "%s", why)
	}
	best := 0
	for i, f := range fits {
		if slices.Index(urgency, f) < slices.Index(urgency, fits[best]) {
			best = i
		}
	}
	r.Recommendation, r.Why = fits[best], whys[best]
	for i, f := range fits {
		if i != best && f != Keep {
			r.Also = append(r.Also, f.Words()+": "+whys[i])
		}
	}
}

// plan is how to revoke without breaking anything.
func (m *Maker) plan(c credential.Credential, a usage.Answer, r Row) []string {
	tried := a.Tried()
	if tried != "" {
		tried = strings.ToUpper(tried[:1]) + tried[1:] + ": find out who, before it is revoked."
	}
	who := cmp.Or(tried, "Nobody was ever seen to use it.")
	if r.LastUsedAt != nil {
		who = fmt.Sprintf("Last used %s", r.LastUsedAt.In(m.Zone).Format("2 Jan 2006 15:04 MST"))
		if r.LastUsedBy != "" {
			who += " by " + r.LastUsedBy
		}
		if r.LastUsedFrom != "" {
			who += " from " + r.LastUsedFrom
		}
		who += ": ask there first."
		if tried != "" {
			who += " " + tried
		}
	}
	plan := []string{who}
	if c.Owner != "" {
		plan[0] += " Owner: " + c.Owner + "."
	}
	switch {
	case r.NextUse != nil:
		plan = append(
			plan,
			fmt.Sprintf("It was used %s; the next use was expected %s.", r.Rhythm, r.NextUse.In(m.Zone).Format("2 Jan 2006")),
		)
	default:
		plan = append(plan, "No rhythm is known: no next use is expected.")
	}
	if a.QuietHours != "" {
		plan = append(plan, fmt.Sprintf("Quiet hours: %s (%s). Revoke it then.", a.QuietHours, m.Zone))
	} else {
		plan = append(plan, "No quiet hours are known: revoke it at the beginning of a working day, when people can react.")
	}
	watch := 14 * 24 * time.Hour
	if a.Rhythm.Every > watch {
		watch = a.Rhythm.Every
	}
	return append(
		plan,
		fmt.Sprintf(
			"Watch after: keep it registered for %d days; an attempt to use it opens the finding used_after_revocation, with the address.",
			int(watch.Hours()/24),
		),
	)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
