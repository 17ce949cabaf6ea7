package usage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// InTime is what a credential was used for in the time that counted for its answer, by whole days.
type InTime struct {
	Uses     int64
	Attempts int64
	Networks []string // the most used first
}

// InTime returns, by credential, what it was used for in the time that counted for its answer, with at most limit networks
// of each. Credentials that were neither used nor tried then are left out.
func (s *Store) InTime(ctx context.Context, q Querier, answers map[int64]Answer, limit int) (map[int64]InTime, error) {
	var (
		ids      []int64
		from, to []time.Time
	)
	for id, a := range answers {
		if !a.LastUse.IsZero() || a.Attempts > 0 {
			ids, from, to = append(ids, id), append(from, a.Window.From), append(to, a.Window.To)
		}
	}
	rows, err := q.Query(ctx, `
		SELECT w.id, d.network, d.uses, d.failures FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS w (id, since, until)
		CROSS JOIN LATERAL (
			SELECT network::text, sum(uses)::bigint AS uses, sum(failures)::bigint AS failures FROM usage_days
			WHERE credential_id = w.id AND day >= w.since::date AND last_at >= w.since AND first_at < w.until GROUP BY 1) AS d
		ORDER BY w.id, d.uses DESC, d.network`, ids, from, to)
	if err != nil {
		return nil, err
	}
	all := map[int64]InTime{}
	var (
		id             int64
		network        string
		uses, failures int64
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &network, &uses, &failures}, func() error {
		t := all[id]
		t.Uses, t.Attempts = t.Uses+uses, t.Attempts+failures
		if uses > 0 && network != Anywhere.String() && len(t.Networks) < limit {
			t.Networks = append(t.Networks, network)
		}
		all[id] = t
		return nil
	})
	return all, err
}
