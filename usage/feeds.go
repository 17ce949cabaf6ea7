package usage

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Sync makes the feeds of the configuration those that are given. One that left stays with what it
// brought; from then on it covers nothing.
func (s *Store) Sync(ctx context.Context, tx pgx.Tx, feeds []feed.Feed, now time.Time) error {
	names := make([]string, len(feeds))
	for i, f := range feeds {
		names[i] = f.Name
		if err := s.Register(ctx, tx, f, now); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `UPDATE usage_feeds SET configured = false WHERE configured AND type <> $2 AND NOT feed = ANY($1)`,
		names, feed.TypeImport)
	return err
}

// Register makes a feed known.
func (s *Store) Register(ctx context.Context, tx pgx.Tx, f feed.Feed, now time.Time) error {
	var next *time.Time
	if f.Polled() {
		next = &now
	}
	if f.Type == feed.TypeImport { // a file may have a silence of its own, the feed of all of them has not
		f.Silence, f.Learns = feed.DefaultSilence, true
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO usage_feeds AS u (feed, provider, type, format, partial, silence, configured, first_at, next_poll_at, learns, watching)
		VALUES ($1, $2, $3, $4, $5, $6, true, $7, $8, $9, $10)
		ON CONFLICT (feed) DO UPDATE SET provider = excluded.provider, type = excluded.type, format = excluded.format,
			partial = excluded.partial, silence = excluded.silence, configured = true,
			learns = excluded.learns, watching = excluded.watching,
			next_poll_at = CASE WHEN excluded.next_poll_at IS NULL THEN NULL ELSE coalesce(u.next_poll_at, excluded.next_poll_at) END
		WHERE (u.provider, u.type, u.format, u.partial, u.silence, u.configured, u.learns, u.watching) IS DISTINCT FROM
			(excluded.provider, excluded.type, excluded.format, excluded.partial, excluded.silence, true,
				excluded.learns, excluded.watching)`,
		f.Name, f.Provider, f.Type, f.Format.Name, f.Partial, f.Silence, now, next, f.Learns, f.Watching)
	return err
}

// Fail notes why a feed cannot be read now; "": it can.
func (s *Store) Fail(ctx context.Context, feed string, now time.Time, why string) error {
	_, err := s.Pool.Exec(ctx, `
		UPDATE usage_feeds SET error = $2, error_since = CASE WHEN $2 = '' THEN NULL ELSE coalesce(error_since, $3) END WHERE feed = $1`,
		feed, secret.Scrubber{}.Clean(why, 300), now)
	return err
}

// FeedStatus is how a feed stands.
type FeedStatus struct {
	Feed       string      `json:"feed"`
	Provider   string      `json:"provider"`
	Type       string      `json:"type"`
	Format     string      `json:"format"`
	Partial    bool        `json:"partial"`
	Configured bool        `json:"configured"`
	FirstAt    time.Time   `json:"first_at"`
	LastEvent  time.Time   `json:"last_event_at,omitzero"`
	LastSeen   time.Time   `json:"last_seen_at,omitzero"` // its last sign of life
	Counts     Counts      `json:"counts"`
	Samples    []feed.Bad  `json:"samples"`
	Error      string      `json:"error,omitempty"`
	ErrorSince time.Time   `json:"error_since,omitzero"`
	Blind      string      `json:"blind,omitempty"` // why its records are not fit to show a client now; "": they are
	Coverage   []feed.Span `json:"-"`               // when it was alive
	Watched    []feed.Span `json:"-"`               // when it was watching, by the rules in watch.go
	Week       feed.Day    `json:"-"`               // what it read in the seven days that end with its last one

	Silence  time.Duration `json:"-"`         // how long it may be quiet now
	Learned  bool          `json:"learned"`   // Silence was learned from its pauses
	SilenceS int64         `json:"silence_s"` // Silence in seconds

	watching feed.Watching
}

// Feeds lists the feeds by name, also those that are no longer configured.
func (s *Store) Feeds(ctx context.Context) ([]FeedStatus, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT feed, provider, type, format, partial, configured, first_at, last_event_at, last_seen_at,
			counts, samples, error, error_since, coverage, silence, learns, watching
		FROM usage_feeds ORDER BY feed`)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f FeedStatus, err error) {
		var (
			event, seen, since *time.Time
			counts, samples    []byte
			coverage           multirange
		)
		err = row.Scan(&f.Feed, &f.Provider, &f.Type, &f.Format, &f.Partial, &f.Configured, &f.FirstAt, &event, &seen,
			&counts, &samples, &f.Error, &since, &coverage, &f.Silence, &f.Learned, &f.watching)
		if err != nil {
			return f, err
		}
		f.LastEvent, f.LastSeen, f.ErrorSince, f.Coverage = fromNull(event), fromNull(seen), fromNull(since), fromMultirange(coverage)
		if f.Learned {
			f.Coverage, f.Silence = bridged(f.Coverage, f.Silence)
		}
		f.SilenceS = int64(f.Silence.Seconds())
		return f, errors.Join(json.Unmarshal(counts, &f.Counts), json.Unmarshal(samples, &f.Samples))
	})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.Feed
	}
	days, err := feedDays(ctx, s.Pool, names)
	for i, f := range all {
		all[i].Week = lastWeek(days[f.Feed])
		all[i].Watched = f.Coverage
		if n := len(f.Coverage); n > 0 && !f.Partial {
			until := f.Coverage[n-1].To
			all[i].Blind = blindNow(days[f.Feed], until, f.watching)
			all[i].Watched = without(f.Coverage, lost(days[f.Feed], until, f.watching))
		}
	}
	return all, err
}

