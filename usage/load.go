package usage

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Querier is a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Book is what is known of the use of some credentials, read once and asked for any time. Of others it knows nothing.
type Book struct {
	zone   *time.Location
	months map[int64][]monthFacts
	scopes map[int64]map[string]time.Time
	feeds  map[string][]feedFacts // by provider; there is an entry for each that was read, also where it has no feed
}

// Open reads what is known of the use of credentials, and the feeds of their providers.
func (s *Store) Open(ctx context.Context, q Querier, cs []credential.Credential) (*Book, error) {
	b := &Book{zone: s.Zone, feeds: map[string][]feedFacts{}}
	return b, b.Turn(ctx, q, cs)
}

// Turn reads what is known of the use of other credentials, in place of those before. Feeds are read once: those of a
// provider stay what they were when it was first read.
func (b *Book) Turn(ctx context.Context, q Querier, cs []credential.Credential) error {
	ids := make([]int64, len(cs))
	var providers []string
	for i, c := range cs {
		ids[i] = c.ID
		if _, read := b.feeds[c.Provider]; !read && !slices.Contains(providers, c.Provider) {
			providers = append(providers, c.Provider)
		}
	}
	b.months, b.scopes = map[int64][]monthFacts{}, map[int64]map[string]time.Time{}
	if err := b.loadMonths(ctx, q, ids); err != nil {
		return err
	}
	if err := b.loadScopes(ctx, q, ids); err != nil {
		return err
	}
	return b.loadFeeds(ctx, q, providers)
}

func (b *Book) loadMonths(ctx context.Context, q Querier, ids []int64) error {
	rows, err := q.Query(ctx, `
		SELECT credential_id, month, exchanges, requests, own, failures, first_at, last_at, days, hours, scopes_seen, hidden_s,
			first_attempt_at, last_attempt_at, not_allowed
		FROM usage_months WHERE credential_id = ANY($1) ORDER BY credential_id, month`, ids)
	if err != nil {
		return err
	}
	var (
		id                  int64
		m                   monthFacts
		first, last         *time.Time
		tried, triedLast    *time.Time
		days, hours, hidden int32
	)
	columns := []any{
		&id, &m.month, &m.exchanges, &m.requests, &m.own, &m.failures, &first, &last, &days, &hours, &m.scopesSeen, &hidden,
		&tried, &triedLast, &m.denied,
	}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		m.first, m.last = fromNull(first), fromNull(last)
		m.firstAttempt, m.lastAttempt = fromNull(tried), fromNull(triedLast)
		m.days, m.hours, m.hidden = uint32(days), uint32(hours), time.Duration(hidden)*time.Second
		y, mo, d := m.month.Date()
		m.month = time.Date(y, mo, d, 0, 0, 0, 0, b.zone)
		b.months[id] = append(b.months[id], m)
		return nil
	})
	return err
}

