package audit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
)

// Checks chooses stored results of a credential, and a page of them, the newest first. The zero value of all else chooses all.
type Checks struct {
	CredentialID int64
	Outcome      checker.Outcome // "": any
	Since, Until time.Time       // zero: from the first, to the last
	After        CheckPlace      // zero: from the newest
	Limit        int             // 0: none
}

// CheckPlace is a place in the order of checks: after the one that is there.
type CheckPlace struct {
	At time.Time `json:"at"`
	ID string    `json:"id"`
}

// StoredCheck is a Check and its place.
type StoredCheck struct {
	Check
	Place CheckPlace
}

const chosenChecks = `
	FROM checks WHERE credential_id = $1 AND ($2 = '' OR outcome = $2) AND checked_at >= $3 AND checked_at < $4`

func (c Checks) args(more ...any) []any {
	from, to := c.Since, c.Until
	if from.IsZero() {
		from = time.Unix(0, 0)
	}
	if to.IsZero() {
		to = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return append([]any{c.CredentialID, c.Outcome, from, to}, more...)
}

// Checked returns a page of the stored checks that c chooses.
func (s *Store) Checked(ctx context.Context, c Checks) ([]StoredCheck, error) {
	at, id := c.After.At, c.After.ID
	if id == "" {
		at, id = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "ffffffff-ffff-ffff-ffff-ffffffffffff"
	}
	rows, err := s.pool.Query(ctx, `
		SELECT checked_at, id::text, outcome, reason, status, http_status, message, latency_us / 1000.0 `+chosenChecks+`
			AND (checked_at, id) < ($5, $6::uuid) ORDER BY checked_at DESC, id DESC LIMIT nullif($7, 0)`, c.args(at, id, c.Limit)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c StoredCheck, err error) {
		err = row.Scan(&c.At, &c.Place.ID, &c.Outcome, &c.Reason, &c.Status, &c.HTTPStatus, &c.Message, &c.LatencyMS)
		c.Place.At = c.At
		return c, err
	})
}

// CountChecked counts the stored checks that c chooses, on all pages.
func (s *Store) CountChecked(ctx context.Context, c Checks) (n int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT count(*) `+chosenChecks, c.args()...).Scan(&n)
	return n, err
}

// Span is what the checks of a credential came to in an hour or a day (UTC), also as JSON.
type Span struct {
	At        time.Time `json:"at" doc:"When it begins, in UTC."`
	Checks    int       `json:"checks" doc:"How many."`
	OK        int       `json:"ok" doc:"With the outcome ok."`
	Rejected  int       `json:"rejected" doc:"With the outcome rejected."`
	Uncertain int       `json:"uncertain" doc:"With an outcome that says nothing of the credential."`
	LatencyMS float64   `json:"latency_ms" doc:"The mean of an exchange, in milliseconds."`
	Status    string    `json:"status" doc:"The credential's status after the last of them."`
}

// Days returns the days of a credential from one time on and before another that have checks, the oldest first, at most limit.
// They are those of checks_daily, which RollUp keeps, also where the checks themselves are stored no more.
func (s *Store) Days(ctx context.Context, credentialID int64, from, to time.Time, limit int) ([]Span, error) {
	return s.spans(ctx, `
		SELECT day::timestamp AT TIME ZONE 'UTC', checks, ok, rejected, uncertain, latency_us / 1000.0 / greatest(checks, 1), status
		FROM checks_daily WHERE credential_id = $1 AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date
			AND day < ($3::timestamptz AT TIME ZONE 'UTC')::date ORDER BY day LIMIT $4`, credentialID, from, to, limit)
}

// DaysOf is Days of some credentials, from one time on, by id. A day is told with its checks and its status, without a latency.
func (s *Store) DaysOf(ctx context.Context, ids []int64, from time.Time) (map[int64][]Span, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT credential_id, day::timestamp AT TIME ZONE 'UTC', checks, ok, rejected, uncertain, status FROM checks_daily
		WHERE credential_id = ANY($1) AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date ORDER BY credential_id, day`, ids, from)
	if err != nil {
		return nil, err
	}
	all := map[int64][]Span{}
	var (
		id int64
		p  Span
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &p.At, &p.Checks, &p.OK, &p.Rejected, &p.Uncertain, &p.Status}, func() error {
		p.At = p.At.UTC()
		all[id] = append(all[id], p)
		return nil
	})
	return all, err
}

// Hours is Days by hour, of the checks that are stored.
func (s *Store) Hours(ctx context.Context, credentialID int64, from, to time.Time, limit int) ([]Span, error) {
	return s.spans(ctx, `
		SELECT date_trunc('hour', checked_at, 'UTC'), count(*), count(*) FILTER (WHERE outcome = 'ok'),
			count(*) FILTER (WHERE outcome = 'rejected'),
			count(*) FILTER (WHERE outcome NOT IN ('ok', 'scope_reduced', 'scope_denied', 'grant_denied', 'rejected')),
			avg(latency_us) / 1000.0, (array_agg(status ORDER BY checked_at DESC))[1]
		FROM checks WHERE credential_id = $1 AND checked_at >= $2 AND checked_at < $3 GROUP BY 1 ORDER BY 1 LIMIT $4`,
		credentialID, from, to, limit)
}

func (s *Store) spans(ctx context.Context, sql string, args ...any) ([]Span, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Span, err error) {
		err = row.Scan(&p.At, &p.Checks, &p.OK, &p.Rejected, &p.Uncertain, &p.LatencyMS, &p.Status)
		p.At = p.At.UTC()
		return p, err
	})
}

// CountsAmong is StatusCounts of some credentials; nil: of all.
func (s *Store) CountsAmong(ctx context.Context, ids []int64) (map[string]map[string]int, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT provider, status, count(*) FROM credential_state
		WHERE status <> 'retired' AND ($1::bigint[] IS NULL OR credential_id = ANY($1)) GROUP BY 1, 2`, ids)
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]int{}
	var (
		provider, status string
		n                int
	)
	_, err = pgx.ForEachRow(rows, []any{&provider, &status, &n}, func() error {
		if all[provider] == nil {
			all[provider] = map[string]int{}
		}
		all[provider][status] = n
		return nil
	})
	return all, err
}
