package usage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Ingested is what a batch brought, for those who judge it.
type Ingested struct {
	Feed      feed.Feed
	Counts    Counts
	Batch     string     // id of a Push or an Import; "" of others
	Replaced  []string   // of an Import: the ids of those that it replaced
	Samples   []feed.Bad // records that could not be read
	Touched   []*Touched
	Lifecycle []Lifecycle
	First     time.Time // of the records that have a time; zero: none has
	Last      time.Time
}

// finish stores what add took in, and with it the feed's position. covered are the spans that the feed is known
// to have watched beside those that its records show.
func (in *intake) finish(ctx context.Context, position any, covered []feed.Span) (Ingested, error) {
	touched, spans := in.tally.touched, in.tally.spans
	if err := in.flush(ctx); err != nil {
		return Ingested{}, err
	}
	n := Ingested{Feed: in.feed, Batch: in.batch, Replaced: in.replaced, Counts: in.counts, Samples: in.samples, Lifecycle: in.lifecycle}
	for _, s := range spans {
		if n.First.IsZero() || s.From.Before(n.First) {
			n.First = s.From
		}
		n.Last = later(n.Last, s.To)
	}
	for _, tc := range touched {
		n.Touched = append(n.Touched, tc)
	}
	slices.SortFunc(n.Touched, func(a, b *Touched) int { return strings.Compare(a.Credential.Name, b.Credential.Name) })
	watched := append(slices.Clone(spans), covered...)
	if in.feed.Format.Partial && !in.feed.Partial { // others that are brought as of the same feed may show everything
		watched = nil
	}
	if err := in.saveFeed(ctx, position, watched); err != nil {
		return Ingested{}, err
	}
	if in.ids != nil {
		last := addition{Taken: in.tookNow(), Feed: in.days, Spans: watched, Counts: in.counts}
		if err := in.keepAddition(last); err != nil {
			return Ingested{}, err
		}
	}
	return n, errors.Join(in.saveFeedDays(ctx), in.saveTaken(ctx), in.saveEgress(ctx), in.saveParts(ctx), in.saveIDs(ctx))
}

// flush writes the rows and keeps what finish needs.
func (in *intake) flush(ctx context.Context) error {
	if err := in.foldCrowded(ctx); err != nil { // which moves rows
		return err
	}
	if in.ids != nil {
		if err := in.keepAddition(in.tally.added()); err != nil {
			return err
		}
	}
	for _, save := range []func(context.Context) error{
		in.saveDays, in.saveMonths, in.saveScopes, in.saveUnregistered, in.saveLifecycle, in.saveKept, in.saveKeys,
	} {
		if err := save(ctx); err != nil {
			return fmt.Errorf("usage of feed %q: %w", in.feed.Name, err)
		}
	}
	old := in.tally
	if len(in.lifecycle) < flushAt {
		in.lifecycle = append(in.lifecycle, old.lifecycle...)
	}
	in.tally = newTally(in.s.Zone)
	in.tally.touched, in.tally.spans, in.tally.newest = old.touched, old.spans, old.newest
	in.tally.perDay, in.tally.clean = old.perDay, old.clean
	if len(in.tally.perDay) > 1_000_000 {
		in.tally.perDay = map[credDay]int{}
	}
	return nil
}

const daysSQL = `
	INSERT INTO usage_days AS u (credential_id, day, network, user_agent, uses, failures, first_at, last_at, last_address)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
	ON CONFLICT (credential_id, day, network, user_agent) DO UPDATE SET
		uses = u.uses + excluded.uses, failures = u.failures + excluded.failures,
		first_at = least(u.first_at, excluded.first_at), last_at = greatest(u.last_at, excluded.last_at),
		last_address = CASE WHEN excluded.last_at >= u.last_at THEN excluded.last_address ELSE u.last_address END`

