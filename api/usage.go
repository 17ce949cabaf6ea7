package api

import (
	"context"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/usage"
)

type usageIn struct {
	Paged
	Provider string `query:"provider" maxLength:"63" doc:"Only those of this provider."`
	Status   aUsage `query:"status" doc:"Only those with this answer. A page of one answer takes as long as all of them."`
	Owner    string `query:"owner" maxLength:"500" doc:"Only those of this owner."`
	Search   string `query:"q" maxLength:"63" doc:"Only those with this in their name, in any case."`
	After    string `query:"after" maxLength:"63" doc:"Only those whose names come after this one."`
}

// listUsage says of each credential whether it is used, by name.
func (s *server) listUsage(ctx context.Context, in *usageIn) (*listed[UsageJSON], error) {
	q := UsageQuery{registry.Choice{Provider: in.Provider, Search: in.Search, Owners: owners(ctx)}, usage.State(in.Status)}
	err := s.known(ctx, "", in.Provider, in.Owner)
	place := usagePlace{After: in.After}
	if err == nil {
		err = in.after(&place)
	}
	if err != nil {
		return nil, err
	}
	if in.Owner != "" {
		q.Owners = []string{in.Owner}
	}
	now := s.Now()
	p := Page[UsageJSON]{Items: []UsageJSON{}, Total: place.Total}
	switch {
	case p.Total > 0: // counted for the page before
	case q.State == "":
		p.Total, err = s.Registry.Chosen(ctx, q.Choice)
	default:
		_, err = EachUsage(ctx, s.Registry, s.Usage, now, q, func(UsageJSON) { p.Total++ })
	}
	if err != nil {
		return nil, err
	}
	q.After, q.Limit = place.After, in.Limit
	next, err := EachUsage(ctx, s.Registry, s.Usage, now, q, func(u UsageJSON) { p.Items = append(p.Items, u) })
	if next != "" {
		p.Next = cursor(usagePlace{next, p.Total})
	}
	return &listed[UsageJSON]{p}, err
}

// usagePlace is where a page begins. To count those of one answer takes as long as to judge all, so it is done once.
type usagePlace struct {
	After string `json:"after"`
	Total int    `json:"total"`
}

// UsageDetailJSON is how a credential is used, with by whom, and what to do about it.
type UsageDetailJSON struct {
	UsageJSON
	Sources        []usage.Source    `json:"sources" doc:"By whom in the last 90 days, the last first."`
	Lifecycle      []usage.Lifecycle `json:"lifecycle" doc:"What the provider's own log says of it."`
	Keys           []usage.Key       `json:"keys" doc:"The keys of its client that feeds showed."`
	Recommendation string            `json:"recommendation"`
	Why            string            `json:"why"`
	Plan           []string          `json:"plan" doc:"How to revoke it without breaking anything."`
}

type shownUsage struct{ Body UsageDetailJSON }