// lastWeek adds the seven days that end with the last of a feed's days.
func lastWeek(days []feedDay) (week feed.Day) {
	for _, d := range days {
		if d.number > days[len(days)-1].number-showDays {
			week.Add(d.Day)
		}
	}
	return week
}

// blindNow says why a feed with these days is not fit to show a client at a time; "": it is.
func blindNow(days []feedDay, at time.Time, by feed.Watching) string {
	for _, l := range lost(days, at, by) {
		if !l.From.After(at) && l.To.After(at) {
			return l.why
		}
	}
	return ""
}

func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Forget drops what is older than before, and what only guards against seeing things twice after a
// month.
func (s *Store) Forget(ctx context.Context, now, before time.Time) error {
	batch := &pgx.Batch{}
	for _, sql := range []string{
		`DELETE FROM usage_days WHERE day < $1`,
		`DELETE FROM usage_events WHERE at < $1`,
		`DELETE FROM usage_lifecycle WHERE at < $1`,
		`DELETE FROM usage_unregistered WHERE last_at < $1`,
	} {
		batch.Queue(sql, before)
	}
	// Months are small, and tell "used long ago" from "never".
	batch.Queue(`DELETE FROM usage_months WHERE month < least($1::timestamptz, $2::timestamptz - interval '25 months')`,
		before.AddDate(0, -1, 0), now)
	month := now.AddDate(0, -1, 0)
	batch.Queue(`DELETE FROM usage_taken WHERE taken_at < $1`, month.AddDate(0, -12, 0))
	batch.Queue(`DELETE FROM usage_batches b WHERE taken_at < $1 AND feed NOT LIKE 'import/%'
		AND NOT EXISTS (SELECT FROM usage_batch_rows r WHERE r.feed = b.feed AND r.batch_id = b.batch_id)`, month)
	var states []string // their last-used times are told again and again
	for _, p := range feed.Presets() {
		if stateFormat(p.Name) {
			states = append(states, p.Name)
		}
	}
	batch.Queue(`DELETE FROM usage_seen s USING usage_feeds f WHERE f.feed = s.feed AND s.event_at < $1 AND NOT f.format = ANY($2)`,
		month.AddDate(0, -2, 0), orEmpty(states))
	batch.Queue(`DELETE FROM usage_feed_days WHERE day < $1::timestamptz - interval '25 months'`, now)
	batch.Queue(`DELETE FROM usage_files WHERE seen_at < $1`, month.AddDate(0, -2, 0))
	return s.Pool.SendBatch(ctx, batch).Close()
}