func (in *intake) saveDays(ctx context.Context) error {
	keys := sortedKeys(in.tally.days, func(a, b dayKey) int {
		return cmp.Or(cmp.Compare(a.credential, b.credential), int(a.day-b.day),
			a.network.Compare(b.network), strings.Compare(a.userAgent, b.userAgent))
	})
	batch := &pgx.Batch{}
	for _, k := range keys {
		r := in.tally.days[k]
		batch.Queue(daysSQL, k.credential, k.date(), k.network, k.userAgent, r.uses, r.failures, r.first, r.last, nullAddr(r.address))
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

// foldCrowded puts what is new on a day that has too many rows already into one row.
func (in *intake) foldCrowded(ctx context.Context) error {
	var ids []int64
	var days []time.Time
	seen := map[credDay]bool{}
	for k := range in.tally.days {
		if cd := (credDay{k.credential, k.day}); !seen[cd] {
			seen[cd] = true
			ids, days = append(ids, k.credential), append(days, k.date())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := in.tx.Query(ctx, `
		SELECT u.credential_id, u.day, array_agg(u.network::text || ' ' || u.user_agent)
		FROM usage_days u JOIN unnest($1::bigint[], $2::date[]) AS w (id, day) ON u.credential_id = w.id AND u.day = w.day
		GROUP BY 1, 2 HAVING count(*) >= $3`, ids, days, maxPerDay)
	if err != nil {
		return err
	}
	var (
		id    int64
		day   time.Time
		known []string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &day, &known}, func() error {
		cd := credDay{id, int32(day.Unix() / 86400)}
		for k, r := range in.tally.days {
			if (credDay{k.credential, k.day}) == cd && !slices.Contains(known, k.network.String()+" "+k.userAgent) {
				in.tally.moveToOthers(k, r)
			}
		}
		return nil
	})
	return err
}

func (t *tally) moveToOthers(k dayKey, r *dayRow) {
	delete(t.days, k)
	k.network, k.userAgent = Anywhere, others
	o := t.days[k]
	if o == nil {
		t.days[k] = r
		return
	}
	o.uses, o.failures = o.uses+r.uses, o.failures+r.failures
	if r.first.Before(o.first) {
		o.first = r.first
	}
	if r.last.After(o.last) {
		o.last, o.address = r.last, r.address
	}
}

const monthsSQL = `
	INSERT INTO usage_months AS u (credential_id, month, exchanges, requests, failures, own,
		first_at, last_at, days, hours, scopes_seen, hidden_s, first_attempt_at, last_attempt_at, not_allowed)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
	ON CONFLICT (credential_id, month) DO UPDATE SET
		exchanges = u.exchanges + excluded.exchanges, requests = u.requests + excluded.requests,
		failures = u.failures + excluded.failures, own = u.own + excluded.own,
		first_at = least(u.first_at, excluded.first_at), last_at = greatest(u.last_at, excluded.last_at),
		days = u.days | excluded.days, hours = u.hours | excluded.hours, scopes_seen = u.scopes_seen OR excluded.scopes_seen,
		hidden_s = u.hidden_s + excluded.hidden_s, not_allowed = u.not_allowed + excluded.not_allowed,
		first_attempt_at = least(u.first_attempt_at, excluded.first_attempt_at),
		last_attempt_at = greatest(u.last_attempt_at, excluded.last_attempt_at)`

func (in *intake) saveMonths(ctx context.Context) error {
	keys := sortedKeys(in.tally.months, func(a, b monthKey) int {
		return cmp.Or(cmp.Compare(a.credential, b.credential), int(a.month-b.month))
	})
	batch := &pgx.Batch{}
	for _, k := range keys {
		m := in.tally.months[k]
		batch.Queue(monthsSQL, k.credential, k.date(), m.exchanges, m.requests, m.failures, m.own,
			nullTime(m.first), nullTime(m.last), m.days, m.hours, m.scopesSeen, int32(m.hidden.Seconds()),
			nullTime(m.firstAttempt), nullTime(m.lastAttempt), m.denied)
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

func (in *intake) saveScopes(ctx context.Context) error {
	keys := sortedKeys(in.tally.scopes, func(a, b scopeKey) int {
		return cmp.Or(cmp.Compare(a.credential, b.credential), strings.Compare(a.scope, b.scope))
	})
	batch := &pgx.Batch{}
	for _, k := range keys {
		batch.Queue(`
			INSERT INTO usage_scopes AS u (credential_id, scope, last_at) VALUES ($1, $2, $3)
			ON CONFLICT (credential_id, scope) DO UPDATE SET last_at = greatest(u.last_at, excluded.last_at)`,
			k.credential, k.scope, in.tally.scopes[k])
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

// A provider's list of unregistered client ids grows to maxUnregistered; those that are on it are kept
// up to date.
const unregisteredSQL = `
	INSERT INTO usage_unregistered AS u (provider, client_id, events, first_at, last_at, last_address, created_at, created_by)
	SELECT $1, $2, $3, $4, $5, $6, $7, $8
	WHERE (SELECT count(*) FROM usage_unregistered WHERE provider = $1) < $9
		OR EXISTS (SELECT FROM usage_unregistered WHERE provider = $1 AND client_id = $2)
	ON CONFLICT (provider, client_id) DO UPDATE SET events = u.events + excluded.events, first_at = least(u.first_at, excluded.first_at),
		last_address = CASE WHEN excluded.last_at >= u.last_at THEN excluded.last_address ELSE u.last_address END,
		last_at = greatest(u.last_at, excluded.last_at), created_at = coalesce(excluded.created_at, u.created_at),
		created_by = CASE WHEN excluded.created_by = '' THEN u.created_by ELSE excluded.created_by END`

func (in *intake) saveUnregistered(ctx context.Context) error {
	batch := &pgx.Batch{}
	for _, id := range sortedKeys(in.tally.unregistered, strings.Compare) {
		u := in.tally.unregistered[id]
		batch.Queue(unregisteredSQL, u.Provider, u.ClientID, u.Events, u.FirstAt, u.LastAt,
			nullAddr(u.Address), nullTime(u.CreatedAt), u.CreatedBy, maxUnregistered)
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

func (in *intake) saveLifecycle(ctx context.Context) error {
	batch := &pgx.Batch{}
	for _, l := range in.tally.lifecycle {
		var id *int64
		if l.CredentialID != 0 {
			id = &l.CredentialID
		}
		batch.Queue(`
			INSERT INTO usage_lifecycle (provider, event_id, at, action, client_id, credential_id, actor, feed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			l.Provider, l.EventID, l.At, l.Action, l.ClientID, id, l.Actor, l.Feed)
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

func (in *intake) saveKept(ctx context.Context) error {
	kept, clean := in.tally.kept, secret.Scrubber{}
	columns := []string{"feed", "credential_id", "at", "event_id", "kind", "ok", "source_ip", "user_agent", "scopes"}
	_, err := in.tx.CopyFrom(ctx, pgx.Identifier{"usage_events"}, columns,
		pgx.CopyFromSlice(len(kept), func(i int) ([]any, error) {
			k := kept[i]
			scopes := []string{}
			for _, s := range k.Scopes {
				scopes = append(scopes, clean.Clean(s, 256))
			}
			return []any{
				in.feed.Name, k.credential, k.At, clean.Clean(k.ID, 200), string(k.Kind), k.OK,
				nullAddr(k.Address), in.tally.agent(k.UserAgent), scopes,
			}, nil
		}))
	return err
}

func (in *intake) saveFeed(ctx context.Context, position any, spans []feed.Span) error {
	in.row.counts.add(in.counts)
	samples := append(in.row.samples, in.samples...)
	samples = samples[max(0, len(samples)-maxSamples):]
	for i, s := range spans { // nobody watched the future
		if s.To.After(in.now.Add(maxAhead)) {
			spans[i].To = later(s.From, in.now)
		}
	}
	spans = slices.DeleteFunc(spans, func(s feed.Span) bool { return s.From.After(in.now.Add(maxAhead)) })
	spans = join(spans, joined(in.feed))
	coverage := join(append(in.row.coverage, spans...), min(joined(in.feed), joined(in.asRegistered())))
	seen := in.tally.newest
	for _, s := range spans {
		seen = later(seen, s.To)
	}
	at, err1 := json.Marshal(position)
	counts, err2 := json.Marshal(in.row.counts)
	bad, err3 := json.Marshal(orEmpty(samples))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	_, err := in.tx.Exec(ctx, `
		UPDATE usage_feeds SET position = $2, coverage = $3,
			last_event_at = greatest(last_event_at, $4), last_seen_at = greatest(last_seen_at, $5),
			counts = $6, samples = $7, exchanges = exchanges OR $8, requests = requests OR $9, error = '', error_since = NULL
		WHERE feed = $1`,
		in.feed.Name, at, toMultirange(coverage), nullTime(in.tally.newest), nullTime(seen),
		counts, bad, in.shows[feed.Exchange], in.shows[feed.Request])
	return err
}

// asRegistered is the feed as it is known: an import may have a silence of its own.
func (in *intake) asRegistered() feed.Feed {
	f := in.feed
	f.Silence, f.Learns = in.row.silence, in.row.learns
	return f
}

func (in *intake) saveFeedDays(ctx context.Context) error {
	batch := &pgx.Batch{}
	for _, number := range sortedKeys(in.days, cmp.Compare[int64]) {
		d := in.days[number]
		batch.Queue(`
			INSERT INTO usage_feed_days AS u (feed, day, records, bad, named, first_named_at, last_named_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (feed, day) DO UPDATE SET records = u.records + excluded.records, bad = u.bad + excluded.bad,
				named = u.named + excluded.named, first_named_at = least(u.first_named_at, excluded.first_named_at),
				last_named_at = greatest(u.last_named_at, excluded.last_named_at)`,
			in.feed.Name, dayBegins(number), d.Records, d.Bad, d.Named, nullTime(d.First), nullTime(d.Last))
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

func (in *intake) saveTaken(ctx context.Context) error {
	checks, taken := make([]uuid.UUID, 0, len(in.taken)), make([]int16, 0, len(in.taken))
	for c, n := range in.taken {
		checks, taken = append(checks, c), append(taken, int16(n))
	}
	if len(checks) == 0 {
		return nil
	}
	_, err := in.tx.Exec(ctx, `
		INSERT INTO usage_taken (check_id, taken, taken_at) SELECT *, $3 FROM unnest($1::uuid[], $2::smallint[]) ORDER BY 1
		ON CONFLICT (check_id) DO UPDATE SET taken = excluded.taken, taken_at = excluded.taken_at`, checks, taken, in.now)
	return err
}

func (in *intake) saveEgress(ctx context.Context) error {
	batch := &pgx.Batch{}
	for _, a := range sortedKeys(in.learned, netip.Addr.Compare) {
		batch.Queue(`
			INSERT INTO usage_egress AS u (provider, address, seen_at) VALUES ($1, $2, $3)
			ON CONFLICT (provider, address) DO UPDATE SET seen_at = greatest(u.seen_at, excluded.seen_at)`,
			in.feed.Provider, a, in.learned[a])
	}
	return in.tx.SendBatch(ctx, batch).Close()
}

// sortedKeys are the keys in the order in which everyone locks their rows.
func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func nullAddr(a netip.Addr) *netip.Addr {
	if !a.IsValid() {
		return nil
	}
	return &a
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