func (s *server) showUsage(ctx context.Context, in *Named) (*shownUsage, error) {
	c, err := s.credential(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	all, err := Usages(ctx, s.Usage, []credential.Credential{c}, s.Now())
	if err != nil {
		return nil, err
	}
	d := UsageDetailJSON{UsageJSON: all[0]}
	if d.Sources, err = s.Usage.Sources(ctx, c.ID, s.Now().AddDate(0, 0, -90), 30); err != nil {
		return nil, err
	}
	if d.Lifecycle, err = s.Usage.History(ctx, c.ID, 20); err != nil {
		return nil, err
	}
	if d.Keys, err = s.Usage.Keys(ctx, s.Usage.Pool, c); err != nil {
		return nil, err
	}
	row, err := s.Reports.Row(ctx, c, s.Now())
	d.Recommendation, d.Why, d.Plan = string(row.Recommendation), row.Why, row.Plan
	d.Sources, d.Lifecycle, d.Keys, d.Plan = orEmpty(d.Sources), orEmpty(d.Lifecycle), orEmpty(d.Keys), orEmpty(d.Plan)
	return &shownUsage{d}, err
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

type attemptsIn struct {
	Paged
	Credential string    `query:"credential" maxLength:"63" doc:"Only those with this credential."`
	Since      time.Time `query:"since" doc:"Only from the day of this time on; without it, of the last 90 days."`
}

// AttemptJSON is who presented a credential and was refused: no use, and never nobody.
type AttemptJSON struct {
	Credential string    `json:"credential"`
	Provider   string    `json:"provider"`
	Network    string    `json:"network"`
	UserAgent  string    `json:"user_agent"`
	Failures   int64     `json:"failures"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
}

func (s *server) listAttempts(ctx context.Context, in *attemptsIn) (*listed[AttemptJSON], error) {
	q := usage.Attempts{Since: in.Since, Limit: in.Limit + 1}
	if q.Since.IsZero() {
		q.Since = s.Now().AddDate(0, 0, -90)
	}
	err := in.after(&q.After)
	if err == nil {
		q.Among, err = s.only(ctx, in.Credential)
	}
	if err != nil {
		return nil, err
	}
	total, all, err := s.Usage.Refused(ctx, q)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(all))
	for i, a := range all {
		ids[i] = a.CredentialID
	}
	names, err := s.Registry.These(ctx, ids)
	return &listed[AttemptJSON]{*pageOf(all, in.Limit, total, func(a usage.Attempt) AttemptJSON {
		c := names[a.CredentialID]
		return AttemptJSON{c.Name, c.Provider, a.Network, a.UserAgent, a.Failures, a.FirstAt.UTC(), a.LastAt.UTC()}
	}, func(a usage.Attempt) any { return a.AttemptPlace })}, err
}

// only is the id of a credential that a filter names, or those that whoever asks may see; nil: of all.
func (s *server) only(ctx context.Context, name string) ([]int64, error) {
	if name == "" {
		return s.among(ctx)
	}
	if err := s.known(ctx, name, "", ""); err != nil {
		return nil, err
	}
	c, err := s.credential(ctx, name)
	return []int64{c.ID}, err
}

type unregisteredIn struct {
	Paged
	Provider string `query:"provider" maxLength:"63" doc:"Only those of this provider."`
}

type unregisteredPlace struct {
	At                 time.Time `json:"at"`
	ClientID, Provider string
}

// listUnregistered lists client ids that feeds show and nobody registered. They are nobody's, so who sees his own only sees none.
func (s *server) listUnregistered(ctx context.Context, in *unregisteredIn) (*listed[usage.Unregistered], error) {
	var after unregisteredPlace
	err := in.after(&after)
	if err == nil {
		err = s.known(ctx, "", in.Provider, "")
	}
	if err != nil {
		return nil, err
	}
	var (
		page  []usage.Unregistered
		total int
	)
	if owners(ctx) != nil {
		return &listed[usage.Unregistered]{Page[usage.Unregistered]{Items: []usage.Unregistered{}}}, nil
	}
	err = s.Unregistered(ctx, func(u usage.Unregistered) bool {
		if in.Provider != "" && u.Provider != in.Provider {
			return true
		}
		if total++; len(page) <= in.Limit && after.before(u) {
			page = append(page, u)
		}
		return true
	})
	return &listed[usage.Unregistered]{*pageOf(page, in.Limit, total, same, func(u usage.Unregistered) any {
		return unregisteredPlace{u.LastAt, u.ClientID, u.Provider}
	})}, err
}

// before reports whether p is before u in the list: the last first, then by client id and provider.
func (p unregisteredPlace) before(u usage.Unregistered) bool {
	if p.At.IsZero() {
		return true
	}
	if !u.LastAt.Equal(p.At) {
		return u.LastAt.Before(p.At)
	}
	return u.ClientID > p.ClientID || u.ClientID == p.ClientID && u.Provider > p.Provider
}

func same[T any](v T) T { return v }

// listFeeds lists the feeds by name. Who sees the credentials of some owners only sees the feeds of their providers, without
// what they show of others.
func (s *server) listFeeds(ctx context.Context, in *Paged) (*listed[usage.FeedStatus], error) {
	all, err := s.Usage.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	if who := owners(ctx); who != nil {
		all, err = s.feedsOf(ctx, who, all)
		if err != nil {
			return nil, err
		}
	}
	return whole(*in, all)
}

func (s *server) feedsOf(ctx context.Context, who []string, all []usage.FeedStatus) (theirs []usage.FeedStatus, err error) {
	providers, err := s.Registry.Providers(ctx, who)
	for _, f := range all {
		for _, p := range providers {
			if p.Provider == f.Provider {
				f.Counts, f.Samples = usage.Counts{}, nil
				theirs = append(theirs, f)
			}
		}
	}
	return theirs, err
}
