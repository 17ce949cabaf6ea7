package audit

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	quarter      = 15 * time.Minute
	keepQuarters = 90 * 24 * time.Hour
	// recounted is how far back quarters are counted again: a result may be stored so long after its check began.
	recounted = 2 * quarter
)

// Quarter is what the checks of a provider saw in a quarter of an hour.
type Quarter struct {
	At                                              time.Time // when it begins
	Checks, OK, Reduced, Doubted, Refused, Troubled int
	Latency                                         Latencies // of the exchanges that were answered
}

// Latencies count exchanges by how long they took, in buckets of which each is 19 % wider than the one before.
type Latencies map[int]int

const perDoubling = 4 // buckets

// Percentile is how long so much of all, from 0 to 1, took at most: half a bucket more or less, which is 9 %. 0: there are none.
func (l Latencies) Percentile(share float64) time.Duration {
	total, last := 0, 0
	for bucket, n := range l {
		total, last = total+n, max(last, bucket)
	}
	if total == 0 {
		return 0
	}
	left := int(math.Ceil(share * float64(total)))
	for bucket := 0; bucket <= last; bucket++ {
		if left -= l[bucket]; left <= 0 {
			return time.Duration(math.Exp2((float64(bucket)+0.5)/perDoubling) * float64(time.Microsecond))
		}
	}
	return 0
}

// Add adds those of another quarter.
func (l Latencies) Add(others Latencies) {
	for bucket, n := range others {
		l[bucket] += n
	}
}

// Quarters returns the quarters of an hour of a provider from a time on that have checks, the oldest first. CountQuarters keeps them.
func (s *Store) Quarters(ctx context.Context, provider string, from time.Time) ([]Quarter, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT at, checks, ok, reduced, doubted, refused, troubled, latency FROM provider_quarters
		WHERE provider = $1 AND at > $2::timestamptz - interval '15 minutes' ORDER BY at`, provider, from)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (q Quarter, err error) {
		var latency []byte
		if err = row.Scan(&q.At, &q.Checks, &q.OK, &q.Reduced, &q.Doubted, &q.Refused, &q.Troubled, &latency); err != nil {
			return q, err
		}
		q.Latency = Latencies{}
		var by map[string]int
		err = json.Unmarshal(latency, &by)
		for key, n := range by {
			if bucket, err := strconv.Atoi(key); err == nil {
				q.Latency[bucket] = n
			}
		}
		return q, err
	})
}

// CountQuarters brings provider_quarters up to date: the quarters since it last ran, with the half hour before, are counted anew. At
// first it begins a day ago. It may run anywhere, any time; where another process counts it does nothing.
func (s *Store) CountQuarters(ctx context.Context, now time.Time) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtext('keyrounds: audit.CountQuarters'))`).Scan(&mine)
		if err != nil || !mine {
			return err
		}
		from := now.Add(-24 * time.Hour)
		var upto time.Time
		err = tx.QueryRow(ctx, `SELECT upto FROM rollups WHERE name = 'provider_quarters'`).Scan(&upto)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if back := upto.Add(-recounted); back.After(from) {
			from = back
		}
		if _, err := tx.Exec(ctx, countQuartersSQL, from.Truncate(quarter)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM provider_quarters WHERE at < $1`, now.Add(-keepQuarters)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO rollups (name, upto) VALUES ('provider_quarters', $1)
			ON CONFLICT (name) DO UPDATE SET upto = greatest(rollups.upto, excluded.upto)`, now)
		return err
	})
}

const countQuartersSQL = `
	WITH counted AS (
		SELECT provider, date_bin('15 minutes', checked_at, 'epoch') AS at, outcome, status = 'suspect' AS doubted,
			CASE WHEN http_status > 0 THEN floor(log(2, greatest(latency_us, 1)) * 4)::int END AS bucket, count(*) AS n
		FROM checks WHERE checked_at >= $1 GROUP BY 1, 2, 3, 4, 5
	), latencies AS (
		SELECT provider, at, jsonb_object_agg(bucket, n) AS latency
		FROM (SELECT provider, at, bucket, sum(n) AS n FROM counted WHERE bucket IS NOT NULL GROUP BY 1, 2, 3) b GROUP BY 1, 2
	)
	INSERT INTO provider_quarters (provider, at, checks, ok, reduced, doubted, refused, troubled, latency)
	SELECT c.provider, c.at, sum(n), coalesce(sum(n) FILTER (WHERE outcome = 'ok'), 0),
		coalesce(sum(n) FILTER (WHERE outcome IN ('scope_reduced', 'scope_denied', 'grant_denied')), 0),
		coalesce(sum(n) FILTER (WHERE outcome = 'rejected' AND c.doubted), 0),
		coalesce(sum(n) FILTER (WHERE outcome = 'rejected' AND NOT c.doubted), 0),
		coalesce(sum(n) FILTER (WHERE outcome NOT IN ('ok', 'scope_reduced', 'scope_denied', 'grant_denied', 'rejected')), 0),
		coalesce(latency, '{}')
	FROM counted c LEFT JOIN latencies USING (provider, at) GROUP BY c.provider, c.at, latency
	ON CONFLICT (provider, at) DO UPDATE SET checks = excluded.checks, ok = excluded.ok, reduced = excluded.reduced,
		doubted = excluded.doubted, refused = excluded.refused, troubled = excluded.troubled, latency = excluded.latency`
