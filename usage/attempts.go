package usage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Attempts chooses by whom credentials were presented and refused, and a page of it, the last first.
type Attempts struct {
	Among []int64      // of these credentials; nil: of all
	Since time.Time    // days from this time on
	After AttemptPlace // zero: from the last
	Limit int
}

// AttemptPlace is a place in the order of attempts.
type AttemptPlace struct {
	LastAt       time.Time `json:"at"`
	CredentialID int64     `json:"id"`
	Network      string    `json:"network"`
	UserAgent    string    `json:"agent"`
}

// Attempt is who presented a credential and was refused.
type Attempt struct {
	AttemptPlace
	Failures int64
	FirstAt  time.Time
}

const chosenAttempts = `
	(SELECT credential_id, CASE WHEN network = '0.0.0.0/0' THEN 'not said' ELSE network::text END AS network, user_agent,
		sum(failures)::bigint AS failures, min(first_at) AS first_at, max(last_at) AS last_at
	FROM usage_days WHERE failures > 0 AND day >= $2::date AND ($1::bigint[] IS NULL OR credential_id = ANY($1))
	GROUP BY 1, 2, 3) a`

// Refused returns a page of the attempts that a chooses, and how many there are on all pages.
func (s *Store) Refused(ctx context.Context, a Attempts) (total int, all []Attempt, err error) {
	if err = s.Pool.QueryRow(ctx, `SELECT count(*) FROM `+chosenAttempts, a.Among, a.Since).Scan(&total); err != nil {
		return 0, nil, err
	}
	if a.After.LastAt.IsZero() {
		a.After.LastAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT last_at, credential_id, network, user_agent, failures, first_at FROM `+chosenAttempts+`
		WHERE (last_at, credential_id, network, user_agent) < ($3, $4, $5, $6)
		ORDER BY last_at DESC, credential_id DESC, network DESC, user_agent DESC LIMIT $7`,
		a.Among, a.Since, a.After.LastAt, a.After.CredentialID, a.After.Network, a.After.UserAgent, a.Limit)
	if err != nil {
		return 0, nil, err
	}
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Attempt, err error) {
		return a, row.Scan(&a.LastAt, &a.CredentialID, &a.Network, &a.UserAgent, &a.Failures, &a.FirstAt)
	})
	return total, all, err
}
