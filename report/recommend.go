package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
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
	FindCaller  Recommendation = "find_caller" // it is not used, and somebody still tries it
	CheckJob    Recommendation = "check_job"   // it is used in a rhythm, and the next use is overdue
	DropScopes  Recommendation = "drop_scopes"
	NameOwner   Recommendation = "name_owner"
	MendFeed    Recommendation = "mend_feed"    // a feed does not watch
	ConnectFeed Recommendation = "connect_feed" // there is none that could
	SetCreated  Recommendation = "set_created"  // the feeds watched, and nobody says since when it exists
	Wait        Recommendation = "wait"         // until a date, by then it is known
	Keep        Recommendation = "keep"
)

// JSONSchemaExtend names them in the schema.
func (Recommendation) JSONSchemaExtend(s *jsonschema.Schema) {
	for _, r := range urgency {
		s.Enum = append(s.Enum, r)
	}
}

// Words are the recommendation for a person.
func (r Recommendation) Words() string { return strings.ReplaceAll(string(r), "_", " ") }

var urgency = []Recommendation{
	Revoke, Retire, Rotate, FindCaller, CheckJob, DropScopes, NameOwner, MendFeed, ConnectFeed, SetCreated, Wait, Keep,
}

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

func (m *Maker) row(c credential.Credential, a usage.Answer, s *sources, at time.Time) Row {
	in, w := s.inTime[c.ID], s.where[c.ID]
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
		Status:       cmp.Or(s.status[c.ID], noStatus),
		Also:         []string{},
		Plan:         []string{},

		Uses:           in.Uses,
		Networks:       orEmpty(in.Networks),
		Attempts:       in.Attempts,
		FirstUsedAt:    orNull(a.FirstUse),
		FirstAttemptAt: orNull(a.FirstAttempt),
		LastAttemptAt:  orNull(a.LastAttempt),
		WatchedSince:   orNull(a.WatchedSince),
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
	end := c.End(s.ends[c.ID])
	r.ExpiresAt = orNull(end.At)
	r.recommend(c, a, end, at, m.Zone)
	d, decided := s.decisions[c.ID]
	r.decide(c, d, decided)
	if r.Recommendation == Revoke || r.Recommendation == FindCaller {
		r.Plan = orEmpty(m.plan(a, r))
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

// endsSoon: before the report after the next one.
const endsSoon = 62 * 24 * time.Hour

func (r *Row) recommend(c credential.Credential, a usage.Answer, end credential.End, at time.Time, zone *time.Location) {
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
	case c.Canary && a.Attempts > 0:
		add(Revoke, "a canary that somebody tried: its client id is known to others; %s", a.Tried())
	case c.Canary:
		add(Keep, "a canary: nobody may use it")
	case refused:
		add(Retire, "the provider refuses it")
	case idle && a.Attempts > 0:
		add(FindCaller, "%s", a.Reason)
	case idle && !a.Wait.IsZero():
		r.wait(a.Wait)
		add(Wait, "until %s: %s", r.WaitUntil.Format("2 Jan 2006"), a.Reason)
	case idle:
		add(Revoke, "%s", a.Reason)
	case a.State == usage.Used && !a.Overdue.IsZero():
		add(
			CheckJob,
			"overdue since %s: it was used %s, last on %s",
			a.Overdue.In(zone).Format("2 Jan"),
			a.Rhythm,
			a.LastUse.In(zone).Format("2 Jan"),
		)
		if tried := a.Tried(); tried != "" {
			whys[len(whys)-1] += "; " + tried
		}
	}
	if left := end.At.Sub(at); !end.IsZero() && left < endsSoon && !refused && !idle {
		verb := "it ends"
		if !end.Over().After(at) {
			verb = "it should have ended"
		}
		add(Rotate, "%s on %s, %s", verb, end.At.In(zone).Format("2 Jan 2006"), end.By.Words())
	}
	if age := at.Sub(usage.SecretSince(c)); c.MaxAge > 0 && age > c.MaxAge && !refused {
		add(Rotate, "its secret is %s old, more than %s", finding.Age(age), finding.Age(c.MaxAge))
	}
	if a.State == usage.Used && a.Overdue.IsZero() && len(a.Unscoped) > 0 && !c.Canary {
		add(DropScopes, "nobody used %s", strings.Join(a.Unscoped, ", "))
	}
	if c.Owner == "" {
		add(NameOwner, "nobody answers for it")
	}
	if a.State == usage.NotKnown && !c.Canary && !refused {
		r.explain(a, add)
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

// explain says what makes known what is not.
func (r *Row) explain(a usage.Answer, add func(Recommendation, string, ...any)) {
	switch a.Cause {
	case usage.CauseNoFeed:
		add(ConnectFeed, "%s", a.Reason)
	case usage.CauseNoCreated:
		r.wait(a.KnownAt)
		add(SetCreated, "%s; without it, it is known on %s", a.Reason, r.WaitUntil.Format("2 Jan 2006"))
	case usage.CauseTooYoung, usage.CauseFeedBegan:
		r.wait(a.KnownAt)
		add(Wait, "until %s: %s", r.WaitUntil.Format("2 Jan 2006"), a.Reason)
	default:
		add(MendFeed, "%s", a.Reason)
	}
}

// wait: it is over when the day begins.
func (r *Row) wait(until time.Time) {
	until = until.UTC().Truncate(24 * time.Hour)
	r.WaitUntil = &until
}

// howToRevoke is what holds of every credential.
var howToRevoke = []string{
	"Ask who used it last, and its owner.",
	"Revoke it in its quiet hours; where none are known, at the beginning of a working day, when people can react.",
	"Keep it registered for as long as is said, at least 14 days: an attempt to use it opens the finding " +
		"used_after_revocation, with the address.",
	"Then retire it: keyrounds credentials retire NAME.",
}

// plan is what must be minded of one credential.
func (m *Maker) plan(a usage.Answer, r Row) (plan []string) {
	switch {
	case r.LastUsedAt != nil:
		who := fmt.Sprintf("Last used %s", r.LastUsedAt.In(m.Zone).Format("2 Jan 2006 15:04 MST"))
		if r.LastUsedBy != "" {
			who += " by " + r.LastUsedBy
		}
		if r.LastUsedFrom != "" {
			who += " from " + r.LastUsedFrom
		}
		plan = append(plan, who+".")
	case a.Attempts == 0:
		plan = append(plan, "Nobody was ever seen to use it.")
	}
	if tried := a.Tried(); tried != "" {
		plan = append(plan, strings.ToUpper(tried[:1])+tried[1:]+".")
	}
	switch {
	case r.NextUse != nil:
		plan = append(
			plan,
			fmt.Sprintf("It was used %s; the next use was expected %s.", r.Rhythm, r.NextUse.In(m.Zone).Format("2 Jan 2006")),
		)
	case r.WatchedSince != nil:
		plan = append(
			plan,
			fmt.Sprintf("No rhythm is known; what was watched reaches back to %s.", r.WatchedSince.In(m.Zone).Format("2 Jan 2006")),
		)
	}
	if a.QuietHours != "" {
		plan = append(plan, fmt.Sprintf("Quiet hours: %s (%s).", a.QuietHours, m.Zone))
	}
	if watch := a.Rhythm.Every; watch > 14*24*time.Hour {
		plan = append(plan, fmt.Sprintf("Keep it registered for %d days.", int(watch.Hours()/24)))
	}
	return plan
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