func (b *Book) loadScopes(ctx context.Context, q Querier, ids []int64) error {
	rows, err := q.Query(ctx, `SELECT credential_id, scope, last_at FROM usage_scopes WHERE credential_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	var (
		id    int64
		scope string
		at    time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &scope, &at}, func() error {
		if b.scopes[id] == nil {
			b.scopes[id] = map[string]time.Time{}
		}
		b.scopes[id][scope] = at
		return nil
	})
	return err
}

// feedDays returns the days of some feeds, the first first.
func feedDays(ctx context.Context, q Querier, feeds []string) (map[string][]feedDay, error) {
	rows, err := q.Query(ctx, `
		SELECT feed, day, records, bad, named, first_named_at, last_named_at FROM usage_feed_days
		WHERE feed = ANY($1) ORDER BY feed, day`, feeds)
	if err != nil {
		return nil, err
	}
	var (
		all         = map[string][]feedDay{}
		name        string
		day         time.Time
		d           feedDay
		first, last *time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&name, &day, &d.Records, &d.Bad, &d.Named, &first, &last}, func() error {
		d.number, d.First, d.Last = feed.DayOf(day), fromNull(first), fromNull(last)
		all[name] = append(all[name], d)
		return nil
	})
	return all, err
}

// loadFeeds reads the feeds of some providers, and notes that they were read.
func (b *Book) loadFeeds(ctx context.Context, q Querier, providers []string) error {
	if len(providers) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, `SELECT feed FROM usage_feeds WHERE provider = ANY($1)`, providers)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	days, err := feedDays(ctx, q, names)
	if err != nil {
		return err
	}
	for _, p := range providers {
		b.feeds[p] = nil
	}
	rows, err = q.Query(ctx, `
		SELECT provider, feed, partial, configured, type, format, silence, learns, watching, coverage, last_seen_at,
			exchanges, requests
		FROM usage_feeds WHERE feed = ANY($1) ORDER BY feed`, names)
	if err != nil {
		return err
	}
	var (
		provider, kind, format string
		f                      feedFacts
		coverage               multirange
		seen                   *time.Time
		learns                 bool
		watching               feed.Watching
	)
	columns := []any{
		&provider, &f.name, &f.partial, &f.configured, &kind, &format, &f.silence, &learns, &watching, &coverage,
		&seen, &f.exchanges, &f.requests,
	}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		f.coverage, f.seen, f.file = fromMultirange(coverage), fromNull(seen), kind == feed.TypeImport
		f.state = stateFormat(format) || kind == feed.TypePrometheus
		f.lost, f.quiet = nil, f.silence
		if learns {
			f.coverage, f.quiet = bridged(f.coverage, f.silence)
		}
		if n := len(f.coverage); n > 0 {
			f.lost = lost(days[f.name], f.coverage[n-1].To, watching)
			for i, l := range f.lost {
				if l.open { // until something shows that it is over
					f.lost[i].To = l.To.AddDate(100, 0, 0)
				}
			}
		}
		b.feeds[provider] = append(b.feeds[provider], f)
		coverage, watching = nil, feed.Watching{}
		return nil
	})
	return err
}

// stateFormat reports whether a format gives last-used times only.
func stateFormat(name string) bool {
	p, err := feed.FindPreset(name)
	return err == nil && p.Poll != nil && p.Poll.State
}

// Assess answers for one credential at a time; where the last use came from is not filled in.
func (b *Book) Assess(c credential.Credential, at time.Time) Answer {
	f := facts{credential: c, months: b.months[c.ID], feeds: b.feeds[c.Provider], scopes: b.scopes[c.ID], zone: b.zone}
	a := assess(f, at)
	a.Unpresented = f.unpresented(a)
	return a
}

// ScopeUse says whether a scope was used: "last 2 Nov 2026", "no", or "not known: why".
func (b *Book) ScopeUse(c credential.Credential, scope string, at time.Time) string {
	a := b.Assess(c, at)
	last := b.scopes[c.ID][scope]
	switch {
	case !last.IsZero():
		return "last " + date(last)
	case a.NoFeed:
		return "not known: no feed"
	case !a.ScopesKnown:
		return "not known: no feed says scopes"
	case len(a.Gaps) > 0:
		return "not known: " + a.Reason
	}
	return "no"
}

// Existed reports whether a credential is known to have existed at a time.
func (b *Book) Existed(c credential.Credential, at time.Time) bool {
	return facts{credential: c, months: b.months[c.ID]}.existedSince().Before(at)
}

// unpresented: feeds show both exchanges and requests, and of this credential only exchanges.
func (f facts) unpresented(a Answer) bool {
	var exchanges, requests bool
	for _, fd := range f.feeds {
		exchanges, requests = exchanges || fd.exchanges, requests || fd.requests && !fd.partial
	}
	return exchanges && requests && a.State == Used && len(a.Gaps) == 0 && a.Exchanges > 0 && a.Requests == 0
}

// Where is where the last use of a credential came from.
type Where struct {
	At        time.Time
	Address   netip.Addr // not valid: not said
	Network   netip.Prefix
	UserAgent string
}

// LastFrom returns, by credential, where the last use before a time came from.
func (s *Store) LastFrom(ctx context.Context, q Querier, ids []int64, before time.Time) (map[int64]Where, error) {
	rows, err := q.Query(ctx, `
		SELECT c.id, u.last_at, u.last_address, u.network, u.user_agent
		FROM unnest($1::bigint[]) AS c (id) CROSS JOIN LATERAL (
			SELECT last_at, last_address, network, user_agent FROM usage_days d
			WHERE d.credential_id = c.id AND d.uses > 0 AND d.first_at < $2 ORDER BY day DESC, last_at DESC LIMIT 1) u`, ids, before)
	if err != nil {
		return nil, err
	}
	all := map[int64]Where{}
	var (
		id      int64
		w       Where
		address *netip.Addr
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &w.At, &address, &w.Network, &w.UserAgent}, func() error {
		w.Address = netip.Addr{}
		if address != nil {
			w.Address = *address
		}
		all[id] = w
		return nil
	})
	return all, err
}

// Source is who used a credential: a network and a user agent.
type Source struct {
	Network   string    `json:"network"`
	UserAgent string    `json:"user_agent"`
	Uses      int64     `json:"uses"`
	Failures  int64     `json:"failures"`
	FirstAt   time.Time `json:"first_at"`
	LastAt    time.Time `json:"last_at"`
}

// Sources lists who used a credential since a time, the last first, at most limit.
func (s *Store) Sources(ctx context.Context, credentialID int64, since time.Time, limit int) ([]Source, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT CASE WHEN network = '0.0.0.0/0' THEN 'not said' ELSE network::text END, user_agent,
			sum(uses)::bigint, sum(failures)::bigint, min(first_at), max(last_at)
		FROM usage_days WHERE credential_id = $1 AND day >= $2::date GROUP BY 1, 2 ORDER BY 6 DESC LIMIT $3`, credentialID, since, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Source])
}

// LastUses returns when each of some credentials was last used, for metrics; those that never were are left out.
func (s *Store) LastUses(ctx context.Context, ids []int64) (map[int64]time.Time, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT credential_id, max(last_at) FROM usage_months WHERE credential_id = ANY($1) AND last_at IS NOT NULL GROUP BY 1`, ids)
	if err != nil {
		return nil, err
	}
	all := map[int64]time.Time{}
	var (
		id int64
		at time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error { all[id] = at; return nil })
	return all, err
}
